"""Who tells the server of the sandbox's payouts and creators: signed webhooks over HTTP to its own address.

Every process does it; two may tell the same, which changes nothing. A webhook that is not taken is sent again, ever
more slowly, and given up in the end: the reconciliation finds what it says, or whoever asks for a payout does.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, NamedTuple

import msgspec

from gifting.economy.payers import connect_events
from gifting.economy.payers.sandbox import Sandbox
from gifting.economy.providers import stripe_events
from gifting.economy.providers.sandbox.history import BACKOFF, TRIES_MAX
from gifting.economy.providers.sandbox.sender import AT_ONCE, LOOK_EVERY, Address, send
from gifting.errors import GiftingError, PayoutNotFound
from gifting.ledger.ledger import Ledger
from gifting.ledger.sandbox import CREATOR, PAYOUT
from gifting.model.payouts import Fact, Kind, Payout

log = logging.getLogger(__name__)

LONGEST: Final = BACKOFF * 2**TRIES_MAX
"""ms after which one is given up."""


class Telling(NamedTuple):
    """What is to be told: since when (ms), the event, and when there is more to tell (ms; 0: never)."""

    at: int
    event: dict[str, Any]
    then: int = 0


class Teller:
    """``address`` is this server's own."""

    def __init__(self, sandbox: Sandbox, ledger: Ledger, address: Address) -> None:
        self._sandbox = sandbox
        self._ledger = ledger
        self._books = ledger.sandbox
        self._address = address

    async def run(self) -> None:
        """For ever: tell what is due."""
        while True:
            try:
                await self.round()
            except GiftingError as error:
                log.warning("can't look for payouts to tell of: %s", error)
            await asyncio.sleep(LOOK_EVERY)

    async def round(self) -> None:
        """Tell once what is due."""
        await asyncio.gather(*map(self._tell, await self._books.to_tell(self._sandbox.now(), AT_ONCE)))

    async def _tell(self, of: str) -> None:
        telling, now = await self._telling(of), self._sandbox.now()
        if telling is None:
            await self._books.told(of)
            return
        await self._books.tell(of, now + max(now - telling.at, BACKOFF))
        body = msgspec.json.encode(telling.event)
        if not await send(self._address, self._sandbox.secrets[0], body, now):
            if now - telling.at <= LONGEST:
                return
            log.error("the webhook %s was not taken: it is given up", telling.event["id"])
        await (self._books.tell(of, telling.then) if telling.then else self._books.told(of))

    async def _telling(self, of: str) -> Telling | None:
        if of.startswith(CREATOR):
            return await self._of_creator(of.removeprefix(CREATOR))
        try:
            payout = await self._ledger.payouts.get(of.removeprefix(PAYOUT))
        except PayoutNotFound:
            return None
        return self._of_payout(payout, await self._books.paid(payout.id))

    def _of_payout(self, payout: Payout, sent: int) -> Telling:
        """The last that happened to it."""
        now, facts = self._sandbox.now(), self._sandbox.history(payout, sent)
        last = [fact for fact in facts if fact.at <= max(now, sent)][-1]
        then = next((fact.at for fact in facts if fact.at > last.at), 0)
        return Telling(last.at, _event(last, payout), then)

    async def _of_creator(self, creator: str) -> Telling | None:
        to = (await self._ledger.creators.read(creator)).record.destination
        if to is None or to.provider != self._sandbox.name:
            return None
        seen = {"id": to.account, "metadata": {connect_events.CREATOR: creator}}
        return Telling(
            self._sandbox.known(to), _written(f"{creator}_{to.since}", "account.updated", to.account, seen, to.since)
        )


TYPES: Final = {
    Kind.SENT: "payout.created",
    Kind.PAID: "payout.paid",
    Kind.FAILED: "payout.failed",
    Kind.RETURNED: "payout.failed",
}


def _event(fact: Fact, payout: Payout) -> dict[str, Any]:
    money = {"amount": payout.amount, "currency": payout.currency.lower(), "failure_message": fact.reason or None}
    seen = {"id": f"po_{payout.id}", "metadata": {stripe_events.PAYOUT: payout.id}, **money}
    return _written(f"{fact.kind}_{payout.id}", TYPES[fact.kind], payout.account, seen, fact.at)


def _written(name: str, type_: str, account: str, seen: dict[str, Any], at: int) -> dict[str, Any]:
    """An event of a connected account as Stripe writes it."""
    usual = {"id": f"evt_{name}", "object": "event", "created": at // 1000, "livemode": False}
    return {**usual, "type": type_, "account": account, "data": {"object": seen}}
