"""The overlay, on the running product, in a real browser."""

from __future__ import annotations

import asyncio
import base64
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from gifting import Client
from tests.browser.scene import SENDERS, Scene, yes
from tests.support.browser import Browser, require_browser
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()

CARD_HEIGHT = 100
"""Of a source that has a place for one card."""
EVIL = '<img src=x onerror="window.hacked=1">'

CARDS = """[...document.querySelectorAll('.card:not(.leaving)')].map((card) => ({
    name: card.querySelector('.name').textContent,
    gift: card.querySelector('.gift-name').textContent,
    combo: card.querySelector('.combo').hidden ? '' : card.querySelector('.combo').textContent,
    message: card.querySelector('.message').textContent,
}))"""
"""What is on screen, from the top."""

FETCHED = "performance.getEntriesByType('resource').map(({ name }) => name)"
"""What has been loaded, to its end."""

REMEMBER_CARDS = """(() => {
    const nodes = new Set();
    window.names = () => [...nodes].map((node) => node.querySelector('.name').textContent);
    new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((n) => nodes.add(n))))
        .observe(document.querySelector('#alerts'), { childList: true });
})()"""
"""Afterwards ``names()`` are the senders of every card there ever was."""


async def test_a_gift_shows_sender_gift_and_count(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser)
    await scene.send("ann", "castle", 3, "for the encore", name="Zoë 李")
    await page.wait_for("document.querySelector('.card')")
    [card] = await page.evaluate(CARDS)
    assert card == {"name": "Zoë 李", "gift": "Cloud Castle", "combo": "×3", "message": "for the encore"}
    await page.wait_for("document.querySelector('img.gift').naturalWidth > 0")
    assert await page.evaluate("document.querySelector('.avatar').textContent") == "Z"
    assert page.errors == []


async def test_a_streak_is_one_card_that_counts_up_and_leaves(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser)
    await page.evaluate(REMEMBER_CARDS)
    async with scene.client("ann") as ann:
        for count in (1, 2, 4):
            await ann.send_gift(scene.room, "spark", count)
        await page.wait_for("document.querySelector('.combo')?.textContent === '×7'")
    await page.wait_for("!document.querySelector('.card')")
    assert await page.evaluate("names()") == ["ann"]


async def test_a_streak_that_goes_on_is_there_at_once(browser: Browser, scene: Scene) -> None:
    async with scene.client("ann") as ann:
        stop = asyncio.Event()
        sending = asyncio.create_task(_streak(ann, scene.room, stop))
        page = await scene.overlay(browser)
        await page.wait_for("document.querySelector('.combo')?.textContent.length > 1")
        assert len(await page.evaluate(CARDS)) == 1
        stop.set()
        count = await sending
        await page.wait_for(f"document.querySelector('.combo').textContent === '×{count}'")


async def _streak(sender: Client, room: str, stop: asyncio.Event) -> int:
    """Send sparks until ``stop``, and one last; how many there were."""
    while True:
        over = stop.is_set()
        reply = await sender.send_gift(room, "spark")
        if over:
            return int(reply["repeat_count"])
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.1)


async def test_higher_coins_come_first(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser)
    gifts = ("spark", "castle", "donut", "carousel", "galaxy")
    await asyncio.gather(*(scene.send(user, gift) for user, gift in zip(SENDERS, gifts, strict=True)))
    await page.wait_for(f"({CARDS})[0]?.gift === 'Pocket Galaxy'")
    await page.wait_for(f"({CARDS})[1]?.gift === 'Cloud Castle'")
    await page.wait_for(f"({CARDS})[2]?.gift === 'Carousel'")
    assert len(await page.evaluate(CARDS)) <= 4


async def test_a_lost_connection_loses_and_repeats_nothing(browser: Browser, scene: Scene) -> None:
    async with Proxy(scene.url) as proxy:
        page = await scene.overlay(browser, scene.overlay_url(proxy.url))
        await page.evaluate(REMEMBER_CARDS)
        await scene.send("ann", "castle")
        await page.wait_for("names().length === 1")
        proxy.cut(refuse=True)
        await page.wait_for("document.querySelector('#status.reconnecting')")
        await scene.send("bob", "whale")
        proxy.mend()
        await page.wait_for("document.querySelector('#status.joined')")
        await scene.send("cleo", "phoenix")
        await page.wait_for("names().includes('cleo')")
        assert sorted(await page.evaluate("names()")) == ["ann", "bob", "cleo"]


async def test_a_killed_server_is_found_again(browser: Browser, tmp_path: Path) -> None:
    async with Server(tmp_path / "data", member_rate=0) as server:
        scene = Scene(server)
        await scene.prepare()
        page = await scene.overlay(browser)
        await page.evaluate(REMEMBER_CARDS)
        await scene.send("ann", "castle")
        await page.wait_for("names().length === 1")
        await server.stop(signal.SIGKILL)
        await page.wait_for("document.querySelector('#status.reconnecting')")
        await server.start()
        await scene.send("bob", "whale")
        await page.wait_for("names().length === 2")
        assert sorted(await page.evaluate("names()")) == ["ann", "bob"]


async def test_a_revoked_overlay_stops_and_says_so(browser: Browser, scene: Scene) -> None:
    """On the stream too, where nobody debugs: else it looks like one without gifts."""
    made = await scene.operator.call("POST", f"/v1/rooms/{scene.room}/overlay-tokens", {"ttl": 1000})
    page = await scene.overlay(browser, made["url"] + "&debug")
    await page.page.evaluate("document.querySelector('#status').hidden = true")
    await scene.operator.call("DELETE", f"/v1/rooms/{scene.room}/overlay-tokens/{made['token_id']}")
    await page.wait_for("document.querySelector('#status.closed')")
    again = await browser.open(made["url"])
    for tab in (page, again):
        await tab.wait_for("document.body.innerText.includes('this link no longer works')")
        assert made["token"] not in await tab.evaluate("document.documentElement.outerHTML")


async def test_an_address_that_is_not_whole_says_so(browser: Browser, scene: Scene) -> None:
    page = await browser.open(f"{scene.url}/overlay")
    await page.wait_for("document.body.innerText.includes('Copy the overlay')")


async def test_css_that_a_browser_source_brings_applies(browser: Browser, scene: Scene) -> None:
    """OBS puts it into the page as a style element. Scripts stay forbidden; and so do styles on the room page."""
    page = await scene.overlay(browser)
    await page.page.add_style_tag(content=":root { --edge: 77px }")
    assert await page.evaluate("getComputedStyle(document.querySelector('#alerts')).left") == "77px"
    assert page.errors == []
    await page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    )
    assert await page.evaluate("window.ran") is None
    room = await scene.viewer(browser, "ann")
    await room.evaluate("document.head.append(Object.assign(document.createElement('style'), {textContent: '*{}'}))")
    await until(lambda: "style-src" in str(room.errors))


async def test_one_sender_has_one_card_however_often_the_gift_is_sent(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser)
    async with scene.client("ann") as ann:
        for _ in range(6):
            await ann.send_gift(scene.room, "fireworks")
    await scene.send("bob", "fireworks")
    await page.wait_for(f"({CARDS}).map(({{ name, combo }}) => name + combo).join() === 'ann×6,bob'")


async def test_a_reload_drops_nothing_and_repeats_nothing(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser, height=CARD_HEIGHT)  # a place for one card
    await page.page.add_init_script(f"addEventListener('DOMContentLoaded', () => {{ {REMEMBER_CARDS} }})")
    await page.evaluate(REMEMBER_CARDS)
    for name, gift in (("ann", "castle"), ("bob", "fox"), ("cleo", "skateboard")):
        await scene.send(name, gift)
        await page.wait_for("names().join() === 'ann'")
    shown = await page.evaluate("performance.now()")
    await page.wait_for(f"performance.now() - {shown} > 2600")
    assert await page.evaluate("names()") == ["ann"]
    await page.page.goto("about:blank")
    await scene.send("dov", "jukebox")
    await page.page.goto(f"{scene.url}/overlay#debug")
    await page.wait_for("names().length === 3")
    assert await page.evaluate("names()") == ["bob", "dov", "cleo"]


async def test_pictures_stay_while_the_server_is_away(browser: Browser, tmp_path: Path) -> None:
    async with Server(tmp_path / "data", member_rate=0) as server:
        scene = Scene(server)
        await scene.prepare()
        page = await scene.overlay(browser, height=CARD_HEIGHT)
        async with scene.client("ann") as ann:
            for gift in ("carousel", "fireworks"):
                await ann.send_gift(scene.room, gift)
        await page.wait_for(f"({CARDS})[0]?.gift === 'Carousel'")
        await page.wait_for(f"{FETCHED}.some((name) => name.endsWith('/gifts/fireworks.svg'))")
        await server.stop()
        await page.wait_for(f"({CARDS})[0]?.gift === 'Fireworks'")
        await page.wait_for("document.querySelector('.card:not(.leaving) img.gift')?.naturalWidth > 0")
        assert await page.evaluate("document.querySelectorAll('span.gift').length") == 0
        assert await page.evaluate("fetch('/gifts/fireworks.svg').then((reply) => reply.status)") == 200


@pytest.mark.parametrize("width", [200, 300, 480])
async def test_a_narrow_source_shows_name_gift_and_count(browser: Browser, scene: Scene, width: int) -> None:
    page = await scene.overlay(browser, width=width, height=400)
    async with scene.client("ann", name="Alexandra") as ann:
        for _ in range(3):
            await ann.send_gift(
                scene.room, "galaxy", 1, "a message that is long enough to take more than one line", confirm=yes
            )
    await page.wait_for("document.querySelector('.combo')?.textContent === '×3'")
    await page.evaluate("document.querySelector('.card').getAnimations()[0].finished.then(() => 0)")
    hidden = await page.evaluate("""['.name', '.gift-name', '.combo', 'img.gift'].filter((part) => {
        const box = document.querySelector(part).getBoundingClientRect();
        const inside = box.left >= 0 && box.right <= innerWidth && box.width >= 20 && box.height >= 10;
        return !inside || document.querySelector(part).scrollWidth > document.querySelector(part).clientWidth + 1;
    })""")
    assert [part for part in hidden if part != ".gift-name" or width > 200] == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_low_source_shows_whole_cards(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser, width=400, height=220)
    await asyncio.gather(*(scene.send(user, "castle") for user in SENDERS))
    await page.wait_for(f"({CARDS}).length === 2")
    await page.wait_for("document.querySelector('.card').getBoundingClientRect().top >= 0")


async def test_what_viewers_type_stays_text(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser)
    await scene.send("ann", "castle", 1, EVIL, name=EVIL, picture="javascript:window.hacked=1")
    await page.wait_for("document.querySelector('.card')")
    [card] = await page.evaluate(CARDS)
    assert (card["name"], card["message"]) == (EVIL, EVIL)
    assert await page.evaluate("document.querySelectorAll('.card img:not(.gift)').length") == 0
    assert await page.evaluate("window.hacked") is None
    assert page.errors == []


async def test_the_page_is_transparent_but_for_its_cards(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser)
    await scene.send("ann", "galaxy")
    await page.wait_for("document.querySelector('.card')")
    picture = base64.b64encode(await page.page.screenshot(omit_background=True)).decode()
    alpha = await page.evaluate(f"""new Promise((resolve) => {{
        const image = new Image();
        image.onload = () => {{
            const pen = new OffscreenCanvas(image.width, image.height).getContext('2d');
            pen.drawImage(image, 0, 0);
            resolve([20, image.height - 60].map((y) => pen.getImageData(90, y, 1, 1).data[3]));
        }};
        image.src = 'data:image/png;base64,{picture}';
    }})""")
    assert alpha[0] == 0, "the page above the cards"
    assert alpha[1] > 0, "a card"


async def test_what_was_said_with_a_gift_leaves_its_card_when_it_is_removed(browser: Browser, scene: Scene) -> None:
    page = await scene.overlay(browser)
    await scene.send("ann", "castle", 1, "rude")
    await page.wait_for("document.querySelector('.message')?.textContent === 'rude'")
    events = (await scene.operator.call("GET", f"/v1/rooms/{scene.room}/events"))["events"]
    (seq,) = (event["seq"] for event in events if event.get("message") == "rude")
    await scene.operator.call("DELETE", f"/v1/rooms/{scene.room}/comments/{seq}")
    await page.wait_for("document.querySelector('.message')?.textContent === ''")
    [card] = await page.evaluate(CARDS)
    assert (card["name"], card["message"]) == ("ann", "")
