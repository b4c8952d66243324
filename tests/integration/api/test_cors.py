"""Pages of other origins: those that may open a WebSocket may use the API and the client's files, and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = pytest.mark.slow

LISTED = "https://app.example.org"
PUBLIC = "https://gifts.example.org"
STRANGERS = ("https://app.example.org.evil", "https://app.example.org:8443", "http://app.example.org", "null", "")
ALLOWED = "access-control-allow-origin"


@pytest.fixture
async def server(redis_url: str, redis_client: Any, tmp_path: Path) -> AsyncIterator[Server]:
    named: dict[str, Any] = {"origins": f"{LISTED}, https://other.example.org", "public_url": PUBLIC}
    async with Server(tmp_path / "data", redis_url, **named) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann"], 100)
        yield running


async def ask(server: Server, method: str, path: str, origin: str, **more: Any) -> httpx.Response:
    headers = {"Origin": origin, **more.pop("headers", {})}
    async with httpx.AsyncClient(base_url=server.url) as client:
        return await client.request(method, path, headers=headers, **more)


def beforehand(method: str) -> dict[str, str]:
    return {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.mark.parametrize("origin", [LISTED, PUBLIC])
async def test_a_page_of_a_listed_origin_sends_a_gift(server: Server, origin: str) -> None:
    path = "/v1/rooms/r1/gifts"
    may = await ask(server, "OPTIONS", path, origin, headers=beforehand("POST"))
    assert (may.status_code, may.content) == (204, b"")
    assert may.headers[ALLOWED] == origin
    assert "POST" in may.headers["access-control-allow-methods"]
    assert {"authorization", "content-type"} <= set(may.headers["access-control-allow-headers"].lower().split(", "))
    assert int(may.headers["access-control-max-age"]) > 0
    token = {"Authorization": f"Bearer {server.token('ann')}"}
    done = await ask(server, "POST", path, origin, headers=token, json={"gift": "spark", "key": new_key()})
    assert (done.status_code, done.headers[ALLOWED], done.headers["vary"]) == (200, origin, "Origin")
    assert "access-control-allow-credentials" not in {*done.headers, *may.headers}


async def test_a_page_can_read_why_it_was_refused(server: Server) -> None:
    refused = await ask(server, "GET", "/v1/rooms", LISTED)
    assert (refused.status_code, refused.json()["code"], refused.headers[ALLOWED]) == (401, "bad_token", LISTED)
    assert "Retry-After" in refused.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/static/gifting.js", "/static/lib/gifting.js", "/gifts/spark.svg", "/openapi.json"])
async def test_the_clients_files_can_be_imported(server: Server, path: str) -> None:
    found = await ask(server, "GET", path, LISTED)
    assert (found.status_code, found.headers[ALLOWED], found.headers["vary"]) == (200, LISTED, "Origin")
    again = await ask(server, "GET", path, LISTED, headers={"If-None-Match": found.headers.get("etag", "")})
    assert again.headers[ALLOWED] == LISTED
    assert (await ask(server, "GET", path, STRANGERS[0])).headers["vary"] == "Origin", "or a cache would mix them up"


@pytest.mark.attack
@pytest.mark.parametrize("origin", STRANGERS)
async def test_no_other_origin_may(server: Server, origin: str) -> None:
    may = await ask(server, "OPTIONS", "/v1/rooms", origin, headers=beforehand("POST"))
    assert may.status_code == 405
    for answer in (may, await ask(server, "GET", "/v1/catalog", origin)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.attack
@pytest.mark.parametrize("path", ["/overlay", "/rooms/r1", "/metrics", "/healthz"])
async def test_pages_and_metrics_are_for_nobody_else(server: Server, path: str) -> None:
    assert ALLOWED not in (await ask(server, "GET", path, LISTED)).headers


async def test_without_origins_nothing_is_said(redis_url: str, redis_client: Any, tmp_path: Path) -> None:
    async with Server(tmp_path / "data", redis_url) as server:
        found = await ask(server, "GET", "/v1/catalog", LISTED)
        assert found.status_code == 200
        assert not {ALLOWED, "vary"} & set(found.headers)
