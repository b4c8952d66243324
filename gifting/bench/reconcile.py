"""The audit after the load: the load's own counters, held against each other and against the server's books."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from gifting.bench.options import Audit, Drained
from gifting.load.counters import decode_seqs
from gifting.load.plan import Plan, Report, SenderReport, ViewerPlan, ViewerReport

AUDIT_WITHIN_S: Final = 600.0
OUTPUT_MAX: Final = 2000


def check(
    plans: Iterable[Plan],
    reports: Iterable[Report],
    before: Mapping[str, int],
    after: Mapping[str, int],
) -> Audit:
    """Every accepted gift answered once, charged once, and in every viewer's stream once.

    Args:
        plans, reports: of the same processes, in the same order.
        before, after: the senders' coins.
    """
    audit = Audit()
    pairs = list(zip(plans, reports, strict=True))
    senders = [report for _, report in pairs if isinstance(report, SenderReport)]
    _check_replies(audit, senders)
    _check_wallets(audit, senders, before, after)
    acked = _accepted(audit, senders)
    for plan, report in pairs:
        if isinstance(report, ViewerReport) and isinstance(plan, ViewerPlan):
            _check_viewers(audit, plan, report, acked)
    return audit


def _check_replies(audit: Audit, senders: list[SenderReport]) -> None:
    accepted = sum(report.accepted for report in senders)
    audit.checked.append(f"{accepted:,} accepted gifts were answered exactly once")
    for report in senders:
        audit.problems.extend(_named(report.complaints, report.discrepancies))
        if report.unanswered:
            audit.problems.append(f"{report.unanswered} gifts got no reply.")


def _check_wallets(
    audit: Audit, senders: list[SenderReport], before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    spent: defaultdict[str, int] = defaultdict(int)
    for report in senders:
        for user, coins in report.spent.items():
            spent[user] += coins
    audit.checked.append(f"{sum(spent.values()):,} coins left {len(before)} wallets")
    for user, coins in before.items():
        if coins - after[user] != spent[user]:
            audit.problems.append(f"{user} was charged {coins - after[user]:,} coins for gifts of {spent[user]:,}.")


def _accepted(audit: Audit, senders: list[SenderReport]) -> dict[str, set[int]]:
    """The seqs of the accepted gifts, per room."""
    acked: defaultdict[str, set[int]] = defaultdict(set)
    for report in senders:
        for room, data in report.seqs.items():
            seqs = decode_seqs(data)
            known = len(acked[room])
            acked[room].update(seqs)
            if twice := known + len(seqs) - len(acked[room]):
                audit.problems.append(f"{room}: {twice} accepted gifts share a seq with another.")
    return acked


def _check_viewers(audit: Audit, plan: ViewerPlan, report: ViewerReport, acked: Mapping[str, set[int]]) -> None:
    audit.problems.extend(_named(report.complaints, report.discrepancies))
    if report.behind:
        audit.problems.append(f"{report.behind} viewers never got their room's last event.")
    watched = {plan.rooms[number % len(plan.rooms)] for number in range(plan.first, plan.first + plan.count)}
    for room in sorted(watched):
        seen, sent = set(decode_seqs(report.seen.get(room, b""))), acked.get(room, set())
        if extra := len(seen - sent):
            audit.problems.append(f"{room}: {extra} gifts were shown that no sender was told of.")
        if plan.lane == "all" and (missing := len(sent - seen)):
            audit.problems.append(f"{room}: {missing} accepted gifts were not shown.")
    if plan.lane == "all":
        audit.checked.append(f"{report.viewers:,} viewers got every event exactly once, in order")
    else:
        audit.checked.append(f"{report.viewers:,} viewers got nothing twice and reached the last event")


def check_drained(audit: Audit, drained: Drained | None, lane: str) -> None:
    """Add what the viewers in C saw."""
    if drained is None:
        return
    if drained.closes or drained.fallen or (lane == "all" and drained.lost):
        audit.problems.append(
            f"Of {drained.viewers:,} viewers in C {drained.closes} were closed; {drained.lost} events were "
            f"missing and {drained.fallen} frames went back."
        )
    audit.checked.append(f"{drained.viewers:,} viewers in C missed nothing")


def _named(texts: list[str], count: int) -> list[str]:
    more = count - len(texts)
    return [*texts, f"... and {more} more like these."] if more > 0 else texts


async def check_ledger(audit: Audit, data_dir: str) -> None:
    """Add what ``gifting audit`` says about the server's own books."""
    if not data_dir:
        return
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "audit", "--data-dir", data_dir),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(AUDIT_WITHIN_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        audit.problems.append(f"gifting audit took longer than {AUDIT_WITHIN_S:.0f} s.")
        return
    if process.returncode:
        words = output.decode(errors="replace").strip()[-OUTPUT_MAX:]
        audit.problems.append(f"gifting audit ended with {process.returncode}: {words}")
    audit.checked.append("gifting audit rebuilt every balance from the ledger")
