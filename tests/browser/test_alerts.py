"""Which alerts are on screen: pure rules, whose time is an argument, run in a browser without a page."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.support.browser import Browser, Tab, require_browser
from tests.support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")
require_browser()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, shared_server: Server) -> Tab:
    return await browser.open(f"{shared_server.url}/static/overlay/alerts.js")


FLOOD = """(async () => {
    const { Alerts } = await import('/static/overlay/alerts.js');
    const alerts = new Alerts();
    for (let n = 1; n <= 200; n++) {
        const gift = { id: `g${n}`, name: `g${n}`, coins: n, tier: TIER, streakable: false };
        const user = { id: SENDER };
        alerts.push({ type: 'gift', user, gift, count: 1, repeat_count: 1, repeat_end: true, streak_id: `s${n}` }, 0);
    }
    const shown = [];
    for (let now = 0; now < Infinity && shown.length < 99; now = alerts.nextAt()) {
        shown.push([now, alerts.tick(now).map((card) => `${card.gift.name} x${card.count}`)]);
    }
    return shown;
})()"""
"""200 gifts at once: what is on screen from when on."""


@pytest.mark.parametrize(("tier", "gone_at", "cards"), [("small", 15_000, 16), ("large", 35_000, 24)])
async def test_waiting_alerts_are_bounded_and_the_highest_come_first(
    page: Tab, tier: str, gone_at: int, cards: int
) -> None:
    """In number, and in time: by tier, whatever has waited too long is left out."""
    shown = await page.evaluate(FLOOD.replace("TIER", f"'{tier}'").replace("SENDER", "n"))
    assert shown[0][1] == ["g200 x1", "g199 x1", "g198 x1", "g197 x1"]
    highest = {f"g{number} x1" for number in range(201 - cards, 201)}
    assert {name for _, names in shown for name in names} == highest
    assert max(len(names) for _, names in shown) == 4
    assert shown[-1][1] == []
    assert shown[-1][0] <= gone_at


async def test_repeats_of_a_gift_that_makes_no_streak_are_one_card(page: Tab) -> None:
    same = FLOOD.replace("TIER", "'large'").replace("SENDER", "'ann'").replace("`g${n}`", "'crown'")
    assert [cards for _, cards in await page.evaluate(same)] == [["crown x200"], []]


async def test_a_reload_shows_the_rest_and_nothing_twice(page: Tab) -> None:
    after = await page.evaluate("""(async () => {
        const { Alerts } = await import('/static/overlay/alerts.js');
        const gift = (coins) => ({
            type: 'gift', user: { id: 'u' }, count: 1, repeat_count: 1, repeat_end: true, streak_id: `s${coins}`,
            gift: { id: coins, coins, tier: 'large', streakable: false },
        });
        const shown = (alerts, now) => alerts.tick(now).map((card) => card.coins);
        const before = new Alerts({ visible: 2 });
        for (const coins of [5, 4]) before.push(gift(coins), 0);
        const first = shown(before, 0);
        for (const coins of [3, 2, 9]) before.push(gift(coins), 2500);
        const second = shown(before, 2500);
        const saved = JSON.parse(JSON.stringify(before.save(3000)));
        const after = new Alerts({ visible: 9 });
        after.restore(saved, 50, 500);
        const late = new Alerts();
        late.restore(saved, 50, 40_000);
        return [first, second, shown(after, 50), shown(late, 50)];
    })()""")
    assert after == [[5, 4], [9, 5], [9, 3, 2], []]


async def test_an_endless_cheap_streak_gives_way_and_comes_back(page: Tab) -> None:
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
    assert shown == ["s 1", "s 1", "big 1", "s 3", "s 3", "s 3", "s 3", "", ""]


async def test_a_streak_whose_end_never_comes_is_let_go(page: Tab) -> None:
    leaves = await page.evaluate("""(async () => {
        const { Alerts } = await import('/static/overlay/alerts.js');
        const alerts = new Alerts();
        const gift = { name: 's', coins: 1, tier: 'small' };
        alerts.resume([{ streak_id: 'S', user: {}, gift, repeat_count: 41, count: 0 }], 1000);
        const [card] = alerts.tick(1000);
        return [card.count, alerts.nextAt(), alerts.tick(alerts.nextAt()).length];
    })()""")
    assert leaves == [41, 7000, 0]
