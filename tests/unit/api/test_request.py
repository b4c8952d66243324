"""What a request brings, read: amounts that are whole, and queries that are known."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from gifting.api.endpoints import ENDPOINTS
from gifting.api.gifts import SendGiftBody
from gifting.api.request import decode_body, read_query
from gifting.api.users import GrantBody
from gifting.errors import BadMessage


def grant(coins: str) -> GrantBody:
    body: GrantBody = decode_body(b'{"coins":%s,"key":"k","reason":"r"}' % coins.encode(), GrantBody)
    return body


@pytest.mark.parametrize(("said", "coins"), [("5", 5), ("5.0", 5), ("5e2", 500), ("9007199254740991.0", 2**53 - 1)])
def test_an_amount_is_whole_however_it_is_written(said: str, coins: int) -> None:
    found = grant(said).coins
    assert found == coins
    assert type(found) is int


@pytest.mark.parametrize("said", ["5.5", "1e16", "1e400", "-1.0", "0.0", '"5"', "true", "NaN", "9007199254740992.0"])
def test_what_is_no_whole_amount_is_refused(said: str) -> None:
    with pytest.raises(BadMessage):
        grant(said)


@pytest.mark.parametrize("body", [b"[" * 4000, b'{"gift":' * 500, b'{"gift":"a","key":"k","count":1.0,"count":2}'])
def test_what_is_odd_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        decode_body(body, SendGiftBody)


def test_a_slip_in_a_query_is_told() -> None:
    rows = {row.handler.__name__: row for row in ENDPOINTS}

    def asked(row: str, query: bytes) -> list[str]:
        return sorted(read_query(rows[row], Request({"type": "http", "query_string": query})))

    assert asked("list_rooms", b"limit=5&sort=start") == ["limit", "sort"]
    with pytest.raises(BadMessage, match="'limt' can't be asked for here; limit and sort and cursor can"):
        asked("list_rooms", b"limt=5&limit=5")
    assert asked("catalog", b"_=123") == ["_"], "where nothing can be asked for, nothing can be misspelt"
