"""Scripts that break off at each of their calls in turn: the audit names what they left half done, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from gifting.errors import LedgerHalted, OutcomeUnknown
from gifting.ledger.audit import AuditReport, audit
from tests.support.lua import hook
from tests.support.tampering import STREAKABLE, World, a_world

pytestmark = pytest.mark.attack

CALLS_MAX = 60
COINS = 1000

FORGED = {"credit_without_debit", "key_without_entry", "entry_without_key", "key_twice", "key_differs", "price_wrong"}
"""What no script leaves, wherever it breaks off: it would be coins from nothing, or a gift that can be sent twice."""


@pytest.mark.parametrize("kind", ["gift", "grant"])
async def test_what_a_script_left_half_done_is_named(redis_url: str, redis_client: Any, kind: str) -> None:
    reports: list[AuditReport] = []
    for at in range(1, CALLS_MAX):
        await redis_client.flushall()
        async with a_world(redis_url) as world:
            await world.open("r1", "hal")
            await world.grant("ann", COINS)
            before = await state(redis_client)
            whole = await break_off(world, kind, at)
            report = await audit(world.redis, world.ledger.keys)
            assert not FORGED & {problem.name for problem in report.problems}, report.lines()
            nothing = await state(redis_client) == before
            assert report.clean == (nothing or done(kind, report)), (at, report.lines())
            reports.append(report)
            if whole:
                break
    assert reports[-1].clean
    assert len(reports) < CALLS_MAX - 1
    assert any(report.doubts for report in reports)
    if kind == "gift":
        assert any(report.groups and report.groups[0].name == "key_in_doubt" for report in reports)
        told = {name for report in reports for name in (problem.name for problem in report.problems)}
        assert {"key_in_doubt", "debit_without_credit", "balance_differs"} <= told


async def break_off(world: World, kind: str, at: int) -> bool:
    """Let a script fail at its call number ``at``; whether it had ended before."""
    with pytest.MonkeyPatch.context() as patch:
        broken = "calls = calls + 1; if calls == at then error({ err = 'ERR broken off' }, 0) end"
        hook(patch, f"local calls, at = 0, {at}", f"{broken}; return real.call(command, key, ...)")
        try:
            await (world.grant("ann", 5) if kind == "grant" else world.send("ann", "r1", STREAKABLE, 3))
        except (OutcomeUnknown, LedgerHalted):
            return False
    return not world.ledger.halt.why  # on a cluster what is paid is told so, though its credit broke off


def done(kind: str, report: AuditReport) -> bool:
    """Whether the books have it all."""
    if kind == "grant":
        return report.grants == 2 and report.clean
    if report.crossed and report.crossed.gifts:  # paid, and to be credited by a relay
        return (report.gifts, report.events, report.users) == (1, 0, 1) and report.clean
    return (report.gifts, report.events, report.users) == (1, 1, 2) and report.clean


async def state(redis: Any) -> dict[bytes, bytes]:
    """Everything that is kept, but keys of gifts and grants, that the ledger is halted, and whose hour is counted."""
    besides = (b":keys", b":grants", b":meta", b":accounts")
    names = [name async for name in redis.scan_iter() if not any(part in name for part in besides)]
    return {name: await redis.dump(name) for name in sorted(names)}
