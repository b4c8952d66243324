"""The overlay and the JavaScript client, in a real browser."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import uuid
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gifting.model.catalog import Gift, load_catalog
from gifting.web.art import gift_svg
from gifting.wire.tokens import issue
from tests.browser import Browser, Page, find_browser

STATIC = Path(__file__).parent.parent / "gifting" / "web" / "static"
SECRET = "only-for-tests-only-for-tests-only"
POLICY = "default-src 'self'; img-src 'self' https: data:; connect-src 'self' ws: wss:; style-src 'self'"
NOW_MS = 1_800_000_000_000
EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'

if find_browser() is None:
    if os.environ.get("CI"):
        pytest.fail("CI must have a Chromium: these tests are not to be skipped there", pytrace=False)
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)


class Policy:
    """Every page and file goes out under the content policy of the server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"content-security-policy", POLICY.encode()))
            await send(message)

        await self.app(scope, receive, sending)


class Stage:
    """A server that speaks the protocol from what a test tells it, and remembers what it was asked."""

    def __init__(self) -> None:
        self.catalog = load_catalog()
        self.log: list[dict[str, Any]] = []
        self.streaks: list[dict[str, Any]] = []
        self.joins: list[dict[str, Any]] = []
        self.gifts: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []
        self.forget_replies = 0
        self.gap = False
        self.open = True
        self.origin = ""
        self._sockets: set[WebSocket] = set()

    def app(self) -> Starlette:
        gifts = [gift.public() for gift in self.catalog]
        routes = [
            Route("/overlay", lambda request: FileResponse(STATIC / "overlay.html")),
            Route("/rooms/{room}", lambda request: FileResponse(STATIC / "room.html")),
            Route("/gifts/{gift}.svg", self._picture),
            Route("/v1/catalog", lambda request: JSONResponse({"gifts": gifts})),
            Route("/v1/users/{user}/wallet", lambda request: JSONResponse({"coins": 12_500, "diamonds": 0})),
            Mount("/static", StaticFiles(directory=STATIC)),
            WebSocketRoute("/v1/ws", self._socket),
        ]
        return Starlette(routes=routes, middleware=[Middleware(Policy)])

    def url(self, path: str, **claims: Any) -> str:
        given = {"user": "u-me", "role": "viewer", "now": NOW_MS / 1000, "ttl": 3600.0, **claims}
        return f"{self.origin}{path}?token={issue(SECRET, **given)}"

    def overlay(self) -> str:
        return self.url("/overlay", user="o-1", role="overlay", room="r1")

    async def gift(self, gift_id: str, count: int = 1, *, total: int = 0, sender: str = "Ann", **extra: Any) -> None:
        """``total``: of a streak that goes on."""
        chosen = self.catalog[gift_id]
        event = {
            "type": "gift",
            "user": {"id": f"u-{sender}"[:20], "name": sender, "picture": "", "level": 1},
            "to_user": {"id": "h", "name": "Host"},
            "gift": chosen.public(),
            "count": count,
            "repeat_count": total or count,
            "repeat_end": not total,
            "streak_id": f"{sender}-{gift_id}" if total else None,
            "coins": count * chosen.coins,
            "diamonds": count * chosen.coins * 500,
            "message": None,
            **extra,
        }
        await self.emit(event)

    async def emit(self, *events: dict[str, Any]) -> None:
        for event in events:
            seq = len(self.log) + 1
            self.log.append({"id": f"e{seq}", "seq": seq, "ts": NOW_MS, **event})
        await self.frame(self.log[len(self.log) - len(events) :])

    async def frame(self, events: list[dict[str, Any]]) -> None:
        for ws in list(self._sockets):
            await ws.send_json({"room": "r1", "seq": len(self.log), "events": events})

    async def drop(self, code: int) -> None:
        for ws in list(self._sockets):
            await ws.close(code)

    def _picture(self, request: Request) -> Response:
        return Response(gift_svg(self.catalog[request.path_params["gift"]]), media_type="image/svg+xml")

    async def _socket(self, ws: WebSocket) -> None:
        if not self.open:
            return await ws.close()
        await ws.accept("gifting.v1.json")
        try:
            while True:
                await self._answer(ws, await ws.receive_json())
        except WebSocketDisconnect:
            pass
        finally:
            self._sockets.discard(ws)

    async def _answer(self, ws: WebSocket, ask: dict[str, Any]) -> None:
        reply: dict[str, Any] = {"re": ask["id"], "ok": True}
        if ask["op"] == "ping":
            reply["ts"] = NOW_MS
        elif ask["op"] == "join":
            return await self._join(ws, ask, reply)
        elif ask["op"] == "send_gift":
            self.gifts.append(ask)
            if self.forget_replies:
                self.forget_replies -= 1
                return await ws.close(1011)
            reply |= {"seq": 1, "coins": 12_499, "repeat_count": 1, "duplicate": len(self.gifts) > 1}
        else:
            self.said.append(ask)
        return await ws.send_json(reply)

    async def _join(self, ws: WebSocket, ask: dict[str, Any], reply: dict[str, Any]) -> None:
        self.joins.append(ask)
        reply |= {"room": self.snapshot(), "gap": self.gap}
        await ws.send_json(reply)
        since = ask.get("since")
        if since is not None and not self.gap:
            # One event from before `since` again: a client must not show it twice.
            missed = self.log[max(0, since - 1) :]
            await ws.send_json({"room": "r1", "seq": len(self.log), "events": missed})
        self._sockets.add(ws)

    def snapshot(self) -> dict[str, Any]:
        people = {"Ann": 9000, "Bo": 4500, "Cleo": 3000, "Dimitri": 2250}
        top = [{"user": {"id": f"u-{name}", "name": name}, "coins": coins} for name, coins in people.items()]
        return {
            "seq": len(self.log),
            "title": "Late night synths",
            "host": {"id": "h", "name": "Mika"},
            "coins": 18_250,
            "diamonds": 9_125_000,
            "likes": 4_312,
            "viewers": 1_204,
            "top": top,
            "goals": [],
            "streaks": self.streaks,
        }


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stage.origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(stage.app(), ws="websockets-sansio", lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        yield stage
        server.should_exit = True
        server.force_exit = True
        await serving


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with Browser() as browser:
        yield browser


async def joined(browser: Browser, stage: Stage) -> Page:
    page = await browser.open(stage.overlay() + "&debug", 900, 640)
    await page.wait_for("document.querySelector('#status.joined')")
    return page


CARDS = """[...document.querySelectorAll('.card:not(.leaving)')].map((card) => ({
    name: card.querySelector('.name').textContent,
    gift: card.querySelector('.gift-name').textContent,
    combo: card.querySelector('.combo').hidden ? '' : card.querySelector('.combo').textContent,
    message: card.querySelector('.message').textContent,
}))"""


async def test_gift_shows_sender_gift_and_count(browser: Browser, stage: Stage) -> None:
    page = await joined(browser, stage)
    await stage.gift("castle", 3, sender="Zoë 李", message="for the encore")
    await page.wait_for("document.querySelector('.card')")
    [card] = await page.evaluate(CARDS)
    assert card == {"name": "Zoë 李", "gift": "Cloud Castle", "combo": "×3", "message": "for the encore"}
    await page.wait_for("document.querySelector('img.gift').naturalWidth > 0")
    assert await page.evaluate("document.querySelector('.avatar').textContent") == "Z"
    assert page.errors == []


async def test_streak_updates_one_card_in_place(browser: Browser, stage: Stage) -> None:
    page = await joined(browser, stage)
    await stage.gift("spark", 1, total=1)
    await page.wait_for("document.querySelector('.card')")
    await page.evaluate("document.querySelector('.card').marked = 1")
    for total in (2, 3, 7):
        await stage.gift("spark", 1, total=total)
    await page.wait_for("document.querySelector('.combo').textContent === '×7'")
    await stage.gift("spark", 0, total=7, repeat_end=True, coins=0)
    await page.wait_for("!document.querySelector('.card:not(.leaving)')", 15)
    assert await page.evaluate("document.querySelectorAll('.card').length <= 1")


async def test_higher_coins_come_first(browser: Browser, stage: Stage) -> None:
    page = await joined(browser, stage)
    names = ("spark", "kite", "crown", "castle", "donut", "galaxy")
    for name in names:
        await stage.gift(name, sender=name)
    await page.wait_for(f"({CARDS}).length === 4 && ({CARDS})[0].name === 'galaxy'")
    shown = [card["name"] for card in await page.evaluate(CARDS)]
    assert shown == ["galaxy", "castle", "crown", "donut"]


async def test_resumes_by_seq_without_repeat_or_loss(browser: Browser, stage: Stage) -> None:
    page = await joined(browser, stage)
    await stage.gift("castle", sender="before")
    await page.wait_for("document.querySelector('.card')")
    stage.open = False
    await stage.drop(4000)
    await page.wait_for("document.querySelector('#status.reconnecting')")
    await stage.gift("whale", sender="meanwhile")
    stage.open = True
    await page.wait_for("document.querySelector('#status.joined')", 30)
    await stage.gift("phoenix", sender="after")
    await page.wait_for(f"({CARDS}).some((card) => card.name === 'after')")
    assert stage.joins[-1]["since"] == 1
    shown = [card["name"] for card in await page.evaluate(CARDS)]
    assert len(shown) == len(set(shown))
    assert {"meanwhile", "after"} <= set(shown)


async def test_closed_for_good_stays_closed(browser: Browser, stage: Stage) -> None:
    page = await joined(browser, stage)
    await stage.drop(4502)
    await page.wait_for("document.querySelector('#status.closed')")
    assert len(stage.joins) == 1


async def test_what_viewers_type_stays_text(browser: Browser, stage: Stage) -> None:
    page = await joined(browser, stage)
    user = {"id": EVIL, "name": EVIL, "picture": "javascript:window.hacked=1", "level": 1}
    gift = {**stage.catalog["castle"].public(), "name": EVIL}
    await stage.gift("castle", user=user, message=EVIL, gift=gift)
    await page.wait_for("document.querySelector('.card')")
    [card] = await page.evaluate(CARDS)
    assert (card["name"], card["gift"], card["message"]) == (EVIL, EVIL, EVIL)
    assert await page.evaluate("document.querySelectorAll('.card script, .card img:not(.gift)').length") == 0
    assert await page.evaluate("window.hacked") is None


async def test_page_is_transparent(browser: Browser, stage: Stage) -> None:
    page = await joined(browser, stage)
    await stage.gift("galaxy")
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


async def test_streaks_of_the_snapshot_are_shown(browser: Browser, stage: Stage) -> None:
    user = {"id": "u-Ann", "name": "Ann", "picture": "", "level": 1}
    gift = stage.catalog["spark"].public()
    stage.streaks = [{"streak_id": "Ann-spark", "user": user, "gift": gift, "repeat_count": 41}]
    page = await joined(browser, stage)
    await page.wait_for("document.querySelector('.combo')?.textContent === '×41'")
    await stage.gift("spark", 1, total=42)
    await page.wait_for("document.querySelector('.combo').textContent === '×42'")
    assert len(await page.evaluate(CARDS)) == 1


CLIENT = """(async () => {
    const { GiftingClient } = await import('/static/gifting.js');
    const token = new URLSearchParams(location.search).get('token');
    const client = new GiftingClient({ token, rooms: [{ room: 'r1', lane: 'all' }] });
    window.seen = [];
    client.on('event', ({ event }) => window.seen.push(event.seq));
    client.connect();
    window.client = client;
    %s
})()"""


async def test_gift_is_retried_with_the_same_key(browser: Browser, stage: Stage) -> None:
    stage.forget_replies = 2
    page = await browser.open(stage.url("/static/keys.js"))
    reply = await page.evaluate(CLIENT % "return client.sendGift('r1', 'spark', 2, 'hi');")
    assert reply["duplicate"] is True
    assert len(stage.gifts) == 3
    [key] = {gift["key"] for gift in stage.gifts}
    assert uuid.UUID(key).version == 7
    assert abs((uuid.UUID(key).int >> 80) - NOW_MS) < 60_000
    assert {gift["message"] for gift in stage.gifts} == {"hi"}


async def test_events_never_twice_and_gap_starts_anew(browser: Browser, stage: Stage) -> None:
    page = await browser.open(stage.url("/static/keys.js"))
    await page.evaluate(CLIENT % "return new Promise((done) => client.on('snapshot', () => done(1)));")
    await stage.emit({"type": "like", "count": 1, "total": 1}, {"type": "like", "count": 1, "total": 2})
    await stage.frame(stage.log)
    await stage.emit({"type": "like", "count": 1, "total": 3})
    await page.wait_for("seen.length === 3")
    stage.gap = True
    await stage.drop(4002)
    stage.log.append({"id": "e4", "seq": 4, "ts": NOW_MS, "type": "like", "count": 1, "total": 4})
    await page.wait_for("client.seq('r1') === 4")
    await stage.emit({"type": "like", "count": 1, "total": 5})
    await page.wait_for("seen.at(-1) === 5")
    assert await page.evaluate("seen") == [1, 2, 3, 5]


async def test_room_page(browser: Browser, stage: Stage) -> None:
    page = await browser.open(stage.url("/rooms/r1"))
    await page.wait_for("document.querySelector('#balance').textContent === '12,500 coins left'")
    await page.wait_for("document.querySelector('#diamonds').textContent === '9.1K'")
    await stage.gift("kite", 1, total=1, sender="Bo", message=EVIL)
    await stage.gift("kite", 1, total=2, sender="Bo")
    await stage.emit({"type": "comment", "user": {"id": "u-c", "name": EVIL}, "text": EVIL})
    await page.wait_for("document.querySelector('#feed .comment')")
    assert await page.evaluate("document.querySelector('#feed .times').textContent") == "×2"
    assert await page.evaluate("document.querySelectorAll('#feed .gift-line').length") == 1
    assert await page.evaluate("document.querySelector('#feed .comment .said').textContent") == EVIL
    await page.evaluate("document.querySelector('[data-gift=spark]').click()")
    await page.wait_for("document.querySelector('#balance').textContent === '12,499 coins left'")
    await page.evaluate("document.querySelector('#text').value = 'hello'")
    await page.evaluate("for (let i = 0; i < 3; i++) document.querySelector('#like').click()")
    await page.evaluate("document.querySelector('#talk').requestSubmit()")
    await page.wait_for("document.querySelector('#text').value === ''")
    await stage.frame([{"type": "viewers", "count": 77}])
    await page.wait_for("document.querySelector('#viewers').textContent === '77'")
    await stage.emit({"type": "stream_end"})
    await page.wait_for("document.querySelector('#live').textContent === 'ended'")
    assert page.errors == []
    assert {"op": "comment", "room": "r1", "text": "hello"}.items() <= stage.said[0].items()


async def test_alert_queue_is_bounded_and_lets_nothing_hang(browser: Browser, stage: Stage) -> None:
    page = await browser.open(stage.url("/static/keys.js"))
    result = await page.evaluate("""(async () => {
        const { Alerts } = await import('/static/alerts.js');
        const gift = (id, coins, more = {}) => ({
            type: 'gift', id, user: {}, gift: { name: id, coins, tier: 'small' },
            count: 1, repeat_count: 1, repeat_end: true, streak_id: null, ...more,
        });
        const keys = (cards) => cards.map((card) => card.gift.name);
        const many = new Alerts();
        for (let n = 1; n <= 200; n++) many.push(gift(`g${n}`, n), 0);
        const seen = [];
        for (let now = 0; now < Infinity && seen.length < 99; now = many.nextAt()) {
            seen.push(keys(many.tick(now)));
        }
        const cheap = new Alerts({ visible: 1 });
        const streak = (total) => gift('s', 1, { streak_id: 'S', repeat_end: false, repeat_count: total });
        cheap.push(streak(1), 0);
        const first = keys(cheap.tick(0));
        cheap.push(gift('big', 500), 100);
        const held = keys(cheap.tick(100));
        cheap.push(streak(2), 2600);
        const promoted = keys(cheap.tick(2600));
        cheap.push(streak(3), 6000);
        const back = cheap.tick(6700).map((card) => [card.gift.name, card.count]);
        cheap.push({ ...streak(3), count: 0, repeat_end: true }, 7000);
        const over = keys(cheap.tick(12000));
        cheap.push({ ...streak(3), count: 0, repeat_end: true }, 12001);
        const late = keys(cheap.tick(12002));
        return { seen, first, held, promoted, back, over, late, next: cheap.nextAt() === Infinity };
    })()""")
    seen = result.pop("seen")
    assert seen[0] == ["g200", "g199", "g198", "g197"]
    assert {name for names in seen for name in names} == {f"g{number}" for number in range(151, 201)}
    assert all(len(names) <= 4 for names in seen)
    assert seen[-1] == []
    assert result == {
        "first": ["s"],
        "held": ["s"],
        "promoted": ["big"],
        "back": [["s", 3]],
        "over": [],
        "late": [],
        "next": True,
    }


def test_gift_pictures_are_valid_and_escaped() -> None:
    for gift in load_catalog():
        assert ET.fromstring(gift_svg(gift)).tag.endswith("svg")
    odd = Gift(id="x", name="</title><script>\x00", coins=1, tier="epic", art="<b>&'\"")
    root = ET.fromstring(gift_svg(odd))
    assert [node.text for node in root.iter() if node.tag.endswith("text")] == ["<b>&'\""]
    assert "<script" not in gift_svg(odd)
