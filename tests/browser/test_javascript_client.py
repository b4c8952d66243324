"""The JavaScript client, in a browser: against a server that misbehaves, and against the real one."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from gifting.ledger.connect import connect
from tests.browser.scene import Scene
from tests.support.browser import Browser, Tab, require_browser
from tests.support.keys import forget_keys
from tests.support.proxy import Proxy
from tests.support.server import Server
from tests.support.stage import NOW_MS, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()


@pytest_asyncio.fixture(loop_scope="session")
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


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, stage: Stage) -> Tab:
    """A page with a client that has joined the room."""
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
    return page


async def test_what_is_sent_twice_is_seen_once(page: Tab, stage: Stage) -> None:
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


async def test_what_concerns_the_user_is_told_apart_from_rooms(page: Tab, stage: Stage) -> None:
    await page.evaluate("(window.told = [], client.on('user', ({ event }) => told.push(event)), 0)")
    news: list[dict[str, Any]] = [
        {"type": "wallet", "coins": 12},
        {"type": "budget", "percent": 80},
        {"type": "reminder", "minutes": 60, "coins": 5},
        {"type": "destination", "provider": "sandbox", "ending": "ct_1", "good_at": 5, "help": "Ask."},
    ]
    for event in [{"type": "of_another_version"}, *news]:
        await stage.tell_user(event)
    await page.wait_for("told.length === 4")
    assert await page.evaluate("[told, seen, client.seq('r1')]") == [news, [], 0]


async def test_a_room_may_be_joined_from_what_was_seen_before(page: Tab, stage: Stage) -> None:
    stage.seq = 9
    await page.evaluate("(client.leave('r1'), client.join('r1', 'all', 5))")
    await page.wait_for("snapshots.length === 2")
    assert stage.joins[-1]["since"] == 5
    await stage.frame(5, 6, 7)
    await page.wait_for("client.seq('r1') === 9")
    assert await page.evaluate("[seen, snapshots]") == [[6, 7], [[False, True], [False, True]]]


async def test_after_a_gap_the_snapshot_counts(page: Tab, stage: Stage) -> None:
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
async def test_after_these_codes_it_comes_back(page: Tab, stage: Stage, code: int) -> None:
    await stage.drop(code)
    await page.wait_for("snapshots.length === 2")


@pytest.mark.parametrize("code", [4500, 4502])
async def test_after_these_codes_it_stays_away(page: Tab, stage: Stage, code: int) -> None:
    await stage.drop(code)
    await page.wait_for("client.state === 'closed'")
    assert await page.evaluate("client.sendGift('r1', 'spark').catch((error) => error.temporary)") is False
    assert len(stage.joins) == 1


@pytest.mark.attack
async def test_what_is_too_large_for_the_server_is_said_once(page: Tab, stage: Stage) -> None:
    large = "client.sendGift('r1', 'spark', 1, 'x'.repeat(5000)).catch((error) => [error.code, error.temporary])"
    assert await page.evaluate(large) == ["message_too_large", False]
    await page.wait_for("snapshots.length === 2")
    await page.evaluate("client.sendGift('r1', 'spark')")
    assert len(stage.gifts) == 2


async def test_a_gift_is_asked_again_with_the_same_key(page: Tab, stage: Stage) -> None:
    stage.forget_replies = 2
    await page.evaluate("client.sendGift('r1', 'spark', 2, 'hi')")
    assert len(stage.gifts) == 3
    [(key, count, message)] = {(gift["key"], gift["count"], gift["message"]) for gift in stage.gifts}
    assert (count, message) == (2, "hi")
    made = uuid.UUID(key)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert abs((made.int >> 80) - NOW_MS) < 60_000, "by the server's clock"


async def test_a_gift_of_unknown_outcome_names_its_key(page: Tab, stage: Stage) -> None:
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
async def test_of_a_gift_in_doubt_only_the_ledger_is_believed(page: Tab, stage: Stage) -> None:
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
async def test_a_question_that_a_connection_took_with_it_is_asked_anew(page: Tab, stage: Stage) -> None:
    stage.refusals, stage.status, stage.forget_questions = ["outcome_unknown", "forbidden"], ACCEPTED, 1
    assert await page.evaluate(SEND) == {**RESULT, "duplicate": True}
    assert stage.asked == [stage.gifts[0]["key"]] * 2


@pytest.mark.attack
async def test_what_can_not_be_asked_is_not_asked_for_ever(page: Tab) -> None:
    told = await page.evaluate("""(async () => {
        const { GiftingError } = await import('/static/lib/connection.js');
        const { Sending } = await import('/static/lib/sending.js');
        const askedUntil = async (refusal) => {
            let asked = 0;
            const request = async (op) => {
                if (op === 'send_gift') throw new GiftingError('outcome_unknown', '', true);
                asked++;
                throw refusal;
            };
            const way = { ready: async () => {}, request, newKey: () => 'a key' };
            return [await new Sending(way, { key: '' }).finish(1, 100).catch(({ code }) => code), asked];
        };
        return Promise.all([
            askedUntil(new GiftingError('disconnected', 'for good', false)),
            askedUntil(new GiftingError('rate_limited', '', true)),
            askedUntil(new GiftingError('disconnected', 'for a while', true)),
        ]);
    })()""")
    assert [code for code, _ in told] == ["outcome_unknown"] * 3
    assert [asked for _, asked in told[:2]] == [1, 1]
    assert told[2][1] > 1


async def test_a_gift_that_has_to_be_confirmed_is_said_again_with_the_same_key(page: Tab, stage: Stage) -> None:
    send = """(async (answers) => {
        const confirm = async ({ until, confirm }) => (told.push([until, confirm]), answers.shift());
        const told = [];
        const sent = client.sendGift('r1', 'spark', 1, '', { confirm, anonymous: true });
        return [await sent.then(({ ok }) => ok, ({ code }) => code), told.length, ...(told[0] ?? [])];
    })(%s)"""
    for refusals, answers, outcome, asked, confirmed in (
        (["confirm_required", ""], "[true]", True, 1, [None, "a token"]),
        (["confirm_required"], "[false]", "confirm_required", 1, [None]),
        (["confirm_required"], "[true, true, true, true]", "confirm_required", 3, [None, *["a token"] * 3]),
        (["confirm_required", "insufficient_coins"], "[true]", "insufficient_coins", 1, [None, "a token"]),
    ):
        stage.gifts.clear()
        stage.refusals = [*refusals]
        assert await page.evaluate(send % answers) == [outcome, asked, NOW_MS, "a token"]
        assert [gift.get("confirm") for gift in stage.gifts] == confirmed
        assert len({gift["key"] for gift in stage.gifts}) == 1
        assert all(gift["anonymous"] for gift in stage.gifts)
    stage.refusals = ["confirm_required"]
    assert await page.evaluate("client.sendGift('r1', 'spark').catch(({ code, confirm }) => [code, confirm])") == [
        "confirm_required",
        "a token",
    ]


@pytest.mark.attack
async def test_a_gift_that_is_open_is_said_again_and_a_given_key_is_asked_about(page: Tab, stage: Stage) -> None:
    stage.refusals, stage.status = ["outcome_unknown", "room_not_found"], {"state": "open"}
    reply = await page.evaluate("client.sendGift('r1', 'spark', 1, '', { tries: 3 }).catch(({ code }) => code)")
    assert reply == "outcome_unknown"
    assert len({gift["key"] for gift in stage.gifts}) == 1
    stage.refusals, stage.status = ["key_expired"], ACCEPTED
    again = SEND.replace("{}", f"{{ key: '{stage.gifts[0]['key']}' }}")
    assert await page.evaluate(again) == {**RESULT, "duplicate": True}


@pytest.mark.attack
async def test_what_can_be_no_token_is_not_quoted_on_the_console(page: Tab) -> None:
    state = await page.evaluate("""(async () => {
        const { GiftingClient } = await import('/static/gifting.js');
        const other = new GiftingClient({ token: 'hush, hush' });
        other.connect();
        await other.sendGift('r1', 'spark').catch(({ message }) => (window.told = message));
        return [other.state, window.told];
    })()""")
    assert state == ["closed", "The connection is closed (the token is malformed)."]
    assert "hush" not in str(page.console)


async def test_the_javascript_client_pays_once_and_sees_all_in_order(browser: Browser, scene: Scene) -> None:
    async with Proxy(scene.url) as proxy:
        page = await browser.open(f"{proxy.url}/static/lib/keys.js")
        await page.evaluate(_client(scene))
        await page.evaluate("client.sendGift(room, 'crown', 1, 'one')")
        proxy.mute = True
        await page.evaluate("void (window.gift = client.sendGift(room, 'crown', 2, 'two'))")
        async with asyncio.timeout(10):
            while await scene.coins("ann") != 999_703:
                await asyncio.sleep(0.02)
        proxy.cut()
        await page.wait_for("client.state === 'reconnecting'")
        await scene.send("bob", "castle")
        proxy.mend()
        reply = await page.evaluate("window.gift")
        assert (reply["duplicate"], reply["coins"]) == (True, 999_703)
        await page.evaluate("client.sendGift(room, 'castle')")
        await page.wait_for("seen.filter(({ gift }) => gift === 'castle').length === 2")
        seqs = await page.evaluate("seen.map(({ seq }) => seq)")
        assert seqs == list(range(1, len(seqs) + 1))
    assert (await scene.server.audit())[0] == 0


@pytest.mark.attack
async def test_the_javascript_client_asks_the_ledger_before_it_gives_up(
    browser: Browser, tmp_path: Path, redis_url: str
) -> None:
    async with connect(redis_url, 10) as redis:
        await redis.flushall()
    async with (
        connect(redis_url, 10) as redis,
        Server(tmp_path / "data", redis_url) as server,
        Proxy(server.url) as proxy,
    ):
        scene = Scene(server)
        await server.room(scene.room)
        await scene.operator.grant_each([scene.user("ann")], 1000)
        page = await browser.open(f"{proxy.url}/static/lib/keys.js")
        await page.evaluate(_client(scene))
        await page.wait_for("client.seq(room) !== null")
        proxy.mute = True
        await page.evaluate("void (window.gift = client.sendGift(room, 'crown'))")
        async with asyncio.timeout(10):
            while await scene.coins("ann") != 901:
                await asyncio.sleep(0.02)
        proxy.cut(refuse=True)
        await forget_keys(redis)
        proxy.mend()
        reply = await page.evaluate("window.gift")
        assert (reply["duplicate"], reply["event_id"]) == (True, f"{scene.room}.{reply['seq']}")
        assert await scene.coins("ann") == 901


def _client(scene: Scene) -> str:
    return f"""(async () => {{
        const {{ GiftingClient }} = await import('/static/gifting.js');
        window.room = {json.dumps(scene.room)};
        const rooms = [{{ room, lane: 'all' }}];
        window.client = new GiftingClient({{ token: {json.dumps(scene.token("ann"))}, rooms }});
        window.seen = [];
        client.on('event', ({{ event }}) => event.seq && seen.push({{ seq: event.seq, gift: event.gift?.id }}));
        client.connect();
    }})()"""
