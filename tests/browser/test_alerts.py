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


async def test_waiting_alerts_are_bounded_and_the_highest_come_first(page: Tab) -> None:
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
    assert shown == ["s 1", "s 1", "big 1", "big 1", "s 3", "s 3", "s 3", "", ""]


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
