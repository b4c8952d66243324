"""How the server is reached: TLS, the address in links, a path that a proxy takes off, and who may read the metrics."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from gifting import config, errors
from gifting.client import Admin, Client
from gifting.errors import StartError
from gifting.transport.addresses import is_here
from tests.support.certificate import make_certificate
from tests.support.keys import new_key
from tests.support.redis_server import kept_port
from tests.support.server import Server
from tests.support.waiting import WITHIN

pytestmark = pytest.mark.slow

ANN = {"coins": 100, "reason": "a test"}


@pytest.fixture
async def web() -> Any:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# TLS.


async def test_all_goes_over_tls(
    tmp_path: Path, redis_url: str, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with Server(tmp_path / "data", redis_url, tls_cert=certificate, tls_key=key, member_rate=0) as server:
        assert server.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(certificate))
        async with httpx.AsyncClient(verify=trust, trust_env=False, base_url=server.url) as web:
            operator = bearer(server.token("op", "operator"))
            room = {"room": "r1", "host": "host"}
            assert (await web.post("/v1/rooms", json=room, headers=operator)).status_code == 201
            grant = {**ANN, "key": new_key()}
            assert (await web.post("/v1/users/ann/grants", json=grant, headers=operator)).status_code == 200
            made = await web.post("/v1/rooms/r1/overlay-tokens", json={}, headers=operator)
            assert made.json()["url"].startswith(f"{server.url}/overlay#token=")
        admin = Admin(server.url, server.token("op", "operator"))
        assert (await admin.room("r1"))["host"]["id"] == "host"
        assert [room async for room in admin.rooms()] == ["r1"]
        async with (
            Client(server.url, server.token("ann")) as ann,
            Client(server.url, made.json()["token"]) as overlay,
        ):
            await overlay.join("r1")
            assert (await ann.send_gift("r1", "spark", message="x" * 200))["coins"] == 99
            event = await anext(overlay.events())
            assert event["message"] == "x" * 200
        # Who speaks no TLS is not answered in the clear, and leaves no traceback.
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not (await reader.read()).startswith(b"HTTP")
        writer.close()
    assert "Traceback" not in (tmp_path / "server.log").read_text()


async def test_workers_serve_tls_and_metrics_too(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    certificate, key = make_certificate(tmp_path)
    bundle = tmp_path / "both.pem"
    bundle.write_bytes(certificate.read_bytes() + key.read_bytes())
    trust = ssl.create_default_context(cafile=str(certificate))
    with kept_port() as port:
        async with (
            Server(tmp_path / "data", redis_url, tls_cert=bundle, workers=2, metrics_port=port) as server,
            httpx.AsyncClient(verify=trust, trust_env=False, timeout=WITHIN) as web,
            asyncio.timeout(WITHIN),
        ):
            assert (await web.get(f"{server.url}/v1/catalog")).status_code == 200
            assert "gifting_connections" in (await web.get(f"http://127.0.0.1:{port}/metrics")).text
            assert (await web.get(f"http://127.0.0.1:{port}/v1/catalog")).status_code == 404


async def test_bad_tls_files_are_said_in_a_line(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    bad: tuple[dict[str, Any], ...] = (
        {"tls_cert": tmp_path / "none.pem"},
        {"tls_cert": key, "tls_key": key},
        {"tls_cert": certificate},
        {"tls_key": key},
    )
    for settings in bad:
        server = Server(tmp_path / "data", "redis://127.0.0.1:1", **settings)
        with pytest.raises(StartError, match=r"bad_setting: (TLS can't be served with|tls_key goes with)"):
            await server.start()
        assert await server.stop() == 2


# Addresses.


async def test_links_and_origins_follow_the_public_url(
    tmp_path: Path, redis_url: str, redis_client: Any, web: httpx.AsyncClient
) -> None:
    public = "https://Gifts.example.org:443/live"
    async with Server(tmp_path / "data", redis_url, public_url=public, origins="https://app.example.org") as server:
        await server.room("r1")
        made = await server.operator.call("POST", "/v1/rooms/r1/overlay-tokens", {})
        assert made["url"] == f"{public}/overlay#token={made['token']}"
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            **bearer(server.token("ann")),
        }
        for origin, status in (
            ("https://gifts.example.org", 101),
            ("https://app.example.org", 101),
            (server.url, 101),
            ("http://gifts.example.org", 403),
            ("https://gifts.example.org.evil.example", 403),
            ("null", 403),
        ):
            async with web.stream("GET", f"{server.url}/v1/ws", headers={**upgrade, "Origin": origin}) as answer:
                assert answer.status_code == status, origin


async def test_a_path_that_a_proxy_takes_off_is_in_links(
    tmp_path: Path, redis_url: str, redis_client: Any, web: httpx.AsyncClient
) -> None:
    async with Server(tmp_path / "data", redis_url, root_path="/gifts") as server:
        await server.room("r1")
        made = await server.operator.call("POST", "/v1/rooms/r1/overlay-tokens", {})
        assert made["url"].startswith(f"{server.url}/gifts/overlay#token=")
        for path in ("/rooms/r1", "/overlay", "/static/lib/base.js", "/gifts/spark.svg"):
            page = await web.get(server.url + path)
            assert page.status_code == 200
            assert '"/static' not in page.text
            assert '"/gifts' not in page.text
        assert (await web.get(f"{server.url}/rooms/r1/")).headers["location"] == f"{server.url}/gifts/rooms/r1"


def test_addresses_that_are_none() -> None:
    for public in (
        "gifts.example.org",
        "ftp://x",
        "https://",
        "https://x/?a",
        "https://x/#a",
        "https://u:p@x",
        "https://x:1a",
    ):
        with pytest.raises(errors.BadSetting, match="public_url"):
            config.load({"public_url": public}, environ={})
    for path in ("gifts", "/gifts/", "/", "/a?b", "/a//b", "/a\n"):
        with pytest.raises(errors.BadSetting, match="root_path"):
            config.load({"root_path": path}, environ={})
    assert config.load({"public_url": "https://[::1]:8443"}, environ={}).public_origin() == "https://[::1]:8443"


# Metrics.


async def test_metrics_are_for_this_machine_unless_opened(
    tmp_path: Path, redis_url: str, redis_client: Any, web: httpx.AsyncClient
) -> None:
    async with Server(tmp_path / "data", redis_url) as server:
        assert (await web.get(f"{server.url}/metrics")).status_code == 200
        for elsewhere in ({"X-Forwarded-For": "203.0.113.9"}, {"Host": "rebound.example.org"}):
            refused = await web.get(f"{server.url}/metrics", headers=elsewhere)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    for host, here in (("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("", True), ("10.0.0.1", False),
                       ("::ffff:10.0.0.1", False), ("127.0.0.1.example.org", False)):  # fmt: skip
        assert is_here(host) == here


async def test_metrics_by_token(tmp_path: Path, redis_url: str, redis_client: Any, web: httpx.AsyncClient) -> None:
    async with Server(tmp_path / "data", redis_url, metrics_token="only for the scraper") as server:
        asked: tuple[tuple[Any, int], ...] = (
            ({}, 401),
            (bearer("wrong"), 401),
            ({"Authorization": b"Bearer \xff\xfe"}, 401),
            (bearer(server.token("op", "operator")), 401),
            (bearer("only for the scraper"), 200),
            ({**bearer("only for the scraper"), "X-Forwarded-For": "203.0.113.9"}, 200),
        )
        for headers, status in asked:
            assert (await web.get(f"{server.url}/metrics", headers=headers)).status_code == status, headers


async def test_metrics_on_a_listener_of_their_own(
    tmp_path: Path, redis_url: str, redis_client: Any, web: httpx.AsyncClient
) -> None:
    with kept_port() as port:
        async with Server(tmp_path / "data", redis_url, metrics_port=port) as server:
            assert (await web.get(f"{server.url}/metrics")).status_code == 404
            assert "gifting_connections" in (await web.get(f"http://127.0.0.1:{port}/metrics")).text
            for path in ("/v1/catalog", "/healthz", "/openapi.json", "/v1/ws"):
                assert (await web.get(f"http://127.0.0.1:{port}{path}")).status_code == 404
            assert (await web.post(f"http://127.0.0.1:{port}/metrics")).status_code == 405
