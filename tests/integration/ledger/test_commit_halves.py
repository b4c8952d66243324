"""A gift's two halves keep apart: each touches its own partition, and only a gift, packed, passes between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting.ledger.cluster.credit_call import APPLIED
from gifting.ledger.cluster.debit_call import Debited
from gifting.ledger.commit import EVENT, GIFT, LIKE, PendingCommit, Reply
from gifting.ledger.commit_keys import bucket_spot, room_spot
from gifting.ledger.keys import BUCKET_MS, Keys
from gifting.ledger.status import Status
from gifting.ledger.stream import Span, read_ledger
from gifting.model.catalog import load_catalog
from gifting.model.events import encode_about, encode_event, encode_sent
from gifting.model.money import MAX_AMOUNT, key_time, parse_key
from gifting.model.packing import pack
from gifting.model.terms import UNBOUND
from gifting.model.values import RoomRef
from tests.support.lua import hook
from tests.support.two_calls import Halves
from tests.support.world import STREAK, World, a_world

pytestmark = pytest.mark.one_redis("commit itself, cut in two")

PARTITIONS, COINS = 4, 100
CATALOG = load_catalog()
CAPS = ("gift_cap", "streak_cap", "day_cap", "month_cap", "confirm_above")
DEAR = next(gift.id for gift in CATALOG if not gift.streakable)
_KEYS = Keys("gifting", PARTITIONS)
SENDERS = [next(name for n in range(99) if _KEYS.base(name := f"u{n}") == base) for base in _KEYS.bases[:2]]
HOSTS = [next(name for n in range(99) if _KEYS.base(name := f"h{n}") == base) for base in _KEYS.bases[2:]]


class Scene:
    """Two senders and two hosts, each in a partition of its own, and gifts that are the same each time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rooms: list[RoomRef] = []

    async def prepare(self) -> None:
        for host in HOSTS:
            self.rooms.append(await self.world.ledger.rooms.open(f"of-{host}", host, host, ""))
        for user in SENDERS:
            await self.world.grant(user, COINS)

    def record(self, user: str, room: int, coins: int = 7, streakable: bool = True) -> dict[str, Any]:
        """A gift as ``debit.lua`` describes it."""
        gift, ref = "spark" if streakable else DEAR, self.rooms[room]
        about = encode_about(ref.to_user, CATALOG.wire(gift))
        return {
            "key": parse_key(self.world.key()),
            "user": user,
            "count": 2,
            "coins": coins,
            "profile": self.world.sender(user).user,
            "sent": encode_sent(2, coins, None),
            "streak": streakable and f"{user}\n{gift}",
            "terms": {**dict.fromkeys(CAPS, MAX_AMOUNT), "rate": 0, "confirm_first": False, "barred": 0},
            "confirmed": False,
            "shown": False,
            "target": {
                "number": 1,
                "room": ref.id,
                "host": ref.host,
                "about": about,
                "debited": pack((ref.id, ref.host, gift))[1:],
                "credited": pack((ref.id, ref.host))[1:],
            },
        }

    def item(self, record: dict[str, Any], room: int) -> PendingCommit:
        """The same gift as a commit call takes it."""
        key, user, target = record["key"], record["user"], record["target"]
        gift = "spark" if record["streak"] else DEAR
        head = pack((target["room"], target["host"], gift, int(bool(record["streak"])), target["about"]))[1:]
        values = (
            user,
            key,
            key_time(key),
            b"8 bytes!",
            2,
            record["coins"],
            record["profile"],
            record["sent"],
            0,
            False,
        )
        bucket = bucket_spot(self.world.base(user), key_time(key) // BUCKET_MS)
        spot, fields = room_spot(self.rooms[room].base, self.rooms[room].id, self.rooms[room].host), pack(values)[1:]
        return PendingCommit(GIFT, bucket, spot, head, fields, print, 0.0, terms=UNBOUND.packed)

    def free(self, kind: int, room: int, *more: Any) -> PendingCommit:
        ref = self.rooms[room]
        event = encode_event("like", {"count": 2}, decided=1) if kind == LIKE else encode_event("share", {})
        free = () if kind == LIKE else ("", 0, 0)
        return PendingCommit(
            kind,
            None,
            room_spot(ref.base, ref.id, ref.host),
            None,
            pack((ref.id, ref.host, event, *free, *more))[1:],
            print,
            0.0,
        )


@pytest.fixture
async def scene(redis_client: Redis, redis_url: str) -> AsyncIterator[Scene]:
    async with a_world(redis_url, partitions=PARTITIONS, like_interval=0) as world:
        scene = Scene(world)
        await scene.prepare()
        yield scene


# In one call.

BEFORE = "local half, senders = 'neither', { p00 = true, p01 = true }"
CHECK = """
if half == 'neither' or senders[string.match(key, '{(p%d+)}')] ~= (half == 'debit' or nil) then
  error({ err = 'ERR ' .. half .. ' came to ' .. command .. ' ' .. key }, 0)
end
real.call('HINCRBY', 'halves', half, 1)
return real.call(command, key, ...)
"""
INCLUDED = """
local function leave(before, ...)
  half = before
  return ...
end
local function packed(value)
  return type(value) == 'table' and value.profile and cmsgpack.unpack(cmsgpack.pack(value)) or value
end
for name, functions in pairs({ debit = debit, credit = credit }) do
  for each, called in pairs(functions) do
    functions[each] = type(called) ~= 'function' and called or function(first, second, ...)
      local before = half
      half = name
      return leave(before, called(first, name == 'credit' and packed(second) or second, ...))
    end
  end
end
"""


async def commit_apart(scene: Scene, changed: str = "") -> list[Status]:
    """All sorts of items, in a call that fails where a half leaves its partition."""
    sent = [(user, room, more) for user in SENDERS for room in (0, 1) for more in ({}, {"streakable": False})]
    items = [scene.item(scene.record(user, room, **more), room) for user, room, more in sent]
    items += [scene.item(scene.record(SENDERS[0], 0, coins), 0) for coins in (1000, -1)]
    items += [items[0], scene.free(EVENT, 0), scene.free(LIKE, 1, 2)]
    with pytest.MonkeyPatch.context() as patch:
        hook(patch, BEFORE, CHECK, changed + INCLUDED)
        results = await scene.world.raw_commit(*items)
    return [Status(result.status) for result in results]


async def test_each_half_touches_its_own_partition(scene: Scene) -> None:
    expected = [Status.OK] * 8 + [Status.INSUFFICIENT_COINS, Status.BAD_AMOUNT] + [Status.OK] * 3
    assert await commit_apart(scene) == expected
    scene.world.clock[0] += STREAK + 1  # streaks end and begin
    assert await commit_apart(scene) == expected
    halves = {name: int(calls) for name, calls in (await scene.world.redis.hgetall("halves")).items()}
    assert halves.keys() == {b"debit", b"credit"}
    assert min(halves.values()) > 10


@pytest.mark.parametrize(
    ("half", "code"),
    [
        ("debit", "debit.account = function() return redis.call('HGET', 'gifting:{p02}:diamonds', 'h') end"),
        ("credit", "credit.give = function(c, gift) return redis.call('HGET', 'gifting:{p00}:coins', gift.user) end"),
        ("neither", "redis.call('HGET', 'gifting:{p00}:coins', 'u')"),
    ],
)
async def test_the_check_sees_who_leaves(scene: Scene, half: str, code: str) -> None:
    with pytest.raises(ResponseError, match=f"{half} came to HGET"):
        await commit_apart(scene, code + "\n")


# In two calls, as on a cluster, where no call may touch two partitions.


class TwoCalls:
    """Gifts of one partition, each half in a call of its own."""

    def __init__(self, scene: Scene) -> None:
        self.scene, world = scene, scene.world
        self.halves = Halves(lambda _: world.redis, world.ledger.keys.bases, world.clock)

    async def debit(self, gifts: list[dict[str, Any]], room: int) -> Debited:
        items = [self.scene.item(gift, room) for gift in gifts]
        return await self.halves.debit(self.scene.world.base(gifts[0]["user"]), *items)

    async def send(self, gifts: list[dict[str, Any]], room: int) -> tuple[list[Reply], list[int]]:
        """What was said of each, and seq, count and streak of all that were given."""
        await self.halves.bear()
        debited = await self.debit(gifts, room)
        results: list[int] = []
        for number, blob in debited.blobs:
            (told,) = (await self.halves.credit(number, blob)).told
            assert told.how == APPLIED
            results += told.results or []
        return [Reply(*reply) for reply in debited.replies], results


async def left_behind(scene: Scene) -> dict[str, Any]:
    """All that gifts change, as it is read."""
    ledger, keys = scene.world.ledger, scene.world.ledger.keys
    return {
        "wallets": [await ledger.wallets.read(name) for name in (*SENDERS, *HOSTS)],
        "logs": [await scene.world.log(room) for room in scene.rooms],
        "snapshots": [await ledger.rooms.snapshot(room) for room in scene.rooms],
        "entries": [each async for _, _, each in read_ledger(scene.world.redis, dict.fromkeys(keys.bases, Span()))],
        "totals": [await scene.world.redis.hgetall(f"{base}:totals") for base in keys.bases],
    }


def some_gifts(scene: Scene) -> list[dict[str, Any]]:
    return [scene.record(SENDERS[0], 1, coins) for coins in (7, 7, 80, 1000, 0, 9)]


async def test_the_halves_run_as_two_calls_on_a_cluster(scene: Scene, cluster_redis_url: str) -> None:
    gifts = some_gifts(scene)
    results = await scene.world.raw_commit(*(scene.item(gift, 1) for gift in gifts))
    expected = [(result.how, result.status, result.coins) for result in results]
    assert [status for _, status, _ in expected][2:5] == [Status.OK, Status.INSUFFICIENT_COINS, Status.BAD_AMOUNT]
    async with Redis.from_url(cluster_redis_url) as client:
        await client.flushall()
    async with a_world(cluster_redis_url, partitions=PARTITIONS, like_interval=0) as world:
        apart = Scene(world)
        await apart.prepare()
        replies, told = await TwoCalls(apart).send(some_gifts(apart), 1)
        assert [(reply.how, reply.status, reply.coins) for reply in replies] == expected
        given = [result for result in results if result.seq]
        assert told == [number for each in given for number in (each.seq, each.repeat_count, each.streak)]
        assert await left_behind(apart) == await left_behind(scene)


async def test_a_gift_that_was_debited_is_credited_though_the_room_has_ended(scene: Scene) -> None:
    """What comes too late is not lost: only who asks before the debit is refused."""
    two, (gift, late) = TwoCalls(scene), some_gifts(scene)[:2]
    room = scene.rooms[1]
    await two.halves.bear()
    debited = await two.debit([gift], 1)
    await scene.world.ledger.rooms.end(room)
    assert (await two.debit([late], 1)).replies[0][1] == Status.ROOM_ENDED
    ((number, blob),) = debited.blobs
    await two.halves.credit(number, blob)
    assert await scene.world.ledger.wallets.read(HOSTS[1]) == (0, 7 * 500)
    assert [event["type"] for event in await scene.world.log(room)] == ["stream_end", "gift"]
    snapshot = await scene.world.ledger.rooms.snapshot(room)
    assert (snapshot.state, snapshot.coins) == ("ended", 7)
