"""The audit of gifts whose halves are in two partitions, with the scripts that take them: what is under way, what was
lost with its source, and what somebody has tampered with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gifting.ledger.audit import taking
from gifting.ledger.keys import park_key
from gifting.model.packing import pack, unpack_raw
from tests.support.scene import Scene, a_scene
from tests.support.world import START

pytestmark = pytest.mark.one_redis("books of a cluster are played on one server, whose halves are broken by hand")


@pytest.fixture(autouse=True)
def rooms_ended_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that is not Redis' own."""
    monkeypatch.setattr(taking, "LATE", 10 * START)


@pytest.fixture
async def scene(redis_url: str, redis_client: Any) -> AsyncIterator[Scene]:
    async with a_scene(redis_url) as scene:
        yield scene


async def test_gifts_in_two_halves_are_clean_at_each_step(scene: Scene) -> None:
    assert await scene.problems() == set()
    blobs = await scene.debit(0, 1, 1, count=2)
    report = await scene.audit()
    assert (report.problems, report.gifts) == ([], 9)
    assert report.crossed is not None
    assert (report.crossed.debited, report.crossed.credited) == (12, 6)
    assert (report.crossed.gifts, report.crossed.under_way, report.crossed.open) == (3, 6, 0)
    assert "3 gifts under way between partitions, 6 coins" in report.lines()
    assert report.as_json()["crossed"]["under_way"] == 6
    await scene.credit(0, blobs[0])
    assert (await scene.audit()).crossed.under_way == 4  # type: ignore[union-attr]
    await scene.credit(1, blobs[1])
    await scene.trim(*scene.items[1:])
    report = await scene.audit()
    assert (report.problems, report.crossed.gifts) == ([], 0)  # type: ignore[union-attr]


async def test_what_is_parked_is_under_way(scene: Scene) -> None:
    (first,), (second,) = await scene.debit(0), await scene.debit(0)
    await scene.credit(0, second)
    report = await scene.audit()
    assert (report.problems, report.crossed.gifts) == ([], 2)  # type: ignore[union-attr]
    await scene.credit(0, first)
    report = await scene.audit()
    assert (report.problems, report.crossed.gifts) == ([], 0)  # type: ignore[union-attr]


async def test_a_gift_to_a_room_that_has_ended_meanwhile_is_credited_and_logged(scene: Scene) -> None:
    blobs = await scene.debit(0, 1)
    await scene.world.ledger.rooms.end(scene.rooms[0])
    await scene.credit(0, blobs[0])
    assert await scene.problems() == set()
    scene.world.clock[0] += 10_000
    await scene.world.ledger.sweeper.sweep()
    assert await scene.problems() == set()


async def test_a_gift_to_a_room_that_is_gone_is_credited_to_its_host(scene: Scene) -> None:
    blobs = await scene.debit(0, 1)
    for name in await scene.redis.keys(f"{scene.base(0).replace('{', '[{]')}:room:*"):
        await scene.redis.delete(name)
    await scene.credit(0, blobs[0])
    report = await scene.audit()
    assert {group.name for group in report.groups} == {"room_missing"}, report.lines()
    assert not {"debit_without_credit", "credit_out_of_order"} & {problem.name for problem in report.problems}


async def test_what_was_credited_and_lost_by_its_source_is_named_with_its_coins(scene: Scene) -> None:
    saved = await scene.save()
    for _ in range(2):
        await scene.give(0)
    await scene.roll_back(saved)
    report = await scene.audit()
    assert [group.name for group in report.groups] == ["mark_ahead"], report.lines()
    (blob,) = await scene.debit(0)
    report = await scene.audit()
    assert (report.problems, report.crossed.fenced_gifts) == ([], 2)  # type: ignore[union-attr]
    await scene.credit(0, blob)
    report = await scene.audit()
    crossed = report.crossed
    assert crossed is not None
    assert (report.problems, crossed.fenced_gifts, crossed.fenced, crossed.gifts) == ([], 2, 2, 0)
    assert (crossed.fenced_diamonds, crossed.open) == (2 * 500, 0)
    (fence,) = crossed.fences
    assert fence.startswith(f"{scene.base(0)} has credited numbers 4 to 5 of {scene.source}, noted at {START + 1}")


async def test_a_key_that_was_lost_and_is_sent_again_is_credited_twice_and_told_as_fenced(scene: Scene) -> None:
    saved, key = await scene.save(), scene.world.key()
    await scene.credit(0, *await scene.debit(0, key=key))
    await scene.roll_back(saved)
    await scene.credit(0, *await scene.debit(0, key=key))
    report = await scene.audit()
    assert (report.problems, report.crossed.fenced_gifts) == ([], 1)  # type: ignore[union-attr]


# Tampering: each has its own name, and what follows from it is told below it.


async def causes(scene: Scene) -> set[str]:
    return {group.name for group in (await scene.audit()).groups}


async def test_an_item_that_is_gone_from_the_outbox(scene: Scene) -> None:
    await scene.debit(0, 1)
    await scene.redis.xdel(f"{scene.source}:outbox", scene.items[-1])
    assert await causes(scene) == {"outbox_hole"}


async def test_an_item_of_the_outbox_that_can_not_be_read(scene: Scene) -> None:
    await scene.redis.xadd(f"{scene.source}:outbox", {str(scene.number(0)): b"\xc1"})
    assert await causes(scene) == {"outbox_broken"}


async def test_a_number_that_is_in_the_outbox_twice(scene: Scene) -> None:
    (blob,) = await scene.debit(0)
    await scene.redis.xadd(f"{scene.source}:outbox", {str(scene.number(0)): blob})
    assert await causes(scene) == {"outbox_broken"}


async def test_a_gift_in_the_outbox_that_nobody_paid_for(scene: Scene) -> None:
    (blob,) = await scene.debit(0)
    source, seq, epochs, rooms, targets, values = unpack_raw(blob)
    forged = pack((source, seq, epochs, rooms, targets, values + values.replace(values[6:22], bytes(16), 1)))
    await replace_last(scene, forged)
    assert "outbox_without_debit" in await causes(scene)


async def test_an_amount_in_the_outbox_that_nobody_paid(scene: Scene) -> None:
    (blob,) = await scene.debit(0, count=7)
    source, seq, epochs, rooms, targets, values = unpack_raw(blob)
    assert values.count(b"\x07\x07") == 1
    await replace_last(scene, pack((source, seq, epochs, rooms, targets, values.replace(b"\x07\x07", b"\x07\x08"))))
    assert await causes(scene) == {"outbox_differs"}


async def replace_last(scene: Scene, blob: bytes) -> None:
    await scene.redis.xdel(f"{scene.source}:outbox", scene.items[-1])
    await scene.redis.xadd(f"{scene.source}:outbox", {str(scene.number(0)): blob})


async def mark(scene: Scene, change: int) -> None:
    """Raise the mark of the first room's partition."""
    name, source = f"{scene.base(0)}:marks", scene.halves.numbers[scene.source]
    value = await scene.redis.hget(name, source)
    await scene.redis.hset(name, source, bytes([value[0] + change]) + value[1:])


async def test_a_mark_that_passes_what_was_not_credited(scene: Scene) -> None:
    await scene.debit(0)
    await mark(scene, 1)
    assert await causes(scene) == {"debit_without_credit"}


async def test_a_mark_that_is_set_back(scene: Scene) -> None:
    await mark(scene, -1)
    assert await causes(scene) == {"mark_behind"}


async def test_a_mark_that_is_ahead(scene: Scene) -> None:
    await mark(scene, 1)
    assert await causes(scene) == {"mark_ahead"}


@pytest.mark.parametrize("name", ["marks", "line"])
async def test_what_is_no_mark_and_no_line(scene: Scene, name: str) -> None:
    base = scene.base(0) if name == "marks" else scene.source
    await scene.redis.hset(f"{base}:{name}", "77", b"\x01\x90")
    await scene.redis.hset(f"{base}:{name}", "0", b"no")
    assert "pair_broken" in await causes(scene)


async def test_a_fence_that_is_taken_away(scene: Scene) -> None:
    await fenced(scene)
    await scene.redis.delete(f"{scene.base(0)}:fenced")
    assert await causes(scene) == {"credit_without_debit"}


async def test_a_fence_for_what_was_paid(scene: Scene) -> None:
    await fenced(scene)
    fields = {"source": scene.halves.numbers[scene.source], "from": 1, "to": 2, "had": 1, "lost": 2, "at": START}
    await scene.redis.xadd(f"{scene.base(0)}:fenced", fields)
    assert await causes(scene) == {"fence_differs"}


async def test_a_fence_that_can_not_be_read(scene: Scene) -> None:
    await scene.redis.xadd(f"{scene.base(0)}:fenced", {"source": "x"})
    assert await causes(scene) == {"pair_broken"}


async def fenced(scene: Scene) -> None:
    saved = await scene.save()
    await scene.give(0)
    await scene.roll_back(saved)
    await scene.give(0)


async def test_another_blob_that_is_parked_than_was_sent(scene: Scene) -> None:
    await scene.debit(0)
    (second,) = await scene.debit(0)
    await scene.credit(0, second)
    park = park_key(scene.base(0), scene.halves.numbers[scene.source])
    assert await scene.redis.hexists(park, "5")
    await scene.redis.hset(park, "5", pack([second + b"\x00"])[1:])
    assert await causes(scene) == {"parked_differs"}


async def test_a_partition_that_has_lost_its_line(scene: Scene) -> None:
    await scene.redis.delete(f"{scene.base(0)}:line")
    assert await causes(scene) == {"partition_lost"}
