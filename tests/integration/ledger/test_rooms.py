"""The list of live rooms, page by page, and how many rooms one creator may have in it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gifting import errors
from gifting.config import load
from gifting.ledger.ledger import Ledger
from gifting.ledger.listing import SETS, Sort, make_cursor, read_cursor
from gifting.model.catalog import load_catalog
from tests.support.raw_http import ask
from tests.support.server import Server

ROOMS = 40
START = 1_700_000_000_000


@pytest.fixture
async def ledger(redis_url: str, redis_client: Any) -> AsyncIterator[Ledger]:
    """Rooms of many hosts, two of which begin at a time; the viewers of many are equal, of most there are none."""
    clock = [START]
    ledger = Ledger(redis_url, load({"creator_rooms": 3}, environ={}), load_catalog(), lambda: str(clock[0]))
    await ledger.start()
    for number in range(ROOMS):
        clock[0] += number % 2
        room = await ledger.rooms.open(f"r{number}", f"h{number}", "", "")
        if number % 4 == 0:
            await ledger.rooms.presence(room, "node", number % 3 * 10)
    yield ledger
    await ledger.stop()


def expected(sort: Sort) -> list[str]:
    def place(number: int) -> tuple[int, str]:
        score = (number + 1) // 2 if sort == "start" else 0 if number % 4 else number % 3 * 10
        return score, f"r{number}"

    return [room for _, room in sorted(map(place, range(ROOMS)), reverse=True)]


@pytest.mark.parametrize("sort", SETS)
@pytest.mark.parametrize("limit", [1, 7, 39, 40, 200])
async def test_the_pages_are_the_whole_list_each_room_once(ledger: Ledger, sort: Sort, limit: int) -> None:
    pages: list[Any] = []
    cursor = ""
    while not pages or cursor:
        page, cursor = await ledger.rooms.live(sort, cursor, limit)
        assert len(page) == limit or not cursor
        pages.append(page)
    assert [room for page in pages for room in page] == expected(sort)


@pytest.mark.parametrize("sort", SETS)
async def test_a_cursor_holds_though_its_room_is_gone(ledger: Ledger, sort: Sort) -> None:
    first, cursor = await ledger.rooms.live(sort, "", 10)
    for room in first:
        await ledger.rooms.end(await ledger.rooms.find(room))
    rest, _ = await ledger.rooms.live(sort, cursor, 200)
    assert first + rest == expected(sort)
    assert (await ledger.rooms.live(sort, "", 200))[0] == rest


@pytest.mark.attack
async def test_a_creator_has_so_many_live_rooms_and_hides_nobody(ledger: Ledger) -> None:
    refused = 0
    for number in range(50):
        try:
            await ledger.rooms.open(f"spam{number}", "spammer", "", "")
        except errors.TooManyLiveRooms:
            refused += 1
    assert refused == 47
    found, _ = await ledger.rooms.live("start", "", 200)
    assert sum(room.startswith("spam") for room in found) == 3
    assert set(expected("start")) < set(found)
    known = [room for base in ledger.keys.bases for room in await ledger.redis.hkeys(f"{base}:directory")]
    assert sum(room.startswith(b"spam") for room in known) == 3, "refused names are not kept"
    assert await ledger.rooms.open("spam0", "spammer", "", "") == await ledger.rooms.find("spam0")
    await ledger.rooms.end(await ledger.rooms.find("spam0"))
    await ledger.rooms.end(await ledger.rooms.find("spam0"))
    await ledger.rooms.open("spam50", "spammer", "", "")
    with pytest.raises(errors.TooManyLiveRooms):
        await ledger.rooms.open("spam51", "spammer", "", "")


async def test_viewers_of_a_room_that_ended_bring_it_back_nowhere(ledger: Ledger) -> None:
    room = await ledger.rooms.find("r0")
    await ledger.rooms.end(room)
    await ledger.rooms.presence(room, "node", 100)
    assert "r0" not in (await ledger.rooms.live("viewers", "", 200))[0]


# Cursors.

places = st.tuples(st.integers(0, 2**53 - 1), st.from_regex(r"\A[A-Za-z0-9_.:@-]{1,64}\Z"))


@given(st.sampled_from(sorted(SETS)), places)
def test_a_cursor_is_read_as_it_was_made(sort: Sort, place: tuple[int, str]) -> None:
    cursor = make_cursor(sort, place)
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert read_cursor(sort, cursor) == place


@given(st.sampled_from(sorted(SETS)), places, st.randoms(use_true_random=False))
def test_what_was_changed_is_no_cursor(sort: Sort, place: tuple[int, str], dice: random.Random) -> None:
    cursor = make_cursor(sort, place)
    at = dice.randrange(len(cursor))
    other = dice.choice("AZaz09-_é\x00= ".replace(cursor[at], ""))
    for changed in (cursor[:at] + other + cursor[at + 1 :], cursor[:at] + cursor[at + 1 :], cursor + other):
        with pytest.raises(errors.BadMessage):
            read_cursor(sort, changed)
    with pytest.raises(errors.BadMessage):
        read_cursor("start" if sort == "viewers" else "viewers", cursor)


@given(st.text(min_size=1, max_size=40))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with pytest.raises(errors.BadMessage):
        read_cursor("viewers", text)


# Over HTTP.


async def test_pages_over_http(redis_url: str, redis_client: Any, tmp_path: Path) -> None:
    async with Server(tmp_path / "data", redis_url, creator_rooms=2) as server:
        for number in range(5):
            await server.room(f"r{number}", f"h{number}")
        first = (await ask(server, "GET", "/v1/rooms?sort=start&limit=3")).body
        rest = (await ask(server, "GET", f"/v1/rooms?sort=start&limit=3&cursor={first['cursor']}")).body
        assert sorted(first["rooms"] + rest["rooms"]) == [f"r{number}" for number in range(5)]
        assert rest["cursor"] == ""
        for query in ("sort=coins", "limit=201", "cursor=x", f"cursor={first['cursor']}", "cursor=%00"):
            answer = await ask(server, "GET", f"/v1/rooms?{query}")
            assert (answer.status, answer.body["code"]) == (400, "bad_message"), query
        for room, status in (("s1", 201), ("s2", 201), ("s3", 409)):
            body = f'{{"room":"{room}","host":"ann"}}'.encode()
            assert (await ask(server, "POST", "/v1/rooms", body)).status == status
        assert (await ask(server, "POST", "/v1/rooms", body)).body["code"] == "too_many_live_rooms"
