"""What axe finds on the pages while they are used: nothing."""

from __future__ import annotations

import asyncio

import pytest
from axe_playwright_python.async_playwright import Axe

from tests.browser.scene import SENDERS, Scene, yes
from tests.support.browser import Browser, Tab, require_browser

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()


async def violations(tab: Tab) -> list[str]:
    """What axe finds, each with the elements that it is about."""
    found = await Axe().run(tab.page)
    return [
        f"{one['id']}: {[(node['target'], node.get('any') and node['any'][0]['message']) for node in one['nodes']]}"
        for one in found.response["violations"]
    ]


async def perform(scene: Scene) -> None:
    """A light load of everything that pages show."""
    async with scene.client("ann", name="Zoë 李") as ann:
        for gift in ("spark", "crown", "fireworks", "castle"):
            await ann.send_gift(scene.room, gift, 2, "for the encore", confirm=yes)
        for number in range(8):
            await ann.comment(scene.room, f"hello {number}")
        await ann.like(scene.room, 3)
    await asyncio.gather(*(scene.send(sender, "donut") for sender in SENDERS[1:]))


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
async def test_the_room_page(browser: Browser, scene: Scene, size: tuple[int, int]) -> None:
    page = await scene.viewer(browser, "ann", *size, reduced_motion="reduce")
    await perform(scene)
    await page.page.locator("[data-gift=galaxy]").click()
    await page.wait_for("document.querySelector('dialog.question')")
    assert await violations(page) == []
    await page.page.locator("dialog.question .yes").click()
    await page.page.locator("#buy").click()
    await page.wait_for("document.querySelectorAll('#shop li').length > 4")
    assert await violations(page) == []
    await page.page.locator("#shop .answers button").click()
    await page.wait_for("document.querySelectorAll('#feed .gift-line').length >= 6")
    await page.wait_for("document.querySelector('#top .given')")
    assert await violations(page) == []
    await scene.operator.call("DELETE", f"/v1/rooms/{scene.room}")
    await page.wait_for("document.querySelector('#live').textContent === 'ended'")
    assert await violations(page) == []


async def test_the_overlay(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser, reduced_motion="reduce")
    await perform(scene)
    await page.wait_for("document.querySelectorAll('.card').length === 4")
    assert await violations(page) == []
    dead = await browser.open(f"{scene.url}/overlay")
    await dead.wait_for("!document.querySelector('#notice').hidden")
    assert await violations(dead) == []


@pytest.mark.parametrize("size", [(1280, 800), (360, 640)])
async def test_the_front_page(browser: Browser, scene: Scene, size: tuple[int, int]) -> None:
    page = await browser.open(f"{scene.url}/", *size)
    await page.wait_for("document.querySelectorAll('a').length >= 4")
    assert await page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await violations(page) == []
