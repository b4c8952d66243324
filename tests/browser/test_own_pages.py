"""A viewer's own pages: purchases and giving them back, limits and breaks."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from playwright.async_api import expect

from gifting.errors import AccountFrozen
from gifting.load.operator import Operator
from tests.browser.scene import Scene
from tests.browser.test_accessible import violations
from tests.support.browser import Browser, Tab, require_browser
from tests.support.keys import new_key
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()
DISPUTED = "4000000000000259"


async def buy(scene: Scene, name: str, package: str, card: str = "4242424242424242", **claims: Any) -> dict[str, Any]:
    """A purchase that is paid, or not, as the card has it."""
    user, caller = scene.user(name), scene.server.caller(scene.user(name), "viewer", **claims)
    await caller.call("PUT", f"/v1/users/{user}/limits", {"purchases": {"d30": None}})
    order = await caller.call("POST", "/v1/purchases", {"key": new_key(), "provider": "sandbox", "package": package})
    if card:
        checkout = order["url"].rpartition("/")[2]
        await caller.call("POST", f"/v1/sandbox/checkouts/{checkout}/pay", {"card": card})
        order = await until(partial(decided, caller, order["id"]), pause=0.05)
    return dict(order)


async def decided(caller: Operator, order: str) -> dict[str, Any]:
    """The order once it is paid, or not to be; asked for no faster than one may."""
    found: dict[str, Any] = await caller.call("GET", f"/v1/purchases/{order}")
    return {} if found["state"] in {"created", "paying"} else found


async def own_page(browser: Browser, scene: Scene, page: str, name: str, width: int = 1280, **claims: Any) -> Tab:
    url = f"{scene.url}/{page}?room={scene.room}#token={scene.token(name, **claims)}"
    return await browser.open(url, width, 800, reduced_motion="reduce")


@pytest.mark.parametrize("width", [1280, 360])
async def test_what_was_bought_is_told_with_its_price_and_can_be_given_back(
    browser: Browser, scene: Scene, width: int
) -> None:
    await buy(scene, "kim", "coins-350", region="DE")
    await buy(scene, "kim", "coins-70", "", region="DE")
    page = await own_page(browser, scene, "purchases", "kim", width, region="DE")
    lines = page.page.locator("#purchases > li")
    await expect(lines.first).to_contain_text("70 coins")
    await expect(lines.first).to_contain_text("not paid yet")
    await expect(lines.first.locator("button").first).to_have_text("Go on to pay")
    await expect(lines.nth(1)).to_contain_text("€3.79")
    await expect(lines.nth(1)).to_contain_text("paid")
    assert await violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await scene.server.caller(scene.user("kim"), "viewer").call(
        "POST", f"/v1/rooms/{scene.room}/gifts", {"gift": "petal", "key": new_key(), "count": 50}
    )
    question = page.page.locator("dialog.question")
    await lines.nth(1).locator("button", has_text="Give it back").click()
    await expect(question).to_contain_text("300 coins are taken")
    assert await violations(page) == []
    await question.locator("button", has_text="Not now").click()
    assert await scene.coins("kim") == 300
    await lines.nth(1).locator("button", has_text="Give it back").click()
    await question.locator(".yes").click()
    await expect(lines.nth(1).locator(".receipt")).to_contain_text("Given back: 300 coins for €3.24")
    await expect(page.page.locator("#notice")).to_contain_text("You gave back 300 coins")
    assert await scene.coins("kim") == 0
    assert await violations(page) == []
    async with page.page.expect_download() as saved:
        await lines.nth(1).locator(".receipt button").click()
    text = (await (await saved.value).path()).read_text()
    assert "300 coins for €3.24" in text and "Receipt 0" in text
    await page.page.locator("#back").click()
    await page.wait_for(f"location.pathname === '/rooms/{scene.room}'")


async def test_where_nothing_can_be_given_back_that_is_said(browser: Browser, scene: Scene) -> None:
    await buy(scene, "lee", "coins-70")
    page = await own_page(browser, scene, "purchases", "lee")
    await expect(page.page.locator("#purchases > li")).to_contain_text("can't be changed back into money")
    assert await page.page.locator("#purchases button").all_text_contents() == ["Ask for help"]
    none = await own_page(browser, scene, "purchases", "new")
    await expect(none.page.locator("#purchases")).to_have_text("You have bought nothing yet.")
    lost = await browser.open(f"{scene.url}/purchases")
    await expect(lost.page.locator("#notice")).to_contain_text("link is not whole")


@pytest.mark.parametrize("width", [1280, 360])
async def test_help_is_asked_for_once_at_a_time_and_its_outcome_is_read(
    browser: Browser, scene: Scene, width: int
) -> None:
    order = await buy(scene, "ned", "coins-70")
    page = await own_page(browser, scene, "purchases", "ned", width)
    line, question = page.page.locator("#purchases > li"), page.page.locator("dialog.question")
    await line.locator("button", has_text="Ask for help").click()
    await question.locator("select").select_option("minor")
    await question.locator("textarea").fill("<b>My son</b> had my phone.")
    assert await violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await question.locator(".yes").click()
    await expect(line).to_contain_text("A child has paid.")
    await expect(line).to_contain_text("Somebody looks at it.")
    assert await line.locator("button", has_text="Ask for help").count() == 0
    ned = scene.server.caller(scene.user("ned"), "viewer")
    (case,) = (await ned.call("GET", "/v1/support/cases"))["cases"]
    assert (case["order"], case["kind"], case["text"]) == (order["id"], "minor", "<b>My son</b> had my phone.")
    decided = {"outcome": "refused", "reason": "Please tell us <i>when</i>."}
    await scene.operator.call("POST", f"/v1/support/cases/{case['id']}/resolve", decided)
    await page.page.reload()
    await expect(line).to_contain_text("Nothing was changed.")
    await expect(line).to_contain_text("Please tell us <i>when</i>.")
    await expect(line.locator("button", has_text="Ask for help")).to_have_count(1)
    assert await violations(page) == []
    assert page.errors == []


async def test_what_a_dispute_means_and_until_when_one_can_pay_is_said(browser: Browser, scene: Scene) -> None:
    await buy(scene, "mo", "coins-70", "")
    page = await own_page(browser, scene, "purchases", "mo", 320)
    await expect(page.page.locator("#purchases > li").first).to_contain_text("You can pay until")
    await buy(scene, "mo", "coins-350", DISPUTED)
    caller = scene.server.caller(scene.user("mo"), "viewer")
    async with asyncio.timeout(10):
        while (await caller.call("GET", "/v1/purchases"))["purchases"][0]["state"] != "disputed":
            await asyncio.sleep(0.05)
    await page.page.reload()
    await expect(page.page.locator("#purchases > li").first).to_contain_text("you can't send gifts or buy coins")
    assert await violations(page) == []
    with pytest.raises(AccountFrozen):
        await caller.call("POST", f"/v1/rooms/{scene.room}/gifts", {"gift": "petal", "key": new_key()})
    assert await scene.coins("mo") == 350


@pytest.mark.parametrize("width", [1280, 360])
async def test_limits_are_set_and_hold(browser: Browser, scene: Scene, width: int) -> None:
    await scene.send("ann", "crown")
    page = await own_page(browser, scene, "limits", "ann", width)
    await expect(page.page.locator("#spent tbody tr").first).to_contain_text("99")
    await expect(page.page.locator("#worth")).to_have_text("In the last 30 days: 1 gift for 99 coins, $1.44 at most.")
    assert await violations(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.page.locator("[name='gifts.day']").fill("100")
    await page.page.locator("[name='purchases.month']").fill("2000")
    await page.page.locator("[name='caps.gift']").fill("500")
    await page.page.locator("#own [type=submit]").click()
    await expect(page.page.locator("#notice")).to_contain_text("Saved")
    await expect(page.page.locator("#spent tbody")).to_contain_text("99 of 100")
    user = scene.user("ann")
    own = (await scene.operator.call("GET", f"/v1/users/{user}/limits"))["own"]
    assert (own["gifts"]["day"], own["purchases"]["month"], own["caps"]["gift"]) == (100, 2000, 500)
    await page.page.locator("[name='gifts.day']").fill("")
    await page.page.locator("#own [type=submit]").click()
    await expect(page.page.locator("#raises")).to_contain_text("Gifts, a day: no limit from")
    await expect(page.page.locator("[name='gifts.day']")).to_have_value("100")
    assert await violations(page) == []
    room = await scene.viewer(browser, "ann")
    await room.page.locator("[data-gift=kite]").click()
    notice = room.page.locator("#notice")
    await expect(notice).to_contain_text("limit you have set")
    await expect(notice).to_contain_text("If you spend nothing more until then, it fits again ")
    await room.page.locator("[data-gift=carousel]").click()
    await expect(notice).to_contain_text("At most: 500 coins.")
    assert await scene.coins("ann") == 1_000_000 - 99


async def test_a_break_is_asked_about_and_then_holds(browser: Browser, scene: Scene) -> None:
    page = await own_page(browser, scene, "limits", "bob")
    await expect(page.page.locator("#pause")).to_be_hidden()
    week = page.page.locator("#breaks button", has_text="1 week")
    question = page.page.locator("dialog.question")
    await week.click()
    await expect(question).to_contain_text("nobody can end that early")
    await question.locator("button", has_text="Not now").click()
    await expect(page.page.locator("#pause")).to_be_hidden()
    await week.click()
    await question.locator(".yes").click()
    await expect(page.page.locator("#pause-until")).to_contain_text("It ends")
    assert await violations(page) == []
    room = await scene.viewer(browser, "bob")
    await room.page.locator("[data-gift=kite]").click()
    await expect(room.page.locator("#notice")).to_contain_text("taking a break")
    await expect(room.page.locator("#notice")).to_contain_text("It ends ")
    await page.page.locator("#breaks button", has_text="For ever").click()
    await question.locator(".yes").click()
    await expect(page.page.locator("#pause-until")).to_contain_text("It does not end")
    assert page.errors == []
