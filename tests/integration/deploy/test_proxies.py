"""The proxies of docs/operations.md, run as they stand there: gifts pass, and no log has a token."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from gifting.client import Client
from gifting.ledger.embedded.ports import free_port
from tests.support.browser import Browser, find_browser, launch
from tests.support.certificate import make_certificate
from tests.support.keys import new_key
from tests.support.paths import ROOT
from tests.support.server import Server

pytestmark = pytest.mark.slow

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PROXIES = ("nginx", "caddy")
WITHIN = 20.0


def find(proxy: str) -> str:
    """The proxy's binary; skips the test where there is none, and fails in CI for nginx."""
    found = shutil.which(proxy, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None and proxy == "nginx" and os.environ.get("CI"):
        pytest.fail("CI must have nginx: this test is not to be skipped there", pytrace=False)
    if found is None:
        pytest.skip(f"there is no {proxy} on this machine")
    return found


def example(language: str, **changes: str) -> str:
    """The example of docs/operations.md in that language, with other names, ports and files."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", OPERATIONS, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    text: str = blocks[0]
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def nginx_command(folder: Path, port: int, upstream: str, path: str) -> list[str]:
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "gifts.example.org;": "127.0.0.1;",
        "/etc/ssl/gifts.example.org.pem": f"{folder}/tls.pem",
        "/etc/ssl/gifts.example.org.key": f"{folder}/tls.key",
        "/var/log/nginx/": f"{folder}/",
        "127.0.0.1:8080": upstream,
    }
    if path:
        changes |= {"location / {": f"location {path}/ {{", "proxy_pass http://gifting;": "proxy_pass http://gifting/;"}
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/main.log;\nevents {{}}\n"
        f"http {{\n{folders}{example('nginx', **changes)}}}\n"
    )
    return [find("nginx"), "-e", f"{folder}/main.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"]


def caddy_command(folder: Path, port: int, upstream: str, path: str) -> list[str]:
    changes = {
        "{\n\tlog {\n": f"{{\n\tadmin off\n\tauto_https off\n\tlog {{\n\t\toutput file {folder}/caddy.log\n",
        "gifts.example.org {\n": f"https://127.0.0.1:{port} {{\n\ttls {folder}/tls.pem {folder}/tls.key\n",
        "127.0.0.1:8080": upstream,
    }
    if path:
        changes["\thandle {\n"] = f"\thandle_path {path}/* {{\n"
    (folder / "Caddyfile").write_text(example("caddyfile", **changes))
    return [find("caddy"), "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


COMMANDS = {"nginx": nginx_command, "caddy": caddy_command}


class Front:
    """A proxy in front of a server, over TLS."""

    def __init__(self, server: Server, folder: Path, url: str, web: httpx.AsyncClient, port: int) -> None:
        self.server = server
        self.folder = folder
        self.url = url
        self.web = web
        self.port = port

    def logs(self) -> str:
        """All that the proxy wrote."""
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


@asynccontextmanager
async def front(proxy: str, tmp_path: Path, redis_url: str, path: str = "", **settings: Any) -> AsyncIterator[Front]:
    folder = tmp_path / "proxy"
    folder.mkdir(mode=0o755)
    certificate, _ = make_certificate(folder)
    async with Server(tmp_path / "data", redis_url, root_path=path, **settings) as server:
        upstream, port = server.url.removeprefix("http://"), free_port()
        command = COMMANDS[proxy](folder, port, upstream, path)
        with (folder / "output.log").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=output, stderr=output, env={**os.environ, "HOME": str(folder)}, start_new_session=True
            )
        try:
            trust = ssl.create_default_context(cafile=str(certificate))
            async with httpx.AsyncClient(verify=trust, trust_env=False) as web:
                made = Front(server, folder, f"https://127.0.0.1:{port}{path}", web, port)
                await until_up(made, process)
                yield made
        finally:
            process.terminate()
            await process.wait()


async def until_up(made: Front, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            assert process.returncode is None, made.logs()
            try:
                if (await made.web.get(f"{made.url}/healthz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("path", ["", "/gifts"])
@pytest.mark.parametrize("proxy", PROXIES)
async def test_gifts_pass_and_links_are_right(
    proxy: str, path: str, tmp_path: Path, redis_url: str, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(proxy)
    async with front(proxy, tmp_path, redis_url, path, member_rate=0, ping_interval=1) as made:
        monkeypatch.setenv("SSL_CERT_FILE", str(made.folder / "tls.pem"))
        operator = {"Authorization": f"Bearer {made.server.token('op', 'operator')}"}
        room, grant = {"room": "r1", "host": "host"}, {"coins": 100, "key": new_key(), "reason": "a test"}
        assert (await made.web.post(f"{made.url}/v1/rooms", json=room, headers=operator)).status_code == 201
        assert (await made.web.post(f"{made.url}/v1/users/ann/grants", json=grant, headers=operator)).is_success
        link = (await made.web.post(f"{made.url}/v1/rooms/r1/overlay-tokens", json={}, headers=operator)).json()
        assert link["url"].startswith(f"{made.url}/overlay#token=")
        assert (await made.web.get(link["url"])).status_code == 200
        assert (await made.web.get(f"https://127.0.0.1:{made.port}/metrics")).status_code == 404
        async with (
            Client(f"{made.url}/v1/ws", made.server.token("ann")) as ann,
            Client(f"{made.url}/v1/ws", link["token"]) as overlay,
        ):
            await overlay.join("r1")
            await ann.send_gift("r1", "spark", 3)
            assert (await anext(overlay.events()))["count"] == 3
        own = f"https://127.0.0.1:{made.port}"
        trust = ssl.create_default_context(cafile=str(made.folder / "tls.pem"))
        address, offered = f"wss{made.url.removeprefix('https')}/v1/ws", ["gifting.v1.json"]
        offered.append(f"gifting.token.{made.server.token('ann')}")
        options: dict[str, Any] = {"ssl": trust, "subprotocols": offered, "proxy": None}
        async with connect(address, origin=Origin(own), **options) as socket:
            assert socket.subprotocol == "gifting.v1.json"
        with pytest.raises(InvalidStatus, match="403"):
            await connect(address, origin=Origin("https://evil.example"), **options)


async def test_the_pages_work_under_a_path(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    find("nginx")
    if find_browser() is None:
        pytest.skip("there is no Chromium on this machine")
    async with front("nginx", tmp_path, redis_url, "/gifts") as made, launch() as chromium:
        browser = Browser(chromium)
        await made.server.room("r1")
        await made.server.operator.grant_each(["ann"], 1000)
        watching, viewing = made.server.token("host", "overlay", room="r1"), made.server.token("ann")
        overlay = await browser.open(f"{made.url}/overlay#token={watching}&debug", ignore_https_errors=True)
        await overlay.wait_for("document.querySelector('#status.joined')")
        room = await browser.open(f"{made.url}/rooms/r1#token={viewing}", ignore_https_errors=True)
        await room.wait_for("document.querySelector('#live').textContent === 'live'")
        await room.wait_for("document.querySelector('#gifts img')?.naturalWidth > 0")
        await room.evaluate("document.querySelector('[data-gift=crown]').click()")
        await room.wait_for("document.querySelector('#balance').textContent === '901 coins left'")
        await overlay.wait_for("document.querySelector('img.gift')?.naturalWidth > 0")
        for page in (overlay, room):
            assert page.errors == []
            assert not [url for url, _ in page.requests if "/gifts/" not in url]


@pytest.mark.parametrize("proxy", PROXIES)
async def test_a_client_can_not_choose_its_address(
    proxy: str, tmp_path: Path, redis_url: str, redis_client: Any
) -> None:
    find(proxy)
    async with front(proxy, tmp_path, redis_url, message_rate=10, message_burst=20) as made:
        began, found = time.monotonic(), []
        for number in range(50):
            claims = {"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": f"203.0.113.{number}"}
            found.append((await made.web.get(f"{made.url}/v1/catalog", headers=claims)).status_code)
        assert 20 <= found.count(200) <= 21 + (time.monotonic() - began) * 10


@pytest.mark.parametrize("proxy", PROXIES)
async def test_no_log_has_a_token(proxy: str, tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    find(proxy)
    async with front(proxy, tmp_path, redis_url) as made:
        await made.server.room("r1")
        token = made.server.token("host", "overlay", room="r1")
        trust = ssl.create_default_context(cafile=str(made.folder / "tls.pem"))
        address, offered = f"wss{made.url.removeprefix('https')}/v1/ws", ["gifting.v1.json", f"gifting.token.{token}"]

        async def show_everywhere() -> None:
            headers = {"Authorization": f"Bearer {token}", "Referer": f"{made.url}/overlay?token={token}"}
            await made.web.get(f"{made.url}/overlay?token={token}", headers=headers)
            await made.web.get(f"{made.url}/v1/rooms/r1", headers=headers)
            ways: tuple[tuple[str, dict[str, Any]], ...] = ((f"?token={token}", {}), ("", {"subprotocols": offered}))
            for query, more in ways:
                try:
                    async with connect(address + query, ssl=trust, proxy=None, **more):
                        pass
                except InvalidStatus as error:
                    assert error.response.status_code == 502

        await show_everywhere()
        await made.server.stop()
        await show_everywhere()  # errors are logged in other places
    assert made.logs()
    assert token.rpartition(".")[2] not in made.logs()
    assert token.rpartition(".")[2] not in (tmp_path / "server.log").read_text()
