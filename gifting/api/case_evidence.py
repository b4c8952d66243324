"""What operators see beside a support case: the order, and what the ledger has of it and of the user's limits."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gifting.api.call import Call
from gifting.api.history import LedgerEntry, told
from gifting.api.purchase_replies import PurchaseReply, purchase_reply
from gifting.archive.history import ALL, History, Line, Narrowed
from gifting.errors import ArchiveUnavailable, NoArchive
from gifting.model.cases import Case
from gifting.model.money import key_time, parse_key

ENTRIES_MAX: Final = 200
"""Entries of a kind that are looked through for one answer."""

LEAD: Final = 86_400_000
"""ms before an order's or a gift's key from which its entries are looked for: its maker's clock may be ahead."""


class Evidence(Struct):
    """``entries`` are the ledger's of the order or gift, and ``limits`` what was changed of the user's until the case
    was opened, both the newest first; with ``archive`` false nobody could tell.
    """

    order: PurchaseReply | None
    entries: list[LedgerEntry]
    limits: list[LedgerEntry]
    archive: bool


async def find_evidence(call: Call, case: Case) -> Evidence:
    """Raises Unavailable where Redis can't be asked."""
    order = purchase_reply(call, await call.services.economy.purchases.find(case.order)) if case.order else None
    try:
        entries = await _entries(call, case)
        limits = await _page(call, case, ("account",), 0, ALL._replace(until=case.at))
    except (ArchiveUnavailable, NoArchive):
        return Evidence(order, [], [], archive=False)
    return Evidence(order, [*map(told, entries)], [*map(told, limits)], archive=True)


async def _entries(call: Call, case: Case) -> list[Line]:
    key = parse_key(case.order or case.gift)
    since = max(key_time(key) - LEAD, 0)
    if case.order:
        found = await _page(call, case, ("purchase", "reversal"), since, ALL)
        return [line for line in found if line.about == case.order]
    back = await _page(call, case, ("gift_reversal",), since, ALL)
    given = await _page(call, case, ("debit",), since, Narrowed(key=key))
    return [*(line for line in back if line.about == key.hex()), *given]


async def _page(call: Call, case: Case, kinds: tuple[str, ...], since: int, narrowed: Narrowed) -> list[Line]:
    ledger = call.services.ledger
    history = History(call.services.archive, ledger.redis, ledger.keys)
    return (await history.page(case.user, kinds, since, "", ENTRIES_MAX, narrowed))[0]
