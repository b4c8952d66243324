"""Tokens stay where they belong: in no address, referrer, console or log."""

from __future__ import annotations

import asyncio
from urllib.parse import quote, unquote

import pytest

from tests.browser.scene import Scene
from tests.support.browser import Browser, require_browser
from tests.support.proxy import Proxy

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()


@pytest.mark.attack
async def test_no_address_referrer_or_console_shows_a_token(browser: Browser, scene: Scene) -> None:
    viewing, watching = scene.token("ann"), scene.token("host", "overlay", room=scene.room)
    expired, malformed = scene.token("ann", ttl=-10), "not a token, but nothing to show: hush"
    pages = [
        await browser.open(f"{scene.url}/rooms/{scene.room}#token={viewing}"),
        await browser.open(f"{scene.url}/overlay#token={watching}&debug"),
        await browser.open(f"{scene.url}/rooms/{scene.room}#token={expired}"),
        await browser.open(f"{scene.url}/overlay#token={scene.token('ann', room='elsewhere')}&debug"),
        await browser.open(f"{scene.url}/rooms/{scene.room}#token={quote(malformed)}"),
    ]
    await pages[0].wait_for("document.querySelector('#live').textContent === 'live'")
    await pages[1].wait_for("document.querySelector('#status.joined')")
    await pages[2].wait_for("document.querySelector('#notice').textContent.includes('not signed in')")
    await pages[3].wait_for("document.querySelector('#status.refused')")
    await pages[4].wait_for("document.querySelector('#notice').textContent.includes('not whole')")
    secrets = [token.split(".")[-1] for token in (viewing, watching, expired)] + ["hush"]
    for page in pages:
        assert await page.evaluate("location.href.includes('token')") is False
        shown = [*page.console, *(part for request in page.requests for part in request)]
        if page is not pages[3]:
            assert "/v1/" in str(page.requests) or page is pages[4]
        assert not [line for line in shown for secret in secrets if secret in unquote(line.partition("#")[0])]
        assert {referrer for _, referrer in page.requests} <= {"", scene.url + "/"}
    assert not [secret for secret in secrets if secret in (scene.server.data_dir.parent / "server.log").read_text()]


async def test_a_reload_keeps_the_token_and_a_newer_one_wins(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser)
    await page.page.reload()
    await page.wait_for("document.querySelector('#status.joined')")
    await scene.server.room(scene.room + "b", scene.user("other"))
    other = scene.token("other", "overlay", room=scene.room + "b")
    await page.evaluate(f"void (location.hash = '#token={other}&debug')")
    await page.wait_for("document.querySelector('#status.joined') && location.hash === '#debug='")
    async with scene.client("ann") as ann:
        await ann.send_gift(scene.room + "b", "castle")
    await page.wait_for("document.querySelector('.card')")


async def test_only_an_overlay_token_may_come_as_a_query(browser: Browser, scene: Scene) -> None:
    old = await scene.overlay(browser, scene.overlay_url().replace("#", "?"))
    assert await old.evaluate("location.search") == "?debug="
    for path in ("/overlay", f"/rooms/{scene.room}"):
        page = await browser.open(f"{scene.url}{path}?token={scene.token('ann', room=scene.room)}&debug")
        await page.wait_for("document.body.innerText.includes('not whole')")
        assert "/v1/ws" not in str(page.requests)


@pytest.mark.attack
async def test_a_connect_that_fails_prints_no_token(browser: Browser, scene: Scene) -> None:
    """Nor where the link has the token as a query: the page takes it out, and offers it beside the subprotocol."""
    async with Proxy(scene.url) as proxy:
        link = scene.overlay_url(proxy.url)
        pages = [await scene.overlay(browser, one) for one in (link, link.replace("#", "?"))]
        proxy.cut(refuse=True)
        for page in pages:
            await page.wait_for("document.querySelector('#status.reconnecting')")
            async with asyncio.timeout(20):
                while "/v1/ws' failed" not in str(page.console):
                    await asyncio.sleep(0.05)
            assert not [line for line in page.console if "token" in line or "eyJ" in line]
