"""The room page, on the running product, in a real browser."""

from __future__ import annotations

import pytest

from tests.browser.scene import Scene
from tests.support.browser import Browser, require_browser

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()

EVIL = '<img src=x onerror="window.hacked=1">'


async def test_the_room_page_shows_the_stream(browser: Browser, scene: Scene) -> None:
    page = await scene.viewer(browser, "ann")
    async with scene.client("bob", name="Bo") as bob:
        await bob.send_gift(scene.room, "kite", 1, EVIL)
        await bob.send_gift(scene.room, "kite", 2)
        await bob.comment(scene.room, EVIL)
        await bob.like(scene.room, 5)
    await page.wait_for("document.querySelector('#feed .comment')")
    await page.wait_for("document.querySelector('#likes').textContent === '5'")
    await page.wait_for("document.querySelector('#feed .times').textContent === '×3'")
    assert await page.evaluate("document.querySelectorAll('#feed .gift-line').length") == 1
    assert await page.evaluate("document.querySelector('#feed .comment .said').textContent") == EVIL
    await page.wait_for("document.querySelector('#coins').textContent === '27'")
    await page.wait_for("document.querySelector('#diamonds').textContent === '13.5'")
    await page.wait_for("document.querySelector('#top .who')?.textContent === 'Bo'")
    await page.wait_for("document.querySelector('#viewers').textContent === '1'")
    await scene.operator.call("DELETE", f"/v1/rooms/{scene.room}")
    await page.wait_for("document.querySelector('#live').textContent === 'ended'")
    assert page.errors == []


async def test_the_room_page_keeps_its_ranking_right(browser: Browser, scene: Scene) -> None:
    page = await scene.viewer(browser, "ann")
    await page.evaluate("Math.random = () => 0")
    await scene.send("bob", "kite")
    await page.wait_for("document.querySelector('#top .given')?.textContent === '9'")
    await scene.send("bob", "crown")
    await page.wait_for("document.querySelector('#top .given').textContent === '108'", 20)


async def test_the_room_page_sends(browser: Browser, scene: Scene) -> None:
    page = await scene.viewer(browser, "ann")
    await page.evaluate("document.querySelector('[data-gift=crown]').click()")
    await page.wait_for("document.querySelector('#balance').textContent === '999,901 coins left'")
    await page.evaluate("document.querySelector('#text').value = 'hello'")
    await page.evaluate("document.querySelector('#talk').requestSubmit()")
    await page.wait_for("document.querySelector('#feed .said')?.textContent === 'hello'")
    await page.evaluate("for (let i = 0; i < 3; i++) document.querySelector('#like').click()")
    await page.wait_for("document.querySelector('#likes').textContent === '3'")
    assert await scene.coins("ann") == 999_901
    assert page.errors == []


async def test_the_room_page_says_what_is_wrong(browser: Browser, scene: Scene) -> None:
    poor = await scene.viewer(browser, "poor")
    await poor.evaluate("document.querySelector('[data-gift=crown]').click()")
    await poor.wait_for("document.querySelector('#notice').textContent.includes('more coins')")
    lost = await browser.open(f"{scene.url}/rooms/nowhere#token={scene.token('ann')}")
    await lost.wait_for("document.querySelector('#notice').textContent.includes('room id')")
    none = await browser.open(f"{scene.url}/rooms/{scene.room}")
    await none.wait_for("document.querySelector('#notice').textContent.includes('needs a token')")
