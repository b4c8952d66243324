"""History over HTTP: who may ask, and what is told."""

from __future__ import annotations

import csv
from typing import Any

import httpx
import psutil
import pytest

from gifting import errors
from tests.support.keys import new_key, session_keys
from tests.support.server import Server

pytestmark = pytest.mark.slow


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
    slips = {
        "/v1/users/ann/history?cursor=x": errors.BadCursor,
        "/v1/creators/host/earnings?cursor=1-2": errors.BadCursor,
        "/v1/admin/acts?cursor=1-2": errors.BadCursor,
        "/v1/admin/acts?who=a%20b": errors.BadId,
        "/v1/admin/ledger?owner=": errors.BadId,
        "/v1/admin/ledger?owner=ann&room=%0A": errors.BadId,
        "/v1/admin/ledger?owner=ann&key=%7B018bcfe5-6800-7000-8000-00000000000f%7D": errors.BadKey,
        "/v1/payouts?creator=%21": errors.BadId,
    }
    for path, refused in slips.items():
        with pytest.raises(refused):
            await server.operator.call("GET", path)


async def test_gifts_are_told_in_the_money_of_the_region_or_in_what_is_asked_for(server: Server) -> None:
    for region, asked, currency in (("DE", "", "EUR"), ("US", "", "USD"), ("DE", "?currency=USD", "USD")):
        gift, _ = (await server.caller("ann", "viewer", region=region).call("GET", f"/v1/users/ann/history{asked}"))[
            "entries"
        ]
        assert (gift["currency"], gift["money"] > 0) == (currency, True)
    for currency, refused in (("XXX", errors.UnknownPackage), ("eur", errors.BadMessage)):
        with pytest.raises(refused):
            await server.caller("ann", "viewer").call("GET", f"/v1/users/ann/history?type=grant&currency={currency}")


async def test_a_gift_that_is_reversed_is_named_by_its_key_on_both_sides(server: Server) -> None:
    ann, host = server.caller("ann", "viewer", region="DE"), server.caller("host", "creator")
    gift, _ = (await ann.call("GET", "/v1/users/ann/history"))["entries"]
    await server.operator.call("POST", f"/v1/users/ann/gifts/{gift['key']}/reverse", {"reason": "a test"})
    back = (await ann.call("GET", "/v1/users/ann/history?type=gift_reversal"))["entries"]
    taken = (await host.call("GET", "/v1/creators/host/earnings"))["entries"][0]
    assert [(one["about"], one["coins"], one["money"]) for one in back] == [(gift["key"], 3, gift["money"])]
    assert (taken["kind"], taken["about"]) == ("clawback", gift["key"])


async def test_which_operator_did_it_is_told_to_operators_alone(server: Server) -> None:
    ann, host, operator = server.caller("ann", "viewer"), server.caller("host", "creator"), server.operator
    gift, _ = (await ann.call("GET", "/v1/users/ann/history"))["entries"]
    await operator.call("POST", f"/v1/users/ann/gifts/{gift['key']}/reverse", {"reason": "a test"})
    back, given, grant = (await ann.call("GET", "/v1/users/ann/history"))["entries"]
    taken = (await host.call("GET", "/v1/creators/host/earnings"))["entries"][0]
    assert [back["by"], given["by"], grant["by"], taken["via"]] == ["operator", "", "operator", "operator"]
    known = (await operator.call("GET", "/v1/users/ann/history"))["entries"]
    (name,) = {one["by"] for one in known} - {""}
    assert name != "operator"
    assert (await operator.call("GET", "/v1/creators/host/earnings"))["entries"][0]["via"] == name


async def test_what_limits_became_is_told(server: Server) -> None:
    ann = server.caller("ann", "viewer")
    await ann.call("PUT", "/v1/users/ann/limits", {"gifts": {"day": 10}})
    await ann.call("PUT", "/v1/users/ann/limits", {"gifts": {"day": None}})
    changed = (await ann.call("GET", "/v1/users/ann/history?type=limits"))["entries"]
    assert [(one["about"], one["value"], one["by"]) for one in changed] == [
        ("limits", "gifts.day=none", "ann"),
        ("limits", "gifts.day=10", "ann"),
    ]


async def test_a_user_and_operators_with_a_reason_erase_what_is_personal(server: Server, redis_client: Any) -> None:
    path = "/v1/users/ann/personal-data"
    ann, bob = server.caller("ann", "viewer"), server.caller("bob", "viewer")
    with pytest.raises(errors.Forbidden):
        await bob.call("DELETE", path)
    with pytest.raises(errors.NoArchive):  # nobody follows these books
        await ann.call("DELETE", path)
    await redis_client.hset(session_keys(16).meta, "archive", "some")
    for reason in ("", "?reason=" + 201 * "x", "?reason=%07"):
        with pytest.raises(errors.BadMessage):
            await server.operator.call("DELETE", path + reason)
    own = await ann.call("DELETE", path)
    other = await server.operator.call("DELETE", f"{path}?reason=asked")
    assert other["at"] > own["at"]
    assert own["erased"]
    assert own["kept"]


async def test_a_server_has_nothing_of_sql_in_its_memory_before_history_is_asked_for(server: Server) -> None:
    def loaded() -> bool:
        maps = psutil.Process(server.pid).memory_maps()
        return any("sqlalchemy" in one.path or "greenlet" in one.path for one in maps)

    assert not loaded()
    await server.caller("ann", "viewer").call("GET", "/v1/users/ann/history")
    assert loaded()
