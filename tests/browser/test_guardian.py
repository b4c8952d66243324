"""A guardian, from being asked to the end of it, by two people at their own pages."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.scene import Scene
from tests.browser.test_accessible import violations
from tests.browser.test_own_pages import own_page
from tests.support.browser import Browser, Tab, require_browser

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()


async def fits(page: Tab) -> None:
    """Nothing is wider than the screen, and axe finds nothing."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await violations(page) == []


async def say_yes(page: Tab) -> None:
    await page.page.locator("dialog.question .yes").click()
    await expect(page.page.locator("dialog.question")).to_have_count(0)


async def ask(page: Tab, guardian: str) -> None:
    """By the keyboard alone."""
    name = page.page.locator("#guardian-name")
    await expect(name).to_be_visible()  # what is not takes no focus
    await name.focus()
    await page.page.keyboard.type(guardian)
    await page.page.keyboard.press("Enter")
    await expect(page.page.locator("dialog.question")).to_contain_text("only they, or support, can end it")
    await fits(page)
    await page.page.keyboard.press("Tab")
    await expect(page.page.locator("dialog.question .yes")).to_be_focused()
    await page.page.keyboard.press("Enter")


@pytest.mark.parametrize("width", [1280, 320])
async def test_a_guardian_is_asked_accepts_caps_and_ends_it(browser: Browser, scene: Scene, width: int) -> None:
    ward, guardian = scene.user("ann"), scene.user("mum")
    await scene.send("ann", "crown")
    ann = await own_page(browser, scene, "limits", "ann", width)
    await expect(ann.page.locator("#me")).to_have_text(ward)
    await ask(ann, guardian)
    await expect(ann.page.locator("#guardian-is")).to_contain_text(f"You have asked {guardian}, who sees nothing")
    await fits(ann)

    mum = await own_page(browser, scene, "limits", "mum", width)
    await expect(mum.page.locator("#wards li")).to_contain_text(f"{ward} asks you to be their guardian")
    await fits(mum)
    await mum.page.locator("#wards button", has_text="Accept").press("Enter")
    await expect(mum.page.locator("#wards li")).to_contain_text(f"{ward}: you are their guardian.")
    await mum.page.locator("#wards a").press("Enter")
    await expect(mum.page.locator("h1")).to_have_text(f"Limits of {ward}")
    await expect(mum.page.locator("#spent tbody tr").first).to_contain_text("99")
    await expect(mum.page.locator("#break")).to_be_hidden()
    await mum.page.locator("[name='gifts.day']").fill("100")
    await mum.page.locator("[name='caps.gift']").fill("500")
    await mum.page.locator("[name='caps.gift']").press("Enter")
    await expect(mum.page.locator("#notice")).to_have_text("Saved. It holds from now on.")
    await expect(mum.page.locator("#spent tbody")).to_contain_text("99 of 100")
    await fits(mum)

    room = await scene.viewer(browser, "ann")
    await room.page.locator("[data-gift=kite]").click()
    await expect(room.page.locator("#notice")).to_contain_text("limit your guardian has set")
    await ann.page.reload()
    await expect(ann.page.locator("#guardian-is")).to_contain_text(f"{guardian} is your guardian")
    await expect(ann.page.locator("#guardian-ask")).to_be_hidden()
    await expect(ann.page.locator("#guardian-is button")).to_have_count(0)
    await expect(ann.page.locator("#others")).to_contain_text("Gifts, a day: 100 coins. One gift: 500 coins.")
    await fits(ann)

    await mum.page.locator("[name='gifts.day']").fill("")
    await mum.page.locator("#own [type=submit]").click()
    await expect(mum.page.locator("#spent tbody")).not_to_contain_text("99 of 100")
    await mum.page.locator("#resign-now").click()
    await expect(mum.page.locator("dialog.question")).to_contain_text("The limits that you have set end at once")
    await say_yes(mum)
    await expect(mum.page.locator("h1")).to_have_text("Your limits")
    await expect(mum.page.locator("#wards-part")).to_be_hidden()
    await ann.page.reload()
    await expect(ann.page.locator("#guardian-ask")).to_be_visible()
    limits = await scene.operator.call("GET", f"/v1/users/{ward}/limits")
    assert (limits["guardian"], limits["guard"]["caps"]["gift"]) == ("", None)
    assert ann.errors == mum.errors == []


async def test_who_is_asked_may_decline_and_who_asks_may_think_better_of_it(browser: Browser, scene: Scene) -> None:
    ann, mum = await own_page(browser, scene, "limits", "ann"), await own_page(browser, scene, "limits", "mum")
    await ask(ann, scene.user("mum"))
    await expect(ann.page.locator("#notice")).to_contain_text("People you look after")
    await mum.page.reload()
    await mum.page.locator("#wards button", has_text="Decline").click()
    await expect(mum.page.locator("#wards-part")).to_be_hidden()
    await ann.page.reload()
    await ask(ann, scene.user("mum"))
    await expect(ann.page.locator("#guardian-is")).to_contain_text("You have asked")
    await mum.page.reload()
    await ann.page.locator("#guardian-is button").click()
    await expect(ann.page.locator("#guardian-ask")).to_be_visible()
    await mum.page.locator("#wards button", has_text="Accept").click()
    await expect(mum.page.locator("#notice")).to_have_text("This is over already. Reload the page.")


@pytest.mark.parametrize(
    ("name", "why"), [("ann", "can't be your own guardian"), ("no name", "nobody of that name")], ids=["self", "nobody"]
)
async def test_who_cant_be_asked_is_said(browser: Browser, scene: Scene, name: str, why: str) -> None:
    page = await own_page(browser, scene, "limits", "ann")
    await ask(page, scene.user("ann") if name == "ann" else name)
    await expect(page.page.locator("#notice")).to_contain_text(why)


async def test_who_is_no_guardian_sees_nothing_of_others(browser: Browser, scene: Scene) -> None:
    url = f"{scene.url}/limits?ward={scene.user('ann')}#token={scene.token('mum')}"
    page = await browser.open(url, 390, 844)
    await expect(page.page.locator("#notice")).to_have_text("You are not their guardian, or no longer.")
    await expect(page.page.locator("#shown")).to_be_hidden()
    await fits(page)
