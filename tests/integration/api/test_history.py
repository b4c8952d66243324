"""History over HTTP: who may ask, and what is told."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gifting import errors
from gifting.archive.store import open_store
from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    """With an archive that nobody has written into: all is in Redis alone yet."""
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    store = open_store(url)
    await store.upgrade()
    await store.close()
    async with Server(tmp_path / "data", redis_url, archive=url) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann"], 1000)
        gift = {"gift": "spark", "count": 3, "key": new_key()}
        await running.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", gift)
        yield running


async def test_a_gift_of_a_moment_ago_is_in_all_histories(server: Server) -> None:
    ann, host = server.caller("ann", "viewer"), server.caller("host", "creator")
    told = await ann.call("GET", "/v1/users/ann/history?currency=EUR")
    gift, grant = told["entries"]
    assert (gift["type"], gift["about"], gift["count"], gift["creator"]) == ("gift", "spark", 3, "host")
    assert gift["money"] > 0
    assert (grant["type"], grant["coins"], told["next"]) == ("grant", 1000, "")
    (earned,) = (await host.call("GET", "/v1/creators/host/earnings"))["entries"]
    assert (earned["kind"], earned["key"], earned["peer"]) == ("credit", gift["key"], "ann")
    (debit,) = (await server.operator.call("GET", "/v1/admin/ledger?owner=ann&kind=debit"))["entries"]
    assert (debit["coins"], debit["key"]) == (gift["coins"], gift["key"])


async def test_the_same_as_csv_a_page_at_a_time(server: Server) -> None:
    path, headers = "/v1/users/ann/history?format=csv&limit=1", {"Authorization": f"Bearer {server.token('ann')}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
        first = await client.get(path)
        second = await client.get(first.url.join(first.links["next"]["url"]))
    assert first.headers["content-type"] == "text/csv; charset=utf-8"
    ((gift,), (grant,)) = (csv.DictReader(page.text.splitlines()) for page in (first, second))
    assert "link" not in second.headers
    assert (gift["type"], gift["about"], grant["coins"], gift["ts"][-6:]) == ("gift", "spark", "1000", "+00:00")


async def test_earnings_are_summed_by_day_and_month(server: Server) -> None:
    host = server.caller("host", "creator")
    await server.caller("ann", "viewer").call(
        "POST", "/v1/rooms/r1/gifts", {"gift": "spark", "count": 2, "key": new_key()}
    )
    earned = (await host.call("GET", "/v1/creators/host/earnings"))["entries"]
    for by, digits in (("day", 10), ("month", 7)):
        told = await host.call("GET", f"/v1/creators/host/earnings?by={by}")
        assert told["entries"] == []
        assert {len(one["period"]) for one in told["sums"]} == {digits}
        assert sum(one["diamonds"] for one in told["sums"]) == sum(one["diamonds"] for one in earned)
        assert sum(one["count"] for one in told["sums"]) == 2


async def test_operators_narrow_their_search(server: Server) -> None:
    async def found(asked: str) -> int:
        told = await server.operator.call("GET", f"/v1/admin/ledger?owner=ann&{asked}")
        return len(told["entries"])

    (debit,) = (await server.operator.call("GET", "/v1/admin/ledger?owner=ann&room=r1"))["entries"]
    assert (await found(f"key={debit['key']}"), await found(f"key={new_key()}"), await found("room=r2")) == (1, 0, 0)
    assert (await found(f"until={debit['ts']}"), await found("until=1")) == (2, 0)
    with pytest.raises(errors.BadKey):
        await found("key=x")


async def test_histories_are_told_to_their_own_only(server: Server) -> None:
    bob = server.caller("bob", "viewer")
    for path in ("/v1/users/ann/history", "/v1/creators/host/earnings", "/v1/admin/ledger?owner=ann"):
        with pytest.raises(errors.Forbidden):
            await bob.call("GET", path)


async def test_slips_are_refused(server: Server) -> None:
    with pytest.raises(errors.BadId):
        await server.operator.call("GET", "/v1/admin/ledger")
    with pytest.raises(errors.BadCursor):
        await server.operator.call("GET", "/v1/users/ann/history?cursor=x")


async def test_a_user_and_operators_with_a_reason_erase_what_is_personal(server: Server, redis_client: Any) -> None:
    path = "/v1/users/ann/personal-data"
    ann, bob = server.caller("ann", "viewer"), server.caller("bob", "viewer")
    with pytest.raises(errors.Forbidden):
        await bob.call("DELETE", path)
    with pytest.raises(errors.NoArchive):  # nobody follows these books
        await ann.call("DELETE", path)
    await redis_client.hset("gifting:{p00}:meta", "archive", "some")
    for reason in ("", "?reason=" + 201 * "x", "?reason=%07"):
        with pytest.raises(errors.BadMessage):
            await server.operator.call("DELETE", path + reason)
    own = await ann.call("DELETE", path)
    other = await server.operator.call("DELETE", f"{path}?reason=asked")
    assert other["at"] > own["at"]
    assert own["erased"]
    assert own["kept"]
