"""What is credited from the ledger, with the scripts that credit it: whose gifts, how they are shown, and what is
refused since something contradicts it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from gifting.errors import ArchiveNeeded, Unmendable
from gifting.ledger.audit import taking
from gifting.ledger.cluster.credit_call import Blob, Credited
from gifting.ledger.cluster.debit_call import Debited, Riding
from gifting.ledger.keys import BUCKET_MS
from gifting.ledger.lookup import read_record
from gifting.ledger.mending.blob import Maker
from gifting.ledger.mending.gaps import Gap
from gifting.ledger.mending.mender import Mender
from gifting.ledger.moved import CAME
from gifting.ledger.stream import Item, item_order
from gifting.model.catalog import load_catalog
from gifting.model.money import key_time, parse_key
from tests.support.scene import Scene, a_scene
from tests.support.world import START

pytestmark = pytest.mark.one_redis("books of a cluster are played on one server, whose halves are broken by hand")


@pytest.fixture(autouse=True)
def rooms_ended_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that is not Redis' own."""
    monkeypatch.setattr(taking, "LATE", 10 * START)


class Said:
    """Calls of a scene, as the mender makes them."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    async def debit(self, number: int, riding: Riding) -> Debited:
        return await self.scene.halves.debit(self.scene.halves.bases[number], riding=riding)

    async def credit(self, number: int, blobs: Sequence[Blob]) -> Credited:
        return await self.scene.halves.credit(number, *blobs)


class Holed:
    """A scene whose first room's partition went back behind numbers 4 to 6, of which the outbox has none."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.redis, self.base = scene, scene.redis, scene.base(0)
        maker = Maker(scene.world.ledger.meta.salt, load_catalog())
        self.mender = Mender(scene.redis, scene.keys, Said(scene), maker)  # type: ignore[arg-type]

    async def lose(self, *gifts: dict[str, Any]) -> None:
        """What these have given, a call each, is credited, trimmed, and lost again."""
        scene = self.scene
        saved = await scene.save(self.base)
        for more in gifts:
            rooms = more.pop("rooms", (0,))
            await scene.credit(0, *await scene.debit(*rooms, **more))
        await scene.trim(*scene.items)
        await scene.roll_back(saved, self.base)

    async def mend(self) -> list[Gap]:
        gaps = await self.mender.find()
        for gap in gaps:
            assert await self.mender.mend(gap) == len(gap.gifts())
        assert await self.mender.find() == []
        return gaps

    async def mark(self) -> bytes:
        found: bytes = await self.redis.hget(f"{self.base}:marks", self.scene.halves.numbers[self.scene.source])
        return found

    async def kept(self, key: str) -> tuple[int, int]:
        """Of a gift's result, seq and repeat_count."""
        raw = parse_key(key)
        record = await self.redis.hget(f"{self.scene.source}:keys:{key_time(raw) // BUCKET_MS}", raw)
        return (told := read_record(record)).seq, told.repeat_count

    async def refused(self, why: str) -> None:
        """Nothing is credited."""
        marks = await self.mark()
        with pytest.raises(Unmendable, match=why):
            await self.mender.find()
        assert await self.mark() == marks


@pytest.fixture
async def holed(redis_url: str, redis_client: Any) -> AsyncIterator[Holed]:
    async with a_scene(redis_url) as scene:
        yield Holed(scene)


async def test_what_is_missing_is_credited_exactly_and_shown_as_far_as_it_is_certain(holed: Holed) -> None:
    scene = holed.scene
    ann = scene.world.sender(scene.user)
    masked = scene.world.ledger.gifts.masked(ann, scene.rooms[0])
    await holed.lose({"count": 3}, {"sender": masked}, {"message": "for you"})
    assert await scene.problems() == {"outbox_hole", "debit_without_credit"}
    (gap,) = await holed.mend()
    assert (gap.footing, gap.last, list(gap.numbers())) == (3, 6, [4, 5, 6])
    report = await scene.audit()
    assert (report.problems, report.crossed.open) == ([], 0)  # type: ignore[union-attr]
    events = [event for event in await scene.world.log(scene.rooms[0]) if event["seq"] > 3]
    shown = [(event["user"]["id"], event["user"]["name"], event["coins"], event["message"]) for event in events]
    hidden = (masked.shown, "Anonymous", 1, None)
    assert shown == [("ann", "ann", 3, None), hidden, hidden], "with a message it might have been anonymous"
    ranking = await scene.redis.zrange(
        f"{scene.keys.room(scene.hosts[0], scene.rooms[0].id)}/top", 0, -1, withscores=True
    )
    assert dict(ranking) == {b"ann": 3 + 3, masked.shown.encode(): 2}
    assert {event["gift"]["name"] for event in events} == {load_catalog()["spark"].name}
    assert {event["to_user"]["name"] for event in events} == {scene.hosts[0]}
    assert {event["user"]["level"] for event in events[:1]} == {1}, "as the room knows the sender"
    assert all(event["repeat_end"] and not event["gift"]["streakable"] for event in events)


async def test_gifts_go_on_behind_what_was_missing(holed: Holed) -> None:
    await holed.lose({}, {"rooms": (0, 0)})
    late = [blob for _ in range(2) for blob in await holed.scene.debit(0)]
    await holed.scene.credit(0, late[1])  # is parked
    (gap,) = await holed.mend()
    assert [len(gap.found[number]) for number in gap.numbers()] == [1, 2]
    await holed.scene.credit(0, *late)
    assert await holed.scene.problems() == set()
    assert (await holed.scene.audit()).crossed.gifts == 0  # type: ignore[union-attr]


async def test_what_the_outbox_has_between_is_credited_in_its_place(holed: Holed) -> None:
    scene = holed.scene
    await scene.debit(0)
    await scene.debit(0, count=2, message="kept")
    await scene.debit(0)
    await scene.redis.xdel(f"{scene.source}:outbox", scene.items[-3], scene.items[-1])
    gaps = await holed.mender.find()
    (gap,) = gaps
    assert list(gap.missing) == [(4, 4), (6, 6)]
    assert await holed.mender.mend(gap) == 3
    assert await scene.problems() == set()
    events = await scene.world.log(scene.rooms[0])
    assert [event["message"] for event in events if event["seq"] > 3] == [None, "kept", None]


async def test_a_result_that_was_pending_is_told(holed: Holed) -> None:
    key = holed.scene.world.key()
    await holed.scene.debit(0, key=key)
    await holed.redis.xdel(f"{holed.scene.source}:outbox", holed.scene.items[-1])
    assert await holed.kept(key) == (0, 0)
    await holed.mend()
    assert await holed.kept(key) == (4, 1)


async def test_a_source_that_went_back_too_is_fenced_and_its_new_numbers_are_credited(holed: Holed) -> None:
    scene = holed.scene
    saved = await scene.save()
    await scene.give(0)
    await scene.give(0)
    await scene.roll_back(saved)  # 4 and 5 are credited, and not debited
    await holed.lose({"count": 2}, {"count": 3})  # 4 and 5 again, of another epoch
    (gap,) = await holed.mend()
    assert list(gap.numbers()) == [4, 5]
    report = await scene.audit()
    assert (report.problems, report.crossed.fenced_gifts, report.crossed.open) == ([], 2, 0)  # type: ignore[union-attr]


async def test_a_key_that_its_source_lost_and_was_given_again_is_credited_though_it_is_there(holed: Holed) -> None:
    scene, key = holed.scene, holed.scene.world.key()
    saved = await scene.save()
    await scene.credit(0, *await scene.debit(0, key=key))
    await scene.roll_back(saved)
    await holed.lose({"key": key})
    await holed.mend()
    report = await scene.audit()
    assert (report.problems, report.crossed.fenced_gifts) == ([], 1)  # type: ignore[union-attr]


async def test_a_destination_that_went_back_by_more_epochs_than_are_kept(holed: Holed) -> None:
    scene = holed.scene
    saved = await scene.save(holed.base)
    for number in range(8):
        reached = int(await scene.redis.hget(f"{scene.source}:line", "epoch"))
        await scene.redis.hset(f"{scene.source}:line", "lineage", f"another {number}")
        await scene.credit(0, *await scene.debit(0, riding=Riding({scene.number(0): reached})))
    await scene.trim(*scene.items)
    await scene.roll_back(saved, holed.base)
    (gap,) = await holed.mend()
    assert list(gap.numbers()) == list(range(4, 12))
    assert gap.given.epochs[0].base > 4, "the first of them are forgotten"
    assert await scene.problems() == set()


async def test_a_destination_that_has_nothing_of_a_source_is_given_all(holed: Holed) -> None:
    scene = holed.scene
    await holed.redis.hdel(f"{scene.base(1)}:marks", scene.halves.numbers[scene.source])
    other = await scene.save(scene.base(1))
    await holed.redis.delete(*[name for name in other if name.endswith(b":ledger")])
    await scene.trim(*scene.items)
    gaps = await holed.mender.find()
    (gap,) = gaps
    assert (gap.footing, list(gap.numbers())) == (0, [1, 2, 3])
    assert await holed.mender.mend(gap) == 3


async def test_what_came_with_a_move_has_no_numbers(holed: Holed) -> None:
    """The first three gifts were given on one Redis."""
    redis, keys = holed.redis, holed.scene.keys
    for base in keys.bases:
        await redis.delete(f"{base}:marks", f"{base}:outbox")
        last = await redis.xrevrange(f"{base}:ledger", count=1)
        await redis.hset(f"{base}:line", CAME, last[0][0] if last else "0-0")
        await redis.hdel(f"{base}:line", *range(len(keys.bases)))
    await holed.lose({}, {"count": 2})
    (gap,) = await holed.mender.find()
    assert (gap.footing, list(gap.numbers())) == (0, [1, 2])
    await redis.set(f"{holed.scene.source}:trimmed", await redis.hget(f"{holed.scene.source}:line", CAME))
    await holed.mend()
    await redis.delete(f"{holed.scene.source}:trimmed")
    assert await holed.scene.problems() == set()


# What contradicts it.


async def test_a_ledger_that_has_a_debit_without_a_number(holed: Holed) -> None:
    await holed.lose({}, {})
    (_, fields), *_ = await holed.redis.xrevrange(f"{holed.scene.source}:ledger", count=1)
    await holed.redis.xadd(f"{holed.scene.source}:ledger", fields)
    await holed.refused("is before what is missing, and not credited")


async def test_a_ledger_that_lacks_a_debit(holed: Holed) -> None:
    await holed.lose({}, {})
    await holed.redis.delete(f"{holed.scene.source}:ledger")
    await holed.refused("has no more gifts than those from number 6 on")


async def test_a_ledger_that_has_more_debits_than_numbers(holed: Holed) -> None:
    scene = holed.scene
    await holed.lose({})
    name, number = f"{scene.source}:line", scene.number(0)
    value = await holed.redis.hget(name, number)
    await holed.redis.hset(name, number, bytes([value[0] - 1]) + value[1:])
    await holed.redis.hdel(f"{holed.base}:marks", scene.halves.numbers[scene.source])
    await holed.refused("was debited before number 1")


async def test_a_ledger_that_is_not_what_the_outbox_has(holed: Holed) -> None:
    await holed.lose({}, {})
    await holed.scene.debit(0)
    _, (_, fields), *_ = await holed.redis.xrevrange(f"{holed.scene.source}:ledger")
    await holed.redis.xadd(f"{holed.scene.source}:ledger", fields)
    await holed.refused("is not what the outbox has as number 6")


async def test_what_is_credited_already(holed: Holed) -> None:
    mark = await holed.mark()
    await holed.scene.trim(*holed.scene.items)
    await holed.redis.hset(
        f"{holed.base}:marks", holed.scene.halves.numbers[holed.scene.source], bytes([mark[0] - 1]) + mark[1:]
    )
    await holed.refused("is credited already")


async def test_what_can_not_be_read(holed: Holed) -> None:
    await holed.lose({})
    await holed.redis.xadd(f"{holed.scene.source}:ledger", {"e": b"\xc1"})
    await holed.refused(":ledger ")
    await holed.redis.xadd(f"{holed.scene.source}:outbox", {str(holed.scene.number(0)): b"\xc1"})
    await holed.refused(":outbox ")


async def test_a_destination_that_goes_back_meanwhile(holed: Holed) -> None:
    saved = await holed.scene.save(holed.base)
    await holed.scene.give(0)
    await holed.lose({}, {})
    (gap,) = await holed.mender.find()
    await holed.scene.roll_back(saved, holed.base)
    with pytest.raises(Unmendable, match=r"is at number 3 of .* now: another run begins there"):
        await holed.mender.mend(gap)
    await holed.mend()
    assert await holed.scene.problems() == set()


async def test_a_source_that_goes_back_while_it_is_read(holed: Holed) -> None:
    await holed.lose({}, {})
    said, calls = Said(holed.scene), 0

    async def debit(number: int, riding: Riding) -> Debited:
        nonlocal calls
        calls += 1
        await holed.redis.hset(f"{holed.scene.source}:line", "lineage", f"another {calls}")
        return await Said.debit(said, number, riding)

    said.debit = debit  # type: ignore[method-assign]
    mender = Mender(holed.redis, holed.scene.keys, said, holed.mender._maker)  # type: ignore[arg-type]
    with pytest.raises(Unmendable, match="Masters are replaced"):
        await mender.find()


# What is in the archive only.


async def test_what_the_ledger_has_no_more_is_taken_from_the_archive(holed: Holed) -> None:
    scene = holed.scene
    await holed.lose({}, {})
    name = f"{scene.source}:ledger"
    archived = [Item(scene.source, item.decode(), fields[b"e"]) for item, fields in await holed.redis.xrange(name)]
    middle = archived[-1].id
    await holed.redis.xtrim(name, minid=middle, approximate=False)
    await holed.redis.set(f"{scene.source}:trimmed", middle)
    with pytest.raises(ArchiveNeeded, match=f"before {middle}"):
        await holed.mender.find()

    async def older(base: str, before: str) -> AsyncIterator[Item]:
        for item in reversed(archived):
            if base == scene.source and item_order(item.id) < item_order(before):
                yield item

    (gap,) = await holed.mender.find(older)
    assert await holed.mender.mend(gap) == 2
    assert gap.found.keys() == {3, 4, 5}
    mark = await holed.mark()
    assert mark[0] == 5
