"""Settlements are taken in page by page: once each, whoever dies in between, and however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gifting.archive.collecting import OVERLAP, Place, collect, read_place
from gifting.archive.schema import books, locks, settlements
from gifting.archive.store import Store
from gifting.errors import ProviderFailed
from gifting.model.periods import ends, starts
from gifting.model.settlements import SettledPage, Settlement
from tests.support.archive import rows_of

MADE = starts(202611)
DAY = 86_400_000


def movement(number: int, at: int) -> Settlement:
    return Settlement("stripe", f"txn_{number}", f"o{number}", "payment", 100, "EUR", "", 100, 0, 3, 97, "EUR", at)


class Provider:
    """Tells movements, the newest first, two a page; ``fails`` says after how many pages it does not answer once."""

    name = "stripe"

    def __init__(self, moves: Sequence[Settlement], fails: int = -1) -> None:
        self.moves, self.fails = list(moves), fails
        self.asked: list[tuple[int, int, str]] = []

    async def settlements(self, since_ms: int, until_ms: int, page: str) -> SettledPage:
        if self.fails == 0:
            self.fails = -1
            raise ProviderFailed
        self.fails -= 1
        self.asked.append((since_ms, until_ms, page))
        found = sorted((one for one in self.moves if since_ms <= one.at < until_ms), key=lambda one: -one.at)
        start = next((place for place, one in enumerate(found, 1) if one.reference == page), 0)
        rows = found[start : start + 2]
        return SettledPage(rows, rows[-1].reference if len(found) > start + 2 else "")


@pytest.fixture
async def archive(store: Store) -> Store:
    async with store.writing() as connection:
        await store.insert(connection, books, [("id", "gifting", 1, MADE)])
    return store


async def references(store: Store) -> list[str]:
    return sorted(row[1] for row in await rows_of(store, settlements))


MOVES = [movement(number, MADE + number * 1000) for number in range(7)]


@pytest.mark.parametrize("fails", range(4))
async def test_what_broke_off_goes_on_where_it_was(archive: Store, fails: int) -> None:
    provider = Provider(MOVES, fails)
    now = MADE + DAY
    with pytest.raises(ProviderFailed):
        await collect(archive, provider, now)
    assert len(await references(archive)) == 2 * fails
    provider.moves.append(movement(8, now + 1000))
    await collect(archive, provider, now + DAY)
    assert await references(archive) == [f"txn_{number}" for number in (*range(7), 8)]
    assert await read_place(archive, "stripe") == Place(now + DAY - OVERLAP)
    pages = [page for _, until, page in provider.asked if until == now]
    assert pages == (["", "txn_5", "txn_3", "txn_1"] if fails else [])


async def test_the_first_is_asked_from_the_month_before_and_the_next_from_where_it_ended(archive: Store) -> None:
    provider = Provider([movement(1, starts(202610))])
    assert await collect(archive, provider, MADE + DAY) == 1
    provider.moves.append(movement(2, MADE + DAY - 1000))
    assert await collect(archive, provider, MADE + 2 * DAY) == 1
    assert [span[:2] for span in provider.asked] == [
        (starts(202610), MADE + DAY),
        (MADE + DAY - OVERLAP, MADE + 2 * DAY),
    ]


async def test_a_clock_that_was_ahead_loses_nothing(archive: Store) -> None:
    provider = Provider([])
    await collect(archive, provider, starts(203001))
    provider.moves = [movement(1, MADE + DAY)]
    assert await collect(archive, provider, MADE + 2 * DAY) == 1


async def test_of_several_at_once_each_movement_is_taken_in_once(archive: Store) -> None:
    providers = [Provider(MOVES) for _ in range(3)]
    new = await asyncio.gather(*(collect(archive, provider, MADE + DAY) for provider in providers))
    assert sum(new) == 7
    assert len(await references(archive)) == 7


class Overtaken(Provider):
    """While it is asked for the second page, another takes in that and the next."""

    def __init__(self, moves: Sequence[Settlement], store: Store, now: int) -> None:
        super().__init__(moves)
        self.store, self.now = store, now

    async def settlements(self, since_ms: int, until_ms: int, page: str) -> SettledPage:
        found = await super().settlements(since_ms, until_ms, page)
        if page == "txn_5":
            with pytest.raises(ProviderFailed):
                await collect(self.store, Provider(MOVES, fails=2), self.now)
        return found


async def test_who_was_overtaken_goes_on_from_where_the_other_is(archive: Store) -> None:
    provider = Overtaken(MOVES, archive, MADE + DAY)
    assert await collect(archive, provider, MADE + DAY) == 3
    assert [page for _, _, page in provider.asked] == ["", "txn_5", "txn_1"]
    assert len(await references(archive)) == 7


async def test_what_is_told_otherwise_stays_as_it_was(archive: Store, caplog: pytest.LogCaptureFixture) -> None:
    await collect(archive, Provider(MOVES[:1]), MADE + DAY)
    changed = Provider([MOVES[0]._replace(fee=4, net=96, at=MADE + DAY), movement(5, MADE + DAY)])
    assert await collect(archive, changed, MADE + 2 * DAY) == 1
    kept = {row[1]: row[9] for row in await rows_of(archive, settlements)}
    assert kept == {"txn_0": 3, "txn_5": 3}
    assert "txn_0" in caplog.text


async def test_what_is_settled_in_a_locked_month_is_told_in_the_next(archive: Store) -> None:
    async with archive.writing() as connection:
        await store_lock(connection)
    await collect(archive, Provider([movement(1, ends(202610) - 1), movement(2, ends(202612) + 1)]), ends(202612) + DAY)
    assert {row[1]: row[-1] for row in await rows_of(archive, settlements)} == {"txn_1": 202612, "txn_2": 202701}


async def store_lock(connection: object) -> None:
    """October and November are."""
    for period in (202611, 202610):
        values = {"period": period, "at": 1, "who": "fay", "breakage_after": 0, "reports_hash": b""}
        await connection.execute(locks.insert().values(values))  # type: ignore[attr-defined]
