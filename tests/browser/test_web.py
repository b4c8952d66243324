"""The parts of the pages that need no server of ours: the client against one that misbehaves, the alerts, the art."""

from __future__ import annotations

import asyncio
import socket
import uuid
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

import gifting.web
from gifting import errors
from gifting.model.catalog import Gift, load_catalog
from gifting.web.art import gift_svg
from tests.support.browser import Browser, Page, require_browser

require_browser()

STATIC = Path(gifting.web.__file__).parent / "static"
NOW_MS = 1_900_000_000_000
"""Years ahead of the browser's clock."""


class Stage:
    """A server that does what a test tells it, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seq = 0
        self.gap = False
        self.forget_replies = 0
        self.joins: list[dict[str, Any]] = []
        self.gifts: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.refusals: list[str] = []
        """The codes that gifts are refused with, in turn, the last for ever; none: they are accepted."""
        self.status: dict[str, Any] = {}
        """What a question about a gift is answered with."""
        self.url = ""
        self._sockets: set[WebSocket] = set()

    def app(self) -> Starlette:
        files = Mount("/static", StaticFiles(directory=STATIC))
        return Starlette(routes=[files, WebSocketRoute("/v1/ws", self._serve)])

    async def frame(self, *seqs: int) -> None:
        """Send likes with these numbers to all who joined."""
        self.seq = max(self.seq, *seqs)
        events = [{"type": "like", "id": f"e{seq}", "seq": seq, "ts": NOW_MS, "count": 1} for seq in seqs]
        for ws in tuple(self._sockets):
            await ws.send_json({"room": "r1", "seq": self.seq, "events": events})

    async def drop(self, code: int) -> None:
        for ws in tuple(self._sockets):
            await ws.close(code)

    async def _serve(self, ws: WebSocket) -> None:
        await ws.accept("gifting.v1.json")
        try:
            while True:
                await self._answer(ws, await ws.receive_json())
        except WebSocketDisconnect:
            pass
        finally:
            self._sockets.discard(ws)

    async def _answer(self, ws: WebSocket, ask: dict[str, Any]) -> None:
        reply: dict[str, Any] = {"re": ask["id"], "ok": True, "ts": NOW_MS}
        if ask["op"] == "join":
            self.joins.append(ask)
            self._sockets.add(ws)
            reply |= {"room": {"seq": self.seq}, "gap": self.gap}
        elif ask["op"] == "send_gift":
            self.gifts.append(ask)
            if len(ask.get("message") or "") > 4096:
                await ws.close(1009)
                return
            if self.forget_replies:
                self.forget_replies -= 1
                await ws.close(1011)
                return
            if self.refusals:
                code = self.refusals.pop(0) if len(self.refusals) > 1 else self.refusals[0]
                error = {"code": code, "message": "No.", "temporary": errors.by_code(code).temporary}
                reply |= {"ok": False, "error": error}
        elif ask["op"] == "gift_status":
            self.asked.append(ask["key"])
            reply |= self.status
        await ws.send_json(reply)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stage.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(stage.app(), ws="websockets-sansio", lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        yield stage
        server.should_exit = server.force_exit = True
        await serving


@pytest.fixture
async def page(stage: Stage) -> AsyncIterator[Page]:
    """A page with a client that has joined the room."""
    async with Browser() as browser:
        page = await browser.open(f"{stage.url}/static/lib/keys.js")
        await page.evaluate("""(async () => {
            const { GiftingClient } = await import('/static/gifting.js');
            window.client = new GiftingClient({ token: 'a.token', rooms: [{ room: 'r1', lane: 'all' }] });
            window.seen = [];
            window.snapshots = [];
            client.on('event', ({ event }) => seen.push(event.seq));
            client.on('snapshot', ({ gap, first }) => snapshots.push([gap, first]));
            client.connect();
        })()""")
        await page.wait_for("snapshots.length === 1")
        yield page


async def test_what_is_sent_twice_is_seen_once(page: Page, stage: Stage) -> None:
    await stage.frame(1, 2)
    await stage.frame(1, 2)
    await stage.frame(2, 3)
    await page.wait_for("client.seq('r1') === 3")
    await stage.drop(1011)
    await page.wait_for("snapshots.length === 2")
    assert stage.joins[-1]["since"] == 3
    await stage.frame(3, 4)
    await page.wait_for("client.seq('r1') === 4")
    assert await page.evaluate("seen") == [1, 2, 3, 4]


async def test_after_a_gap_the_snapshot_counts(page: Page, stage: Stage) -> None:
    await stage.frame(1)
    await page.wait_for("client.seq('r1') === 1")
    stage.gap, stage.seq = True, 40
    await stage.drop(4002)
    await page.wait_for("snapshots.length === 2")
    await stage.frame(40, 41)
    await page.wait_for("client.seq('r1') === 41")
    assert await page.evaluate("seen") == [1, 41]
    assert await page.evaluate("snapshots") == [[False, True], [True, False]]


@pytest.mark.parametrize("code", [1001, 4000, 4499])
async def test_after_these_codes_it_comes_back(page: Page, stage: Stage, code: int) -> None:
    await stage.drop(code)
    await page.wait_for("snapshots.length === 2")


@pytest.mark.parametrize("code", [4500, 4502])
async def test_after_these_codes_it_stays_away(page: Page, stage: Stage, code: int) -> None:
    await stage.drop(code)
    await page.wait_for("client.state === 'closed'")
    assert await page.evaluate("client.sendGift('r1', 'spark').catch((error) => error.temporary)") is False
    assert len(stage.joins) == 1


@pytest.mark.attack
async def test_what_is_too_large_for_the_server_is_said_once(page: Page, stage: Stage) -> None:
    large = "client.sendGift('r1', 'spark', 1, 'x'.repeat(5000)).catch((error) => [error.code, error.temporary])"
    assert await page.evaluate(large) == ["message_too_large", False]
    await page.wait_for("snapshots.length === 2")
    await page.evaluate("client.sendGift('r1', 'spark')")
    assert len(stage.gifts) == 2


async def test_a_gift_is_asked_again_with_the_same_key(page: Page, stage: Stage) -> None:
    stage.forget_replies = 2
    await page.evaluate("client.sendGift('r1', 'spark', 2, 'hi')")
    assert len(stage.gifts) == 3
    [(key, count, message)] = {(gift["key"], gift["count"], gift["message"]) for gift in stage.gifts}
    assert (count, message) == (2, "hi")
    made = uuid.UUID(key)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert abs((made.int >> 80) - NOW_MS) < 60_000, "by the server's clock"


async def test_a_gift_of_unknown_outcome_names_its_key(page: Page, stage: Stage) -> None:
    stage.forget_replies = 99
    failure = await page.evaluate("""client.sendGift('r1', 'spark', 1, '', { tries: 2 })
        .catch(({ code, temporary, key }) => ({ code, temporary, key }))""")
    assert failure == {"code": "outcome_unknown", "temporary": True, "key": stage.gifts[0]["key"]}
    assert len(stage.gifts) == 2


RESULT = {"seq": 7, "event_id": "r1.7", "coins": 3, "repeat_count": 1, "streak_id": "r1.7"}
ACCEPTED = {"state": "accepted", "room": "r1", "gift": "spark", "count": 1, "spent": 1, "ts": 1, **RESULT}
REFUSED = {"state": "refused", "error": {"code": "insufficient_coins", "message": "Too few.", "temporary": False}}
SEND = "client.sendGift('r1', 'spark', 1, '', {}).catch(({ code, message }) => ({ code, message }))"


@pytest.mark.attack
async def test_of_a_gift_in_doubt_only_the_ledger_is_believed(page: Page, stage: Stage) -> None:
    stage.forget_replies = 1
    for refusals, status, outcome in (
        (["key_expired"], ACCEPTED, RESULT),
        (["outcome_unknown", "unknown_gift"], ACCEPTED, RESULT),
        (["outcome_unknown", "key_expired"], {**ACCEPTED, "count": 2}, "key_reused"),
        (["outcome_unknown", "key_expired"], REFUSED, "insufficient_coins"),
        (["outcome_unknown", "key_expired"], {"state": "unknown"}, "not_charged"),
        (["outcome_unknown", "key_expired"], {"state": "refused", "error": {"code": "key_expired"}}, "not_charged"),
        (["outcome_unknown", "forbidden"], {}, "outcome_unknown"),
    ):
        stage.refusals, stage.status = [*refusals], status
        reply = await page.evaluate(SEND)
        assert reply == {**RESULT, "duplicate": True} if outcome is RESULT else reply["code"] == outcome, refusals
        assert stage.asked.pop() == stage.gifts[-1]["key"] == stage.gifts[-2]["key"]
        assert ("a new key is safe" in str(reply)) == (outcome == "not_charged")
    stage.refusals = ["key_expired"]
    assert (await page.evaluate(SEND))["code"] == "key_expired"
    assert stage.asked == []


@pytest.mark.attack
async def test_a_gift_that_is_open_is_said_again_and_a_given_key_is_asked_about(page: Page, stage: Stage) -> None:
    stage.refusals, stage.status = ["outcome_unknown", "room_not_found"], {"state": "open"}
    reply = await page.evaluate("client.sendGift('r1', 'spark', 1, '', { tries: 3 }).catch(({ code }) => code)")
    assert reply == "outcome_unknown"
    assert len({gift["key"] for gift in stage.gifts}) == 1
    stage.refusals, stage.status = ["key_expired"], ACCEPTED
    again = SEND.replace("{}", f"{{ key: '{stage.gifts[0]['key']}' }}")
    assert await page.evaluate(again) == {**RESULT, "duplicate": True}


@pytest.mark.attack
async def test_what_can_be_no_token_is_not_quoted_on_the_console(page: Page) -> None:
    state = await page.evaluate("""(async () => {
        const { GiftingClient } = await import('/static/gifting.js');
        const other = new GiftingClient({ token: 'hush, hush' });
        other.connect();
        await other.sendGift('r1', 'spark').catch(({ message }) => (window.told = message));
        return [other.state, window.told];
    })()""")
    assert state == ["closed", "The connection is closed (the token is malformed)."]
    assert "hush" not in str(page.console)


async def test_waiting_alerts_are_bounded_and_the_highest_come_first(page: Page) -> None:
    shown = await page.evaluate("""(async () => {
        const { Alerts } = await import('/static/overlay/alerts.js');
        const alerts = new Alerts();
        for (let n = 1; n <= 200; n++) {
            const gift = { name: `g${n}`, coins: n, tier: 'small' };
            alerts.push({ type: 'gift', id: n, user: {}, gift, count: 1, repeat_count: 1, repeat_end: true }, 0);
        }
        const shown = [];
        for (let now = 0; now < Infinity && shown.length < 99; now = alerts.nextAt()) {
            shown.push(alerts.tick(now).map((card) => card.gift.name));
        }
        return shown;
    })()""")
    assert shown[0] == ["g200", "g199", "g198", "g197"]
    assert {name for names in shown for name in names} == {f"g{number}" for number in range(151, 201)}
    assert max(map(len, shown)) == 4
    assert shown[-1] == []


async def test_an_endless_cheap_streak_gives_way_and_comes_back(page: Page) -> None:
    shown = await page.evaluate("""(async () => {
        const { Alerts } = await import('/static/overlay/alerts.js');
        const alerts = new Alerts({ visible: 1 });
        const streak = (total, more = {}) => ({
            type: 'gift', id: total, user: {}, gift: { name: 's', coins: 1, tier: 'small' },
            count: 1, repeat_count: total, repeat_end: false, streak_id: 'S', ...more,
        });
        const gift = { name: 'big', coins: 500, tier: 'small' };
        const big = streak(1, { gift, streak_id: 'B', repeat_end: true });
        const over = streak(3, { count: 0, repeat_end: true });
        const steps = [
            [0, streak(1)], [100, big], [2600, streak(2)], [6000, streak(3)], [6700, null],
            [6800, streak(2)], [7000, over], [12000, null], [12001, over],
        ];
        return steps.map(([now, event]) => {
            if (event) alerts.push(event, now);
            return alerts.tick(now).map((card) => `${card.gift.name} ${card.count}`).join();
        });
    })()""")
    assert shown == ["s 1", "s 1", "big 1", "big 1", "s 3", "s 3", "s 3", "", ""]


async def test_a_streak_whose_end_never_comes_is_let_go(page: Page) -> None:
    leaves = await page.evaluate("""(async () => {
        const { Alerts } = await import('/static/overlay/alerts.js');
        const alerts = new Alerts();
        const gift = { name: 's', coins: 1, tier: 'small' };
        alerts.resume([{ streak_id: 'S', user: {}, gift, repeat_count: 41, count: 0 }], 1000);
        const [card] = alerts.tick(1000);
        return [card.count, alerts.nextAt(), alerts.tick(alerts.nextAt()).length];
    })()""")
    assert leaves == [41, 7000, 0]


def test_every_gift_has_a_picture() -> None:
    for gift in load_catalog():
        assert ET.fromstring(gift_svg(gift)).tag.endswith("svg")


def test_a_picture_cannot_carry_markup() -> None:
    odd = Gift(id="x", name="</title><script>\x00", coins=1, tier="epic", art="<b>&'\"")
    root = ET.fromstring(gift_svg(odd))
    assert [node.text for node in root.iter() if node.tag.endswith("text")] == ["<b>&'\""]
    assert not [node for node in root.iter() if node.tag.endswith("script")]
