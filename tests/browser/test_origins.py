"""A page of another origin imports the client and uses the API, if its origin is listed; a browser keeps others out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.support.browser import Browser, Tab, require_browser
from tests.support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()

PAGE = b"<!doctype html><title>elsewhere</title><body>"


@asynccontextmanager
async def a_site() -> AsyncIterator[str]:
    """The origin of a site of one empty page, which is not the server's."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(PAGE)}\r\nConnection: close\r\n\r\n"
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head.encode() + PAGE)
        writer.close()

    site = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{site.sockets[0].getsockname()[1]}"
    finally:
        site.close()  # what a browser has connected ahead, and asks nothing on, is not waited for


async def tried(tab: Tab, server: Server, token: str) -> object:
    """What becomes of sending a gift by the imported client and of reading the wallet by a request."""
    return await tab.evaluate(f"""(async () => {{
        const tries = [];
        try {{
            const {{ GiftingClient }} = await import('{server.url}/static/gifting.js');
            const client = new GiftingClient({{ token: '{token}', rooms: [{{ room: 'r1' }}] }});
            const joined = new Promise((resolve) => client.on('snapshot', resolve));
            client.connect();
            await joined;
            tries.push((await client.sendGift('r1', 'spark', 2)).coins);
            client.close();
        }} catch (error) {{ tries.push(error.name); }}
        try {{
            const headers = {{ Authorization: 'Bearer {token}' }};
            const found = await fetch('{server.url}/v1/users/ann/wallet', {{ headers }});
            tries.push((await found.json()).coins);
        }} catch (error) {{ tries.push(error.name); }}
        return tries;
    }})()""")


async def test_a_listed_origin_may_and_another_may_not(browser: Browser, tmp_path: Path) -> None:
    async with a_site() as listed, a_site() as stranger, Server(tmp_path / "data", origins=listed) as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 100)
        token = server.token("ann")
        assert await tried(await browser.open(listed), server, token) == [98, 98]
        assert await tried(await browser.open(stranger), server, token) == ["TypeError", "TypeError"]
