"""Support over HTTP: what users open about what is theirs, and what operators decide."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting import errors
from gifting.archive.store import open_store
from gifting.model.cases import TEXT_MAX
from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.attack]

CASES = "/v1/support/cases"


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", redis_url, providers="sandbox", message_rate=10_000) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann"], 1000)
        yield running


async def a_gift(server: Server) -> str:
    key = new_key()
    await server.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", {"gift": "spark", "key": key})
    return key


async def test_a_case_about_a_gift_is_opened_decided_and_read(server: Server) -> None:
    ann, gift = server.caller("ann", "viewer"), await a_gift(server)
    body = {"about": {"gift": gift}, "kind": "not_delivered", "text": "Nobody saw it.", "key": new_key()}
    case = await ann.call("POST", CASES, body)
    assert (case["state"], case["gift"], case["outcome"]) == ("open", gift, "")
    assert await ann.call("POST", CASES, body) == case
    with pytest.raises(errors.KeyReused):
        await ann.call("POST", CASES, body | {"text": "Nobody did."})
    assert (await ann.call("GET", CASES))["cases"] == [case]
    assert (await server.operator.call("GET", f"{CASES}?state=open"))["cases"] == [case]
    solved = {"outcome": "refused", "reason": "The room's log has it."}
    told = await server.operator.call("POST", f"{CASES}/{case['id']}/resolve", solved)
    assert (told["state"], told["outcome"]) == ("closed", "refused")
    assert told["by"]
    read = await ann.call("GET", f"{CASES}/{case['id']}")
    assert read == told | {"by": ""}
    assert (await ann.call("GET", f"{CASES}?state=open"))["cases"] == []
    with pytest.raises(errors.CaseClosed):
        await server.operator.call("POST", f"{CASES}/{case['id']}/resolve", solved | {"outcome": "refunded"})


async def test_what_is_not_ones_own_is_not_there(server: Server) -> None:
    ann, bob, gift = server.caller("ann", "viewer"), server.caller("bob", "viewer"), await a_gift(server)
    await ann.call("PUT", "/v1/users/ann/limits", {"purchases": {"d30": 500_000}})
    order = await ann.call("POST", "/v1/purchases", {"package": "coins-350", "provider": "sandbox", "key": new_key()})
    opened = []
    for about in ({"gift": gift}, {"order": order["id"]}):
        body = {"about": about, "kind": "other", "key": new_key()}
        with pytest.raises(errors.GiftNotFound if "gift" in about else errors.OrderNotFound):
            await bob.call("POST", CASES, body)
        opened.append(await ann.call("POST", CASES, body))
    for case in opened:
        with pytest.raises(errors.CaseNotFound):
            await bob.call("GET", f"{CASES}/{case['id']}")
        with pytest.raises(errors.Forbidden):
            await ann.call("POST", f"{CASES}/{case['id']}/resolve", {"outcome": "refunded", "reason": "please"})
    assert (await bob.call("GET", CASES))["cases"] == []
    assert [case["id"] for case in (await ann.call("GET", f"{CASES}?limit=1"))["cases"]] == [opened[1]["id"]]
    assert (await ann.call("GET", f"{CASES}?limit=1&cursor=1"))["cases"] == [opened[0]]


async def test_what_can_not_be_a_case_is_refused(server: Server) -> None:
    ann, gift = server.caller("ann", "viewer"), await a_gift(server)
    good = {"about": {"gift": gift}, "kind": "other", "key": new_key()}
    wrong: list[dict[str, Any]] = [
        {"about": {}},
        {"kind": "reversed"},
        {"text": "x" * (TEXT_MAX + 1)},
        {"text": "a\nb"},
    ]
    for change in wrong:
        with pytest.raises(errors.BadMessage):
            await ann.call("POST", CASES, good | change)
    with pytest.raises((errors.BadMessage, errors.MessageTooLarge)):
        await ann.call("POST", CASES, good | {"text": "x" * 20_000})
    for change in ({"key": "x"}, {"about": {"gift": "../x"}}, {"about": {"order": "x"}}):
        with pytest.raises(errors.BadKey):
            await ann.call("POST", CASES, good | change)
    with pytest.raises(errors.BadMessage):
        await server.operator.call("GET", CASES)
    assert (await ann.call("GET", CASES))["cases"] == []
    assert (await ann.call("POST", CASES, good | {"text": "x" * TEXT_MAX}))["state"] == "open"


async def test_operators_have_evidence_of_a_case(server: Server, tmp_path: Path, redis_url: str) -> None:
    ann, gift = server.caller("ann", "viewer"), await a_gift(server)
    await ann.call("PUT", "/v1/users/ann/limits", {"purchases": {"d30": 500_000}})
    case = await ann.call("POST", CASES, {"about": {"gift": gift}, "kind": "other", "key": new_key()})
    path = f"{CASES}/{case['id']}"
    assert (await server.operator.call("GET", path))["evidence"]["archive"] is False
    assert (await ann.call("GET", path))["evidence"] is None
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    store = open_store(url)
    await store.upgrade()
    await store.close()
    async with Server(tmp_path / "other", redis_url, archive=url) as other:
        evidence = (await other.operator.call("GET", path))["evidence"]
    assert [(one["kind"], one["key"]) for one in evidence["entries"]] == [("debit", gift)]
    assert [one["kind"] for one in evidence["limits"]] == ["account"]
