"""Statements over HTTP: who may ask for which, and what they say."""

from __future__ import annotations

import csv
from typing import Any

import httpx
import msgspec
import pytest

from gifting import errors
from gifting.api.statements import StatementReply
from gifting.model.periods import month_of, show_period
from tests.support.keys import session_keys
from tests.support.server import Server

pytestmark = pytest.mark.slow


async def this_month(redis: Any) -> str:
    seconds, _ = await redis.time()
    return show_period(month_of(seconds * 1000))


async def test_a_creator_and_operators_read_how_a_month_goes_so_far(server: Server, redis_client: Any) -> None:
    month = await this_month(redis_client)
    path = f"/v1/creators/host/statements/{month}"
    told = await server.caller("host", "creator").call("GET", path)
    reply = msgspec.convert(told, StatementReply)
    balance = await server.caller("host", "creator").call("GET", "/v1/creators/host/balance")
    assert (reply.so_far, reply.opening, reply.period) == (True, 0, month)
    assert reply.closing == reply.earned == balance["pending"]["diamonds"] > 0
    assert [line.what for line in reply.lines] == ["opening", "earned", "closing"]
    by_operator = await server.operator.call("GET", path)
    assert by_operator | {"until": 0, "lines": []} == told | {"until": 0, "lines": []}
    year = await server.operator.call("GET", f"/v1/creators/host/statements/{month[:4]}")
    assert year["closing"] == reply.closing
    for user in ("ann", "other"):
        with pytest.raises(errors.Forbidden):
            await server.caller(user, "creator").call("GET", path)


async def test_the_lines_as_csv(server: Server, redis_client: Any) -> None:
    path = f"/v1/creators/host/statements/{await this_month(redis_client)}?format=csv"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {server.token('op', 'operator')}"}) as client:
        answer = await client.get(server.url + path)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    opening, earned, closing = csv.DictReader(answer.text.splitlines())
    assert (opening["what"], opening["diamonds"], opening["since"]) == ("opening", "0", "")
    assert earned["at"].endswith("T00:00:00.000+00:00")
    assert earned["diamonds"] == closing["diamonds"] != "0"


async def test_a_month_that_is_over_as_pdf_is_the_same_bytes_each_time(server: Server) -> None:
    path = f"{server.url}/v1/creators/host/statements/2025-11?format=pdf"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {server.token('op', 'operator')}"}) as client:
        first, again = await client.get(path), await client.get(path)
    assert first.headers["content-type"] == "application/pdf"
    assert first.headers["content-disposition"] == 'attachment; filename="statement-2025-11.pdf"'
    assert first.content == again.content
    assert first.content.startswith(b"%PDF-")


@pytest.mark.parametrize("period", ["2026-13", "2026-1", "26", "x", "1969", "9999", "9999-12", "9998-01", "2026-11-01"])
async def test_what_is_no_period_or_has_not_begun_is_refused(server: Server, period: str) -> None:
    with pytest.raises(errors.BadPeriod):
        await server.operator.call("GET", f"/v1/creators/host/statements/{period}")


async def test_who_never_earned_has_nothing_then_either(server: Server) -> None:
    told = await server.operator.call("GET", "/v1/creators/nobody/statements/2025-02")
    assert (told["opening"], told["closing"], told["so_far"], len(told["lines"])) == (0, 0, False, 2)


async def test_an_erasure_takes_nothing_from_it(server: Server, redis_client: Any) -> None:
    path = f"/v1/creators/host/statements/{await this_month(redis_client)}"
    before = await server.operator.call("GET", path)
    await redis_client.hset(session_keys(16).meta, "archive", "some")
    await server.operator.call("DELETE", "/v1/users/host/personal-data?reason=asked")
    after = await server.operator.call("GET", path)
    assert (after["closing"], after["lines"][:-1]) == (before["closing"], before["lines"][:-1])
