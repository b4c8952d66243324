"""The room page, on the running product, in a real browser."""

from __future__ import annotations

import json
import re

import pytest
from playwright.async_api import expect

from gifting import errors
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
    await page.wait_for("document.querySelector('#top .given').textContent === '108'")


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
    await poor.wait_for("document.querySelector('#notice').textContent.includes('enough coins')")
    lost = await browser.open(f"{scene.url}/rooms/nowhere#token={scene.token('ann')}")
    await lost.wait_for("document.querySelector('#notice').textContent.includes('no stream')")
    none = await browser.open(f"{scene.url}/rooms/{scene.room}")
    await none.wait_for("document.querySelector('#notice').textContent.includes('link is not whole')")


async def test_a_viewer_is_told_nothing_in_the_words_of_developers(browser: Browser, scene: Scene) -> None:
    page = await browser.open(f"{scene.url}/static/words.js")
    every = json.dumps([{"code": error.code, "temporary": error.temporary} for error in errors.all_errors()])
    told = await page.evaluate(f"import('/static/words.js').then(({{ words }}) => {every}.map(words))")
    assert all(told)
    assert not [text for text in told if re.search(r"(?i)\b(keys?|token|id|uuid|json|op|message|GET|http)\b|_|`", text)]


async def test_the_balance_is_the_same_in_all_tabs_of_a_viewer(browser: Browser, scene: Scene) -> None:
    sending, watching = await scene.viewer(browser, "ann"), await scene.viewer(browser, "ann")
    await sending.page.locator("[data-gift=crown]").click()
    for tab in (sending, watching):
        await expect(tab.page.locator("#balance")).to_have_text("999,901 coins left")
    await scene.operator.grant_each([scene.user("ann")], 99)
    for tab in (sending, watching):
        await expect(tab.page.locator("#balance")).to_have_text("1,000,000 coins left")


async def test_a_viewer_hears_that_a_limit_comes_near_and_what_it_refuses(browser: Browser, scene: Scene) -> None:
    page = await scene.viewer(browser, "ann")
    await scene.operator.call("PUT", f"/v1/users/{scene.user('ann')}/limits", {"gifts": {"d7": 198}})
    for said in ("50 % of a limit", "100 % of a limit", "limit"):
        await page.page.locator("[data-gift=crown]").click()
        await expect(page.page.locator("#notice")).to_contain_text(said)
    assert await scene.coins("ann") == 1_000_000 - 198
    assert page.errors == []


async def test_a_refusal_is_in_sight_wherever_the_page_is(browser: Browser, scene: Scene) -> None:
    """On a phone the gifts are far below the top."""
    page = await scene.viewer(browser, "poor", 390, 844, has_touch=True, is_mobile=True)
    gift = page.page.locator("[data-gift=crown]")
    await gift.scroll_into_view_if_needed()
    assert await page.evaluate("scrollY") > 0
    await gift.tap()
    await expect(page.page.locator("#notice")).to_be_in_viewport(ratio=1)


async def test_prices_and_what_was_given_are_exact(browser: Browser, scene: Scene) -> None:
    page = await scene.viewer(browser, "ann")
    await expect(page.page.locator("[data-gift=galaxy] .price")).to_have_text("44,999")
    await scene.send("bob", "galaxy")
    await expect(page.page.locator("#top .given")).to_have_text("44,999")
    await expect(page.page.locator("#coins")).to_have_text("44,999")


async def test_what_is_read_further_up_stays_where_it_is(browser: Browser, scene: Scene) -> None:
    page = await scene.viewer(browser, "ann", reduced_motion="reduce")
    await page.evaluate("import('/static/room/room-view.js').then(({ Feed }) => (window.feed = new Feed()))")
    say = "feed.add({{ type: 'comment', user: {{ id: 'bob' }}, text: '{0} ' + n }})"
    fill = "for (let n = 0; n < {1}; n++) " + say
    await page.evaluate(fill.format("early", 150))
    assert await page.evaluate("document.querySelectorAll('#lines li').length") == 120
    await page.evaluate(
        "(document.querySelector('#feed').scrollTop = 900, window.read = document.elementFromPoint("
        "200, document.querySelector('#feed').getBoundingClientRect().top + 90).closest('li'))"
    )
    where = "[read.isConnected, Math.round(read.getBoundingClientRect().top)]"
    before = await page.evaluate(where)
    for count in (300, 400):  # the second time, the oldest go
        await page.evaluate(fill.format("late", count))
        await page.wait_for("!document.querySelector('#newest').hidden")
        still = await page.evaluate(where)
        assert not still[0] or still == before
    await page.page.locator("#newest").click()
    await expect(page.page.locator("#lines li").last).to_be_in_viewport()
    await page.wait_for("document.querySelector('#newest').hidden")
    await page.evaluate(fill.format("last", 1))
    assert await page.evaluate("document.querySelectorAll('#lines li').length") == 120
    await expect(page.page.locator("#lines li").last).to_be_in_viewport()


async def test_what_is_removed_leaves_the_room_page(browser: Browser, scene: Scene) -> None:
    """A comment goes, of a gift its words; and who holds a comment says so to its author."""
    page = await scene.viewer(browser, "ann")
    async with scene.client("bob", name="Bo") as bob:
        await bob.send_gift(scene.room, "kite", 1, "rude")
        await bob.comment(scene.room, "ruder")
        await bob.comment(scene.room, "nice")
    await page.wait_for("document.querySelectorAll('#feed .comment').length === 2")
    events = (await scene.operator.call("GET", f"/v1/rooms/{scene.room}/events"))["events"]
    for event in events:
        if (event.get("message") or event.get("text")) in ("rude", "ruder"):
            await scene.operator.call("DELETE", f"/v1/rooms/{scene.room}/comments/{event['seq']}")
    await page.wait_for("document.querySelectorAll('#feed .said').length === 1")
    assert await page.evaluate("document.querySelector('#feed .said').textContent") == "nice"
    assert await page.evaluate("document.querySelectorAll('#feed .gift-line').length") == 1
    await page.evaluate("document.querySelector('#text').value = 'free coins at my profile'")
    await page.evaluate("document.querySelector('#talk').requestSubmit()")
    await page.wait_for("document.body.textContent.includes('waits until the host has seen it')")
    assert page.errors == []
