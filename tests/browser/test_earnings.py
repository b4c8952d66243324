"""A creator's own page: what is available, having it paid out, payouts and statements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from gifting.errors import ArchiveUnavailable
from tests.browser.scene import Scene
from tests.browser.test_accessible import violations
from tests.support.browser import Browser, Tab, require_browser
from tests.support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()

TERMS = """
[payout]
currency = "USD"
micros_per_diamond = 10_000
minimum = 10
[[tier]]
id = "free"
hold_days = 0
commission = 2_000
[[tier]]
id = "held"
hold_days = 30
"""


@pytest_asyncio.fixture(loop_scope="session")
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """With an archive, which the server keeps by itself."""
    terms = tmp_path / "creators.toml"
    terms.write_text(TERMS)
    async with Server(
        tmp_path / "data", creators=str(terms), archive="", member_rate=0, reconcile_interval=0.2
    ) as server:
        made = Scene(server)
        await made.prepare()
        yield made


async def own_page(browser: Browser, scene: Scene, width: int = 1280, **claims: Any) -> Tab:
    url = f"{scene.url}/earnings?room={scene.room}#token={scene.token('host', 'creator', **claims)}"
    return await browser.open(url, width, 800, reduced_motion="reduce")


async def archived(scene: Scene) -> None:
    """Once the archiver, which begins with the server, has made its tables."""
    async with asyncio.timeout(60):
        while True:
            with suppress(ArchiveUnavailable):
                await scene.operator.call("GET", f"/v1/creators/{scene.user('host')}/statements/2025")
                return
            await asyncio.sleep(0.05)


async def may_be_paid(scene: Scene) -> None:
    path, host = f"/v1/creators/{scene.user('host')}", scene.server.caller(scene.user("host"), "creator", mfa=True)
    await host.call("PUT", f"{path}/destination", {"provider": "sandbox", "account": "acct_5678"})
    await scene.operator.call("PUT", f"{path}/kyc", {"state": "verified", "reason": "a test"})


@pytest.mark.parametrize("width", [1280, 360])
async def test_what_is_available_is_paid_out_and_told(browser: Browser, scene: Scene, width: int) -> None:
    await scene.send("ann", "crown", 10)
    await may_be_paid(scene)
    page = await own_page(browser, scene, width, mfa=True)
    available = page.page.locator("#balance tr").first
    await expect(available).to_contain_text("396")
    await expect(available).to_contain_text("$3.96")
    await expect(page.page.locator("#goes")).to_contain_text("…5678 (sandbox)")
    await expect(page.page.locator("#payouts")).to_have_text("Nothing was paid out yet.")
    assert await violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.page.locator("#diamonds").fill("250")
    question = page.page.locator("dialog.question")
    await page.page.locator("#ask [type=submit]").click()
    await expect(question).to_contain_text("Pay out 250 diamonds?")
    assert await violations(page) == []
    await question.locator("button", has_text="Not now").click()
    await expect(available).to_contain_text("396")
    await page.page.locator("#ask [type=submit]").click()
    await question.locator(".yes").click()
    await expect(page.page.locator("#notice")).to_have_text("You asked for $2.50.")
    await expect(available).to_contain_text("146")
    one = page.page.locator("#payouts > li")
    await expect(one).to_contain_text("250 diamonds")
    while await one.locator(".state").text_content() != "paid":
        await page.page.reload()
        await expect(one).to_contain_text("$2.50")
    assert await violations(page) == []
    assert page.errors == []


async def test_statements_are_shown_and_saved(browser: Browser, scene: Scene) -> None:
    await scene.send("ann", "crown", 10)
    await archived(scene)
    page = await own_page(browser, scene)
    months = page.page.locator("#statements > li")
    await expect(months).to_have_count(14)
    await months.first.locator("button", has_text="Show").click()
    shown = page.page.locator("#statement")
    await expect(shown).to_contain_text("so far")
    await expect(shown.locator("tbody tr")).to_have_count(3)
    await expect(shown.locator("tbody tr").nth(1)).to_contain_text("495")
    await expect(shown.locator("tbody tr").nth(1)).to_contain_text("99")
    assert await violations(page) == []
    for form, begins in (("CSV", b"what,at,"), ("PDF", b"%PDF-")):
        async with page.page.expect_download() as saved:
            await months.nth(1).locator("button", has_text=form).click()
        assert (await (await saved.value).path()).read_bytes().startswith(begins)
    assert page.errors == []


async def test_what_is_in_the_way_is_said(browser: Browser, scene: Scene) -> None:
    await scene.send("ann", "crown", 10)
    page = await own_page(browser, scene, 320)
    await expect(page.page.locator("#goes")).to_contain_text("Nobody has said yet where your money goes.")
    await expect(page.page.locator("#goes")).to_contain_text("your identity has to be verified")
    await page.page.locator("#ask [type=submit]").click()
    await page.page.locator("dialog.question .yes").click()
    await expect(page.page.locator("#notice")).to_contain_text("with your second factor")
    await scene.operator.call("PUT", f"/v1/creators/{scene.user('host')}/tier", {"tier": "held", "reason": "a test"})
    await page.page.reload()
    await expect(page.page.locator("#release")).to_contain_text("More becomes available on")
    assert await violations(page) == []
    lost = await browser.open(f"{scene.url}/earnings")
    await expect(lost.page.locator("#notice")).to_contain_text("link is not whole")
