"""Every script declares in KEYS what it touches, and nothing that never exists: so slots can migrate and ACLs hold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting.ledger import commit_call, keys, scripts
from gifting.ledger.commit import Packed, PendingCommit, pack_batch
from gifting.ledger.days import Days
from gifting.ledger.meta import ARCHIVE
from gifting.ledger.payouts import Hold
from gifting.model import limits
from gifting.model.cases import Case, Decision
from gifting.model.events import encode_event
from gifting.model.house import PersonChange, RulesChange
from gifting.model.money import parse_key
from gifting.model.old_payouts import Gone, pack_gone
from gifting.model.packing import pack
from gifting.model.payout_table import PAYOUT
from gifting.model.protection import Protection
from gifting.model.reports import Report
from gifting.model.reversals import Given
from gifting.model.values import RoomRef
from tests.support import two_calls
from tests.support.archived import archive_and_trim
from tests.support.keys import session_keys
from tests.support.lua import hook
from tests.support.orders import anyone, draft, paid
from tests.support.two_calls import gift_item
from tests.support.world import STREAK, WINDOW, World, a_world

DECLARED = """
local declared, free = {}, { TIME = true, INFO = true, SPUBLISH = true }
for _, key in ipairs(KEYS) do
  declared[key] = true
end
"""
CHECK = """
if not free[command] and not declared[key] then
  error({ err = 'ERR ' .. command .. ' of an undeclared key, ' .. tostring(key) }, 0)
end
return real.call(command, key, ...)
"""


def shape(key: str) -> str:
    """A key as the table in keys.py writes it."""
    key = re.sub(r"^gifting:{p\d\d[^}]*}", "{pNN}", key)
    key = re.sub(r":room:[^/]+", ":room:R", key)
    key = re.sub(r":held:.*", ":held:H", key)
    key = re.sub(r":people:.*", ":people:H", key)
    key = re.sub(r":park/\d+", ":park/S", key)
    key = re.sub(r":overlays:.*", ":overlays:H", key)
    key = re.sub(r":(orders|wards|reversals|cases):.*", r":\1:U", key)
    key = re.sub(r":clawbacks:.*", ":clawbacks:H", key)
    key = re.sub(r":payouts:.*", ":payouts:H", key)
    key = re.sub(r":promotion:.*", ":promotion:I", key)
    key = re.sub(r":revoked:.*", ":revoked:K", key)
    return re.sub(r":(keys|grants):\d+$", r":\1:B", key)


def table() -> set[str]:
    shapes = re.findall(r"``({p\w+}:[^`]+)``  ", keys.__doc__ or "")
    return {one.replace("{p00}", "{pNN}") for one in shapes}


class Recorder:
    """Which keys each script was called with, and which of all these were ever there."""

    def __init__(self, patch: pytest.MonkeyPatch, redis: Any) -> None:
        self.redis = redis
        self.names: dict[str, set[str]] = defaultdict(set)
        self.there: set[str] = set()
        call = scripts.call

        async def recorded(redis: Any, name: str, keys: list[str], *args: Any) -> Any:
            self.names[name] |= {str(key.decode() if isinstance(key, bytes) else key) for key in keys}
            return await call(redis, name, keys, *args)

        def packed(batch: Sequence[PendingCommit]) -> Packed:
            made = pack_batch(batch)
            self.names["commit"] |= set(made.keys.decode().split("\r\n")[1::2])
            return made

        run = two_calls.run

        async def recorded_wire(redis: Any, call: bytes) -> Any:
            words = call.split(b"\r\n")[2::2]
            texts = {scripts.source(name, cluster=True).encode(): name for name in ("debit", "credit")}
            name = texts[words[1]]  # ``hook`` lets every call bring its text along
            self.names[name] |= {key.decode() for key in words[3 : 1 + int(words[2])]}
            return await run(redis, call)

        patch.setattr(two_calls, "run", recorded_wire)
        patch.setattr(scripts, "call", recorded)
        patch.setattr(commit_call, "pack_batch", packed)

    async def look(self) -> None:
        self.there |= {name.decode() async for name in self.redis.scan_iter()}


@pytest.fixture
async def world(redis_client: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    hook(monkeypatch, DECLARED, CHECK)
    rate = "1/3"  # has remainders
    async with a_world(redis_url, partitions=4, like_interval=0, diamonds_per_coin=rate) as made:
        yield made


async def live_through_everything(world: World, recorder: Recorder) -> None:
    """What ledgers do, each script at least once."""
    ledger = world.ledger
    rooms = [await ledger.rooms.open(f"r{number}", f"host{number}", "", "") for number in range(2, 6)]
    for user in ("ann", "bob", "cat"):
        await world.grant(user, 100)
    await world.protect("ann", limits={"day": 100})
    order = await ledger.orders.open(draft("ann", world.key(), promotion="spring", promotion_cost=20), anyone, 100)
    await recorder.look()
    await ledger.orders.apply(paid(order))
    gifts: list[dict[str, Any]] = [
        {"user": user, "room": room, "key": world.key(age)}
        for user in ("ann", "bob", "cat")
        for room in rooms
        for age in (0, WINDOW)
    ]
    await world.together(*gifts)
    await world.told(lambda done: ledger.free.like(rooms[0], 1, done))
    await world.told(lambda done: ledger.free.post(rooms[0], encode_event("share", {}), done))
    await ledger.rooms.presence(rooms[0], "node", 3)
    await ledger.people.set_rules(rooms[0], RulesChange(slow_mode=9))
    await ledger.people.decide(rooms[0], "dan", PersonChange(blocked=True))
    event = encode_event("comment", {"user": {"id": "ann"}, "text": "hello"})
    await world.told(lambda done: ledger.free.post(rooms[0], event, done, user="ann", spoken=True))
    await ledger.held.hold(rooms[0], world.sender("bob"), "see example.com", "link", 30)
    (held,) = await ledger.held.of_room(rooms[0])
    await recorder.look()
    await ledger.held.decide(rooms[0], held.id, post=True)
    await ledger.comments.remove(rooms[0], next(e["seq"] for e in await world.log(rooms[0]) if e["type"] == "comment"))
    await recorder.look()
    await reverse_a_gift(world, rooms[1], recorder)
    await ledger.rooms.live("start", "", 10)
    for room in rooms:
        await ledger.rooms.snapshot(room)
        await ledger.rooms.top(room, 3)
        assert await ledger.rooms.replay(room, 0, 1000)
    await ledger.rooms.presence(rooms[0], "node", 0)
    world.clock[0] += STREAK + 1
    assert (await ledger.sweeper.sweep())[0] == 12
    for room in rooms:
        await world.send(room=room)
        await ledger.rooms.end(room)
    await recorder.look()
    world.clock[0] += 3 * WINDOW
    await world.forget()
    await ledger.overlays.note(rooms[0], "r2~token", 60)
    await ledger.revocations.revoke_user("ann")
    await ledger.bans.ban("dan", "a test", "op")
    name = await ledger.reports.add(Report(by="ann", kind="spam", room="r2", user="", seq=0, said="", text=""))
    await recorder.look()
    await ledger.reports.close(name)
    await ledger.bans.unban("dan", "a test", "op")
    assert await ledger.sandbox.write("cs_1", b"", b"known", world.clock[0], world.clock[0])
    await ledger.deliveries.note("google:GPA.1", world.clock[0], ["coins.20", "token"])
    await pay_and_archive(world, rooms[0], recorder)
    for guardian in ("mum", "dad"):
        await ledger.wards.link("ann", partial(invite, guardian), what="guardian_asked", value=guardian, by="ann")
        await recorder.look()
    await archive_and_trim(world.redis, ledger.keys)
    await recorder.look()


async def reverse_a_gift(world: World, room: RoomRef, recorder: Recorder) -> None:
    key, reversals = world.key(), world.ledger.reversals
    sent = await world.send(room=room, key=key)
    gift = Given(parse_key(key), "ann", room.id, room.host, sent.seq, "spark", 1, 1, 333, world.clock[0])
    await ask_support(world, recorder)
    half = await reversals.give_back(gift, "op", "a test", "", world.clock[0])
    await recorder.look()
    await reversals.take_from_host(half, world.clock[0])
    await recorder.look()


async def ask_support(world: World, recorder: Recorder) -> None:
    case = await world.ledger.cases.open(Case(id=world.key(), user="ann", kind="other", at=1, gift=world.key()))
    await recorder.look()
    await world.ledger.cases.decide(case.id, Decision("reversed", "a test", "op", 1))
    await recorder.look()
    await world.ledger.cases.finish(case.id, 1)


async def in_two_calls(world: World, recorder: Recorder) -> None:
    """What comes early, and what is lost by its source, too."""
    halves, base = two_calls.Halves(lambda _: world.redis, world.ledger.keys.bases, world.clock), world.base("ann")
    room = await world.ledger.rooms.open("r9", "host9", "", "")
    await halves.bear()
    first = (await halves.debit(base, gift_item(world, "ann", room))).blobs[0]
    line = await world.redis.dump(f"{base}:line")
    second = (await halves.debit(base, gift_item(world, "ann", room))).blobs[0]
    await halves.credit(*second)
    await recorder.look()
    await halves.credit(*first)
    await world.redis.restore(f"{base}:line", 0, line, replace=True)
    await world.redis.hset(f"{base}:line", "lineage", "another")
    again = await halves.debit(base, gift_item(world, "ann", room))
    await halves.credit(*again.blobs[0])
    await recorder.look()


async def erase_and_rank(world: World, room: RoomRef) -> None:
    ledger, key = world.ledger, world.ledger.keys.room(room.host, room.id)
    ranked = partial(replace, tier="partner")
    await ledger.creators.change(room.host, ranked, what="tier", value="partner", by="op", commission=100)
    await world.redis.hset(ledger.keys.meta, ARCHIVE, "an archive's")
    await ledger.erasures.ask("ann", "ann", "")
    await ledger.acts.note("op", "operator", "ranked", {}, "a test")
    await scripts.call(world.redis, "profile_erase", [key, f"{key}/users"], "ann", b"ann")
    await scripts.call(world.redis, "room_archived", [key, f"{key}/log", f"{key}/removed"], "1")


async def pay_and_archive(world: World, room: RoomRef, recorder: Recorder) -> None:
    await in_two_calls(world, recorder)
    await erase_and_rank(world, room)
    await world.ledger.payouts.request(replace(PAYOUT, host="host2", diamonds=1), Hold(0), lambda _: None)
    await world.ledger.sandbox.pay("a payout", world.clock[0])
    mark = f"{world.ledger.keys.bases[0]}:archived"
    await scripts.call(world.redis, "archived", [mark, f"{mark}/items"], "1-1", 1)


def invite(guardian: str, record: Protection, _: int) -> Protection:
    return limits.invite(record, guardian)


@pytest.mark.one_redis("commit and its halves are watched in one call")
async def test_what_is_declared_is_touched_and_what_is_touched_is_declared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(monkeypatch, world.redis)
    await live_through_everything(world, recorder)
    await Days(world.redis, world.ledger.keys).raise_to(world.clock[0], 0)
    payouts = world.ledger.keys.payouts_of("host2")[:1]
    await scripts.call(world.redis, "payouts_forget", payouts, pack((1, pack_gone(Gone()), [])))
    assert set(scripts.NAMES) - recorder.names.keys() == {"rooms_page"}, "it goes in a pipeline"
    there = {shape(name) for name in recorder.there}
    for script, names in recorder.names.items():
        assert {shape(name) for name in names} <= there, script


@pytest.mark.one_redis("commit and its halves are watched in one call")
async def test_every_key_is_in_the_table_of_keys(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch, world.redis)
    await live_through_everything(world, recorder)
    used = {shape(name) for names in (recorder.there, *recorder.names.values()) for name in names}
    assert used <= table()
    assert {one.split(":")[1] for one in table() - used} == {"chain", "peaks", "waited"}, (
        "a full batch, a clock that goes back, a cluster"
    )


@pytest.mark.parametrize(
    "code", ["redis.call('GET', KEYS[1] .. 'x')", "redis.call('HGET', 'gifting:{p00}:coins', 'a')"]
)
async def test_the_check_sees_what_is_not_declared(world: World, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    text = scripts.source("top").partition("local function top_of")[0] + "\nreturn " + code
    with pytest.raises(ResponseError, match="undeclared"):
        await world.redis.eval(text, 1, session_keys(16).bases[0])
