"""Calls of ``debit`` and ``credit`` that can be waited for: done when replicas hold what they wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from gifting.ledger.cluster.credit_call import Blob, CreditCalls, Credited, read_credit
from gifting.ledger.cluster.debit_call import DebitCalls, Debited, Riding, read_debit
from gifting.ledger.cluster.link import Call
from gifting.ledger.cluster.links import Links
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.keys import Keys
from gifting.ledger.redis_errors import Fate, NotReplicated, fate


class Said:
    """By the ``links``, each for ``timeout`` seconds. ``halted`` is called when a script has failed.

    Both raise RedisError or OSError: NotReplicated where what was said may not hold.
    """

    def __init__(
        self,
        links: Links,
        keys: Keys,
        debits: Sequence[DebitCalls],
        credits_: Sequence[CreditCalls],
        timeout: float,
        halted: Callable[[str], None],
    ) -> None:
        self._links = links
        self._slots = [slot_of(base) for base in keys.bases]
        self._debits = debits
        self._credits = credits_
        self._timeout = timeout
        self._halted = halted

    async def debit(self, number: int, riding: Riding) -> Debited:
        """A call without gifts."""
        calls = self._debits[number]
        reply = await self._say("debit", number, calls.load_script, lambda: calls.pack((), riding))
        return read_debit(reply, 0)

    async def credit(self, number: int, blobs: Sequence[Blob]) -> Credited:
        calls = self._credits[number]
        reply = await self._say("credit", number, calls.load_script, lambda: calls.pack(blobs))
        return read_credit(reply, len(blobs))

    async def _say(self, name: str, number: int, load: Callable[[], None], pack: Callable[[], bytes]) -> Any:
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def packed(whole: bool) -> bytes:
            if whole:
                load()
            return pack()

        def done(reply: Any, held: bool) -> None:
            if ended.done():
                return
            if isinstance(reply, Exception):
                ended.set_exception(reply)
            elif held:
                ended.set_result(reply)
            else:
                ended.set_exception(NotReplicated(f"No replica has the {name} yet."))

        self._links.send(Call(self._slots[number], packed, done, monotonic() + self._timeout))
        try:
            return await asyncio.wait_for(ended, 2 * self._timeout)
        except Exception as error:
            if fate(error) is Fate.BROKEN:
                self._halted(f"{name}: {error}")
            raise
