"""Creators over HTTP: who may do what, and what a tier, a hold and a destination change."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import errors
from tests.support.keys import new_key
from tests.support.server import Server

TERMS = """
[payout]
currency = "USD"
micros_per_diamond = 10_000
minimum = 50_00
[[tier]]
id = "standard"
hold_days = 120
[[tier]]
id = "free"
hold_days = 0
commission = 4_000
"""


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    terms = tmp_path / "creators.toml"
    terms.write_text(TERMS)
    async with Server(tmp_path / "data", redis_url, creators=str(terms)) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann"], 10_000)
        yield running


async def give(server: Server, count: int) -> None:
    gift = {"gift": "spark", "count": count, "key": new_key()}
    await server.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", gift)


async def test_a_balance_in_diamonds_and_money(server: Server) -> None:
    host = server.caller("host", "creator")
    await give(server, 300)
    told = await host.call("GET", "/v1/creators/host/balance")
    assert told["pending"] == {"diamonds": 150_000, "money": 150}
    assert told["available"] == told["debt"] == {"diamonds": 0, "money": 0}
    assert time.time() * 1000 < told["next_release"] <= (time.time() + 120 * 86_400) * 1000
    reply = await server.operator.call("PUT", "/v1/creators/host/tier", {"tier": "free", "reason": "asked"})
    assert (reply["tier"], reply["commission"], reply["hold_days"]) == ("free", 4_000, 0)
    await give(server, 100)
    told = await host.call("GET", "/v1/creators/host/balance")
    assert told["available"] == {"diamonds": 180_000, "money": 180}
    assert told["next_release"] == 0
    assert (await server.audit())[0] == 0


async def test_a_destination_needs_the_creator_and_a_second_factor(server: Server) -> None:
    path, to = "/v1/creators/host/destination", {"provider": "sandbox", "account": "acct_1"}
    with pytest.raises(errors.SecondFactorRequired):
        await server.caller("host", "creator").call("PUT", path, to)
    for who, role in (("eve", "creator"), ("op", "operator")):
        with pytest.raises(errors.Forbidden):
            await server.caller(who, role, mfa=True).call("PUT", path, to)  # type: ignore[arg-type]
    host = server.caller("host", "creator", mfa=True)
    first = (await host.call("PUT", path, to))["destination"]
    assert first["good_at"] == first["since"]
    second = (await host.call("PUT", path, {**to, "account": "acct_2"}))["destination"]
    assert second["good_at"] == second["since"] + 72 * 3_600_000
    assert (await host.call("GET", "/v1/creators/host"))["destination"] == second


async def test_operators_say_of_identity_and_hold(server: Server) -> None:
    operator = server.operator
    assert (await operator.call("GET", "/v1/creators/host"))["kyc"] == "none"
    await operator.call("PUT", "/v1/creators/host/kyc", {"state": "verified", "reason": "passport"})
    await operator.call("PUT", "/v1/creators/host/hold", {"held": True, "reason": "asked by the police"})
    told = await operator.call("GET", "/v1/creators/host")
    assert (told["kyc"], told["held"], told["tier"]) == ("verified", "asked by the police", "standard")
    assert not (await operator.call("PUT", "/v1/creators/host/hold", {"held": False, "reason": "over"}))["held"]
    with pytest.raises(errors.UnknownTier):
        await operator.call("PUT", "/v1/creators/host/tier", {"tier": "gold", "reason": "asked"})


async def test_creators_are_told_of_themselves_only(server: Server) -> None:
    eve = server.caller("eve", "creator")
    for path in ("/v1/creators/host", "/v1/creators/host/balance"):
        with pytest.raises(errors.Forbidden):
            await eve.call("GET", path)
    for path, body in (
        ("tier", {"tier": "free", "reason": "x"}),
        ("kyc", {"state": "verified", "reason": "x"}),
        ("hold", {"held": False, "reason": "x"}),
    ):
        with pytest.raises(errors.Forbidden):
            await server.caller("host", "creator").call("PUT", f"/v1/creators/host/{path}", body)
