"""Payouts of long ago are taken out of what their host has, with what leads to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gifting.ledger.calls import Calls, translated
from gifting.model.old_payouts import KEPT_MIN, Gone, pack_gone, without
from gifting.model.packing import pack, unpack
from gifting.model.payouts import Payout


async def are_many(calls: Calls, host: str) -> bool:
    """Whether a host has so many that old ones may go. Raises Unavailable."""
    with translated():
        return bool(await calls.redis.hlen(calls.keys.payouts_of(host)[0]) > KEPT_MIN)


async def forget(
    calls: Calls, host: str, version: int, gone: Gone, old: Sequence[Payout], references: Iterable[str]
) -> None:
    """Let them go, and the references to them, unless the host's payouts are not those of the ``version`` any more.

    Args:
        gone: what is kept of those that went before.

    Raises:
        Unavailable: it may be done in part; what is left of it goes the next time.
    """
    ids = [*gone.last, *(payout.id for payout in old)]
    options = pack((version, pack_gone(without(gone, old)), ids))
    if not unpack(await calls.run("payouts_forget", calls.keys.payouts_of(host)[:1], options)):
        return
    pipe = calls.redis.pipeline(transaction=False)
    for name in references:
        pipe.hdel(calls.keys.references(name), name)
    with translated():
        await pipe.execute()
