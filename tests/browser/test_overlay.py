"""The overlay and the room page, on the running product, in a real browser."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from gifting import Client
from tests.support.browser import Browser, Page, require_browser
from tests.support.keys import forget_keys
from tests.support.proxy import Proxy
from tests.support.server import Server

require_browser()

EVIL = '<img src=x onerror="window.hacked=1">'
SENDERS = ("ann", "bob", "cleo", "dov", "eda")

CARDS = """[...document.querySelectorAll('.card:not(.leaving)')].map((card) => ({
    name: card.querySelector('.name').textContent,
    gift: card.querySelector('.gift-name').textContent,
    combo: card.querySelector('.combo').hidden ? '' : card.querySelector('.combo').textContent,
    message: card.querySelector('.message').textContent,
}))"""
"""What is on screen, from the top."""

REMEMBER_CARDS = """(() => {
    const nodes = new Set();
    window.names = () => [...nodes].map((node) => node.querySelector('.name').textContent);
    new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((n) => nodes.add(n))))
        .observe(document.querySelector('#alerts'), { childList: true });
})()"""
"""Afterwards ``names()`` are the senders of every card there ever was."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", member_rate=0, streak_window=1) as running:
        await running.room("r1")
        await running.operator.grant_each(SENDERS, 1_000_000)
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with Browser() as browser:
        yield browser


def address(server: Server, origin: str = "") -> str:
    token = server.token("host", "overlay", room="r1")
    return f"{origin or server.url}/overlay#token={token}&debug"


async def overlay(browser: Browser, url: str) -> Page:
    """An overlay that has joined its room."""
    page = await browser.open(url, 900, 640)
    await page.wait_for("document.querySelector('#status.joined')")
    return page


async def send(server: Server, user: str, gift: str, count: int = 1, message: str | None = None, **claims: Any) -> None:
    async with Client(server.url, server.token(user, **{"name": user, **claims})) as client:
        await client.send_gift("r1", gift, count, message)


async def test_a_gift_shows_sender_gift_and_count(browser: Browser, server: Server) -> None:
    page = await overlay(browser, address(server))
    await send(server, "ann", "castle", 3, "for the encore", name="Zoë 李")
    await page.wait_for("document.querySelector('.card')")
    [card] = await page.evaluate(CARDS)
    assert card == {"name": "Zoë 李", "gift": "Cloud Castle", "combo": "×3", "message": "for the encore"}
    await page.wait_for("document.querySelector('img.gift').naturalWidth > 0")
    assert await page.evaluate("document.querySelector('.avatar').textContent") == "Z"
    assert page.errors == []


async def test_a_streak_is_one_card_that_counts_up_and_leaves(browser: Browser, server: Server) -> None:
    page = await overlay(browser, address(server))
    await page.evaluate(REMEMBER_CARDS)
    async with Client(server.url, server.token("ann")) as ann:
        for count in (1, 2, 4):
            await ann.send_gift("r1", "spark", count)
        await page.wait_for("document.querySelector('.combo')?.textContent === '×7'")
    await page.wait_for("!document.querySelector('.card')", 15)
    assert await page.evaluate("names()") == ["ann"]


async def test_a_streak_that_goes_on_is_there_at_once(browser: Browser, server: Server) -> None:
    async with Client(server.url, server.token("ann")) as ann:
        stop = asyncio.Event()
        sending = asyncio.create_task(_streak(ann, stop))
        page = await overlay(browser, address(server))
        await page.wait_for("document.querySelector('.combo')?.textContent.length > 1")
        assert len(await page.evaluate(CARDS)) == 1
        stop.set()
        count = await sending
        await page.wait_for(f"document.querySelector('.combo').textContent === '×{count}'")


async def _streak(sender: Client, stop: asyncio.Event) -> int:
    """Send sparks until ``stop``, and one last; how many there were."""
    while True:
        over = stop.is_set()
        reply = await sender.send_gift("r1", "spark")
        if over:
            return int(reply["repeat_count"])
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.1)


async def test_higher_coins_come_first(browser: Browser, server: Server) -> None:
    page = await overlay(browser, address(server))
    gifts = ("spark", "castle", "donut", "carousel", "galaxy")
    await asyncio.gather(*(send(server, user, gift) for user, gift in zip(SENDERS, gifts, strict=True)))
    await page.wait_for(f"({CARDS})[0]?.gift === 'Pocket Galaxy'")
    await page.wait_for(f"({CARDS})[1]?.gift === 'Cloud Castle'")
    await page.wait_for(f"({CARDS})[2]?.gift === 'Carousel'")
    assert len(await page.evaluate(CARDS)) <= 4


async def test_a_lost_connection_loses_and_repeats_nothing(browser: Browser, server: Server) -> None:
    async with Proxy(server.url) as proxy:
        page = await overlay(browser, address(server, proxy.url))
        await page.evaluate(REMEMBER_CARDS)
        await send(server, "ann", "castle")
        await page.wait_for("names().length === 1")
        proxy.cut(refuse=True)
        await page.wait_for("document.querySelector('#status.reconnecting')")
        await send(server, "bob", "whale")
        proxy.mend()
        await page.wait_for("document.querySelector('#status.joined')", 30)
        await send(server, "cleo", "phoenix")
        await page.wait_for("names().includes('cleo')")
        assert sorted(await page.evaluate("names()")) == ["ann", "bob", "cleo"]


async def test_a_killed_server_is_found_again(browser: Browser, server: Server) -> None:
    page = await overlay(browser, address(server))
    await page.evaluate(REMEMBER_CARDS)
    await send(server, "ann", "castle")
    await page.wait_for("names().length === 1")
    await server.stop(signal.SIGKILL)
    await page.wait_for("document.querySelector('#status.reconnecting')")
    await server.start()
    await send(server, "bob", "whale")
    await page.wait_for("names().length === 2", 30)
    assert sorted(await page.evaluate("names()")) == ["ann", "bob"]


async def test_a_revoked_overlay_stops_and_stays_stopped(browser: Browser, server: Server) -> None:
    made = await server.operator.call("POST", "/v1/rooms/r1/overlay-tokens", {"ttl": 1000})
    page = await overlay(browser, made["url"] + "&debug")
    await server.operator.call("DELETE", f"/v1/rooms/r1/overlay-tokens/{made['token_id']}")
    await page.wait_for("document.querySelector('#status.closed')")
    again = await browser.open(made["url"] + "&debug")
    await again.wait_for("document.querySelector('#status.closed')", 30)
    assert "new token" in await again.evaluate("document.querySelector('#status').textContent")


async def test_what_viewers_type_stays_text(browser: Browser, server: Server) -> None:
    page = await overlay(browser, address(server))
    await send(server, "ann", "castle", 1, EVIL, name=EVIL, picture="javascript:window.hacked=1")
    await page.wait_for("document.querySelector('.card')")
    [card] = await page.evaluate(CARDS)
    assert (card["name"], card["message"]) == (EVIL, EVIL)
    assert await page.evaluate("document.querySelectorAll('.card img:not(.gift)').length") == 0
    assert await page.evaluate("window.hacked") is None
    assert page.errors == []


async def test_the_page_is_transparent_but_for_its_cards(browser: Browser, server: Server) -> None:
    page = await overlay(browser, address(server))
    await send(server, "ann", "galaxy")
    await page.wait_for("document.querySelector('.card')")
    picture = base64.b64encode(await page.screenshot(transparent=True)).decode()
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


async def test_the_room_page_shows_the_stream(browser: Browser, server: Server) -> None:
    page = await viewer(browser, server, "ann")
    async with Client(server.url, server.token("bob", name="Bo")) as bob:
        await bob.send_gift("r1", "kite", 1, EVIL)
        await bob.send_gift("r1", "kite", 2)
        await bob.comment("r1", EVIL)
        await bob.like("r1", 5)
    await page.wait_for("document.querySelector('#feed .comment')")
    await page.wait_for("document.querySelector('#likes').textContent === '5'")
    await page.wait_for("document.querySelector('#feed .times').textContent === '×3'")
    assert await page.evaluate("document.querySelectorAll('#feed .gift-line').length") == 1
    assert await page.evaluate("document.querySelector('#feed .comment .said').textContent") == EVIL
    await page.wait_for("document.querySelector('#coins').textContent === '27'")
    await page.wait_for("document.querySelector('#diamonds').textContent === '13.5'")
    await page.wait_for("document.querySelector('#top .who')?.textContent === 'Bo'")
    await page.wait_for("document.querySelector('#viewers').textContent === '1'")
    await server.operator.call("DELETE", "/v1/rooms/r1")
    await page.wait_for("document.querySelector('#live').textContent === 'ended'")
    assert page.errors == []


async def test_the_room_page_keeps_its_ranking_right(browser: Browser, server: Server) -> None:
    page = await viewer(browser, server, "ann")
    await page.evaluate("Math.random = () => 0")
    await send(server, "bob", "kite")
    await page.wait_for("document.querySelector('#top .given')?.textContent === '9'")
    await send(server, "bob", "crown")
    await page.wait_for("document.querySelector('#top .given').textContent === '108'", 20)


async def test_the_room_page_sends(browser: Browser, server: Server) -> None:
    page = await viewer(browser, server, "ann")
    await page.evaluate("document.querySelector('[data-gift=crown]').click()")
    await page.wait_for("document.querySelector('#balance').textContent === '999,901 coins left'")
    await page.evaluate("document.querySelector('#text').value = 'hello'")
    await page.evaluate("document.querySelector('#talk').requestSubmit()")
    await page.wait_for("document.querySelector('#feed .said')?.textContent === 'hello'")
    await page.evaluate("for (let i = 0; i < 3; i++) document.querySelector('#like').click()")
    await page.wait_for("document.querySelector('#likes').textContent === '3'")
    assert await server.operator.wallets(["ann"]) == {"ann": 999_901}
    assert page.errors == []


async def test_the_room_page_says_what_is_wrong(browser: Browser, server: Server) -> None:
    poor = await viewer(browser, server, "poor")
    await poor.evaluate("document.querySelector('[data-gift=crown]').click()")
    await poor.wait_for("document.querySelector('#notice').textContent.includes('more coins')")
    lost = await browser.open(f"{server.url}/rooms/nowhere#token={server.token('ann')}")
    await lost.wait_for("document.querySelector('#notice').textContent.includes('room id')")
    none = await browser.open(f"{server.url}/rooms/r1")
    await none.wait_for("document.querySelector('#notice').textContent.includes('needs a token')")


async def viewer(browser: Browser, server: Server, user: str) -> Page:
    """A room page that has joined and knows the viewer's coins."""
    page = await browser.open(f"{server.url}/rooms/r1#token={server.token(user)}")
    await page.wait_for("document.querySelector('#live').textContent === 'live'")
    await page.wait_for("document.querySelector('#balance').textContent")
    return page


# Tokens and addresses.


@pytest.mark.attack
async def test_no_address_referrer_or_console_shows_a_token(browser: Browser, server: Server) -> None:
    viewing, watching = server.token("ann"), server.token("host", "overlay", room="r1")
    expired, malformed = server.token("ann", ttl=-10), "not a token, but nothing to show: hush"
    pages = [
        await browser.open(f"{server.url}/rooms/r1#token={viewing}"),
        await browser.open(f"{server.url}/overlay#token={watching}&debug"),
        await browser.open(f"{server.url}/rooms/r1#token={expired}"),
        await browser.open(f"{server.url}/overlay#token={server.token('ann', room='elsewhere')}&debug"),
        await browser.open(f"{server.url}/rooms/r1#token={quote(malformed)}"),
    ]
    await pages[0].wait_for("document.querySelector('#live').textContent === 'live'")
    await pages[1].wait_for("document.querySelector('#status.joined')")
    await pages[2].wait_for("document.querySelector('#notice').textContent.includes('new token')", 20)
    await pages[3].wait_for("document.querySelector('#status.refused')")
    await pages[4].wait_for("document.querySelector('#notice').textContent.includes('needs a token')")
    secrets = [token.split(".")[-1] for token in (viewing, watching, expired)] + ["hush"]
    for page in pages:
        assert await page.evaluate("location.href.includes('token')") is False
        shown = [*page.console, *(part for request in page.requests for part in request)]
        if page is not pages[3]:
            assert "/v1/" in str(page.requests) or page is pages[4]
        assert not [line for line in shown for secret in secrets if secret in unquote(line.partition("#")[0])]
        assert {referrer for _, referrer in page.requests} <= {"", server.url + "/"}
    assert not [secret for secret in secrets if secret in (server.data_dir.parent / "server.log").read_text()]


async def test_a_reload_keeps_the_token_and_a_newer_one_wins(browser: Browser, server: Server) -> None:
    page = await overlay(browser, address(server))
    await page.call("Page.reload")
    await page.wait_for("document.querySelector('#status.joined')")
    await server.room("r2", "other")
    other = server.token("other", "overlay", room="r2")
    await page.evaluate(f"void (location.hash = '#token={other}&debug')")
    await page.wait_for("document.querySelector('#status.joined') && location.hash === '#debug='")
    async with Client(server.url, server.token("ann")) as ann:
        await ann.send_gift("r2", "castle")
    await page.wait_for("document.querySelector('.card')")


async def test_only_an_overlay_token_may_come_as_a_query(browser: Browser, server: Server) -> None:
    old = await overlay(browser, address(server).replace("#", "?"))
    assert await old.evaluate("location.search") == "?debug="
    for path in ("/overlay", "/rooms/r1"):
        page = await browser.open(f"{server.url}{path}?token={server.token('ann', room='r1')}&debug")
        await page.wait_for("document.body.innerText.includes('#token=')")
        assert "/v1/ws" not in str(page.requests)


async def test_the_javascript_client_pays_once_and_sees_all_in_order(browser: Browser, server: Server) -> None:
    async with Proxy(server.url) as proxy:
        page = await browser.open(f"{proxy.url}/static/lib/keys.js")
        await page.evaluate(_client(server))
        await page.evaluate("client.sendGift('r1', 'crown', 1, 'one')")
        proxy.mute = True
        await page.evaluate("void (window.gift = client.sendGift('r1', 'crown', 2, 'two'))")
        async with asyncio.timeout(10):
            while (await server.operator.wallets(["ann"]))["ann"] != 999_703:
                await asyncio.sleep(0.02)
        proxy.cut()
        await page.wait_for("client.state === 'reconnecting'")
        await send(server, "bob", "castle")
        proxy.mend()
        reply = await page.evaluate("window.gift")
        assert (reply["duplicate"], reply["coins"]) == (True, 999_703)
        await page.evaluate("client.sendGift('r1', 'castle')")
        await page.wait_for("seen.filter(({ gift }) => gift === 'castle').length === 2")
        seqs = await page.evaluate("seen.map(({ seq }) => seq)")
        assert seqs == list(range(1, len(seqs) + 1))
    assert (await server.audit())[0] == 0


@pytest.mark.attack
async def test_the_javascript_client_asks_the_ledger_before_it_gives_up(
    browser: Browser, tmp_path: Path, redis_url: str, redis_client: Any
) -> None:
    async with Server(tmp_path / "data", redis_url) as server, Proxy(server.url) as proxy:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 1000)
        page = await browser.open(f"{proxy.url}/static/lib/keys.js")
        await page.evaluate(_client(server))
        await page.wait_for("client.seq('r1') !== null")
        proxy.mute = True
        await page.evaluate("void (window.gift = client.sendGift('r1', 'crown'))")
        async with asyncio.timeout(10):
            while (await server.operator.wallets(["ann"]))["ann"] != 901:
                await asyncio.sleep(0.02)
        proxy.cut(refuse=True)
        await forget_keys(redis_client)
        proxy.mend()
        reply = await page.evaluate("window.gift")
        assert (reply["duplicate"], reply["event_id"]) == (True, f"r1.{reply['seq']}")
        assert await server.operator.wallets(["ann"]) == {"ann": 901}


def _client(server: Server) -> str:
    return f"""(async () => {{
        const {{ GiftingClient }} = await import('/static/gifting.js');
        const rooms = [{{ room: 'r1', lane: 'all' }}];
        window.client = new GiftingClient({{ token: {json.dumps(server.token("ann"))}, rooms }});
        window.seen = [];
        client.on('event', ({{ event }}) => event.seq && seen.push({{ seq: event.seq, gift: event.gift?.id }}));
        client.connect();
    }})()"""
