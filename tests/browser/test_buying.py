"""From no coins to a gift: shop, checkout of the sandbox, and back; what is confirmed; who it is from."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from playwright.async_api import WebSocketRoute, expect

from gifting.model.currencies import EXPONENTS, Money
from tests.browser.scene import Scene
from tests.browser.test_accessible import violations
from tests.support.browser import Browser, Tab, require_browser

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()


NOTICES_STAY = """(() => {
    const wait = window.setTimeout;
    window.setTimeout = (then, time, ...more) => wait(then, time >= 6000 ? 2 ** 30 : time, ...more);
})()"""
"""So that one is gone only where something took it away."""


async def shopper(browser: Browser, scene: Scene, name: str = "poor", width: int = 1280, height: int = 800) -> Tab:
    return await scene.viewer(browser, name, width, height, reduced_motion="reduce")


async def choose(page: Tab, package: str) -> None:
    """Press a package; the first time, want no limit."""
    await page.page.locator("#buy").click()
    await page.page.locator(f"#shop [data-package='{package}']").click()
    await page.page.locator("dialog.question button", has_text="No limit").click()
    await page.wait_for("location.pathname.startsWith('/checkout/') && document.querySelector('.cards')")


async def pay(page: Tab, card: str) -> None:
    await page.page.locator(".cards label", has_text=card).first.click()
    await page.page.locator("#step .answers .yes").click()


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
async def test_who_has_no_coins_buys_some_and_is_back_in_the_room(
    browser: Browser, scene: Scene, size: tuple[int, int]
) -> None:
    page = await shopper(browser, scene, "poor", *size)
    await page.page.locator("[data-gift=crown]").click()
    shop = page.page.locator("#shop")
    await expect(shop).to_contain_text("You don't have enough coins")
    await expect(shop.locator("li").first).to_contain_text("$")
    assert await violations(page) == []
    await shop.locator("li button", has_text="350 coins").click()
    question = page.page.locator("dialog.question")
    await expect(question).to_contain_text("Before your first purchase")
    assert await violations(page) == []
    await question.locator("input").fill("5000")
    await question.locator(".yes").click()
    await expect(page.page.locator(".what")).to_contain_text("350 coins")
    assert await violations(page) == []
    await pay(page, "Is declined")
    await expect(page.page.locator("#notice")).to_have_text("The card was declined.")
    await pay(page, "3-D Secure")
    await expect(page.page.locator("#step h2")).to_have_text("Your bank asks")
    assert await violations(page) == []
    await page.page.locator("#step .answers .yes").click()
    await expect(page.page.locator("#step .outcome")).to_contain_text("Paid.")
    assert await violations(page) == []
    await page.page.locator("#back").click()
    await expect(page.page.locator("#notice")).to_contain_text("You bought 350 coins for $")
    await expect(page.page.locator("#balance")).to_have_text("350 coins left")
    await page.page.locator("[data-gift=crown]").click()
    await expect(page.page.locator("#balance")).to_have_text("251 coins left")
    limits = await scene.operator.call("GET", f"/v1/users/{scene.user('poor')}/limits")
    assert limits["own"]["purchases"]["d30"] == 5000
    assert not [where for where, _ in page.requests if "token" in where]


async def test_who_does_not_pay_is_told_so_and_can_buy_again(browser: Browser, scene: Scene) -> None:
    page = await shopper(browser, scene, "fickle")
    await choose(page, "coins-70")
    await page.page.locator("#step .answers button", has_text="Don't pay").click()
    await expect(page.page.locator("#step .outcome")).to_contain_text("Nothing was paid")
    await page.page.locator("#back").click()
    await expect(page.page.locator("#notice")).to_contain_text("no coins were issued")
    assert await scene.coins("fickle") == 0
    await page.page.locator("#buy").click()
    await page.page.locator("#amount").fill("123")
    await expect(page.page.locator("#shop form .cost")).to_contain_text("$")
    asked = await page.page.locator("#shop form .cost").inner_text()
    await page.page.locator("#shop form button").click()
    await expect(page.page.locator(".what")).to_have_text(f"123 coins{asked}")
    await pay(page, "Pays")
    await page.page.locator("#back").click()
    await expect(page.page.locator("#balance")).to_have_text("123 coins left")


async def test_what_came_of_a_payment_is_told_however_late_the_stream_is(browser: Browser, scene: Scene) -> None:
    page = await shopper(browser, scene, "patient")
    await page.page.add_init_script(NOTICES_STAY)
    await choose(page, "coins-70")
    told = asyncio.Event()

    async def late(socket: WebSocketRoute) -> None:
        await told.wait()
        socket.connect_to_server()

    await page.page.route_web_socket(re.compile("/v1/ws"), late)
    await page.page.locator("#step .answers button", has_text="Don't pay").click()
    await page.page.locator("#back").click()
    notice = page.page.locator("#notice")
    await expect(notice).to_contain_text("no coins were issued")
    told.set()
    await expect(page.page.locator("#viewers")).not_to_have_text("–")
    await expect(notice).to_contain_text("no coins were issued", timeout=1)


async def test_a_large_gift_is_sent_only_if_it_is_meant(browser: Browser, scene: Scene) -> None:
    page = await shopper(browser, scene, "ann")
    question = page.page.locator("dialog.question")
    for no in ("button", "Escape"):
        await page.page.locator("[data-gift=galaxy]").click()
        await expect(question).to_contain_text("44,999 coins, $652.49 at most")
        if no == "Escape":
            await page.page.keyboard.press("Escape")
        else:
            await question.locator("button", has_text="Not now").click()
        await expect(question).to_have_count(0)
    assert await scene.coins("ann") == 1_000_000
    await page.page.locator("[data-gift=galaxy]").click()
    await question.locator(".yes").click()
    await expect(page.page.locator("#balance")).to_have_text("955,001 coins left")


async def test_who_does_not_want_to_be_seen_is_not(browser: Browser, scene: Scene) -> None:
    page = await shopper(browser, scene, "bob")
    await page.page.locator("#anonymous").check()
    await page.page.locator("[data-gift=kite]").click()
    await expect(page.page.locator("#feed .gift-line .who")).to_have_text("Anonymous")
    await expect(page.page.locator("#top .who")).to_have_text("Anonymous")
    await expect(page.page.locator("#balance")).to_have_text("999,991 coins left")


async def test_money_is_shown_as_its_currency_has_it(browser: Browser, scene: Scene) -> None:
    page = await browser.open(f"{scene.url}/static/words.js")
    asked = json.dumps([[*EXPONENTS], [[10**exponent, currency] for currency, exponent in EXPONENTS.items()]])
    told = await page.evaluate(f"""import('/static/money.js').then(({{ exponent, money }}) => {{
        const [currencies, amounts] = {asked};
        return [currencies.map(exponent), amounts.map(([amount, currency]) => money(amount, currency))];
    }})""")
    assert told[0] == [*EXPONENTS.values()]
    assert not [text for text in told[1] if "1" not in text or "0" in text]
    shown = await page.evaluate("import('/static/money.js').then(({ money }) => money(1234567, 'IDR'))")
    assert "12,345.67" in shown and str(Money(1_234_567, "IDR")) == "12345.67 IDR"
