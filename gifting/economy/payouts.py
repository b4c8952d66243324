"""Payouts: asked for once per key, then carried on, step by step, until the money is there or the diamonds are back.

Whoever asks has the diamonds taken out of what is available, and no more. The reconciliation of any process does the
rest: it notes that it is going to send, has the provider send, and applies what that says. What breaks off in between
is looked for at the provider before it is sent again, and the provider sends each payout once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from gifting.economy.identities import Identities
from gifting.economy.payers.base import Payer, PayerRefused
from gifting.errors import (
    DestinationNew,
    GiftingError,
    KeyInFuture,
    KycRequired,
    NoDestination,
    NotEnoughDiamonds,
    PayoutMax,
    PayoutsHeld,
    PayoutsOff,
    PayoutTooSmall,
    ProviderFailed,
)
from gifting.ledger.creators import Creator
from gifting.ledger.ledger import Ledger
from gifting.ledger.payouts import Hold, Owned, under_way
from gifting.model.creator import CreatorRecord, Destination
from gifting.model.creators import Creators, PayoutTerms
from gifting.model.money import key_time
from gifting.model.old_payouts import KEPT_DAYS
from gifting.model.payouts import (
    DAY_MS,
    OPEN_MAX,
    PAYOUTS_MAX,
    SEND_AGAIN,
    Fact,
    Kind,
    Payout,
    PayoutMismatch,
    State,
    contradicts,
    counted,
    payable,
    payout_id,
    state,
)

log = logging.getLogger(__name__)

PAGE: Final = 100
"""Payouts of a partition that one round looks at."""

SEND_WITHIN: Final = SEND_AGAIN // 2000
"""Seconds in which a provider is to have taken a payout."""

NOWHERE: Final = Destination("", "", 0, 0)


class Payouts:
    """Of all creators, by way of all ``payers``. ``terms`` gives what holds now. ``failures``: how often which of them
    could not be asked, or said no.
    """

    def __init__(self, ledger: Ledger, payers: Mapping[str, Payer], terms: Callable[[], Creators]) -> None:
        self.payers = payers
        self.failures: Counter[str] = Counter()
        self.identities = Identities(ledger, payers)
        self.mismatches = 0
        """Payouts of other money than was asked for, or that nobody asked for: nothing follows from them."""
        self._ledger = ledger
        self._terms = terms
        self._lead_ms = round(ledger.settings.key_lead * 1000)

    @property
    def currency(self) -> str:
        """What is paid out in."""
        return self._terms().payout.currency

    # Asking for one.

    async def request(self, host: str, key: bytes, diamonds: int) -> Payout:
        """Ask for a payout of so many milli-diamonds, less what makes no whole minor unit; again gives the same.

        Raises:
            PayoutsOff, KeyInFuture, KycRequired, PayoutsHeld, NoDestination, DestinationNew, PayoutTooSmall, PayoutMax,
            NotEnoughDiamonds: it can't be had now.
            KeyReused: something else was asked for under the key.
            ProviderFailed: the provider could not be asked who the creator is.
            OutcomeUnknown: it may be done; the same again finds out.
            Conflict, Unavailable.
        """
        if not self.payers:
            raise PayoutsOff
        creators, creator = self._terms(), await self._known(host)
        tier = creators.of(creator.record.tier)
        draft = self._draft(host, key, diamonds, creators.payout, creator.record)

        def allowed(owned: Owned) -> None:
            self._check_key(key, self._ledger.creators.now_ms())
            self._check_creator(creator.record, draft.created)
            _check_amount(draft, owned, creators.payout)
            if creator.split(tier).available < draft.diamonds:
                raise NotEnoughDiamonds(f"{creator.split(tier).available} milli-diamonds are available.")

        await self._settle(creator, draft, allowed)
        return await self._ledger.payouts.request(
            draft, Hold(tier.hold_days, tier.reserve_days, tier.reserve_bps), allowed
        )

    async def _known(self, host: str) -> Creator:
        """The creator, as the provider knows it where it is not verified here: no webhook may have told."""
        creator = await self._ledger.creators.settled(host)
        if creator.record.kyc != "verified" and await self.identities.ask(host):
            return await self._ledger.creators.settled(host)
        return creator

    def _draft(self, host: str, key: bytes, diamonds: int, terms: PayoutTerms, record: CreatorRecord) -> Payout:
        to = record.destination or NOWHERE
        payer = self.payers.get(to.provider)
        step = payer.step(terms.currency) if payer else 1
        whole, amount = payable(diamonds, terms.micros_per_diamond, terms.currency, step)
        return Payout(
            id=payout_id(host, key),
            host=host,
            digest=blake2b(b"%d" % diamonds, digest_size=8).digest(),
            provider=to.provider,
            account=to.account,
            diamonds=whole,
            amount=amount,
            currency=terms.currency,
            created=self._ledger.creators.span_ms()[0],
            review=payer.review(to) if payer else "",
        )

    async def _settle(self, creator: Creator, draft: Payout, allowed: Callable[[Owned], None]) -> None:
        """What is owed is settled before anything leaves, unless nothing is going to."""
        if not creator.debt:
            return
        owned = await self._ledger.payouts.owned(draft.host)
        if not owned.broken_off and draft.id not in owned.payouts:
            allowed(owned)
            await self._ledger.reversals.settle(draft.host, draft.created)

    def _check_key(self, key: bytes, now: int) -> None:
        if key_time(key) > now + self._lead_ms:
            raise KeyInFuture(f"It is {key_time(key) - now} ms ahead.")

    def _check_creator(self, record: CreatorRecord, now: int) -> None:
        if record.kyc != "verified":
            raise KycRequired(f"It is {record.kyc}.")
        if record.held:
            raise PayoutsHeld(record.held)
        to = record.destination
        if to is None or to.provider not in self.payers:
            raise NoDestination("There is none." if to is None else f"Nobody pays out by {to.provider} here.")
        if not self.payers[to.provider].takes(to.account):
            raise NoDestination(f"{to.account} is no account of {to.provider}.")
        if to.good_at > now:
            raise DestinationNew(until=to.good_at)

    # Carrying it on.

    async def resume(self) -> None:
        """Carry on what is due. One that fails keeps no other waiting. Raises Unavailable."""
        for payout in await self._ledger.payouts.due(self._ledger.creators.now_ms(), PAGE):
            try:
                await self._carry_on(payout)
            except GiftingError as error:
                log.warning("payout %s has to wait: %s", payout.id, error)

    async def look(self, payer: Payer, payout: Payout) -> bool:
        """Ask what became of a payout, and do it; whether it was news. Raises ProviderFailed, Unavailable, Conflict."""
        return await self._take(payout, payer.look(payout))

    async def _carry_on(self, payout: Payout) -> None:
        await self._ledger.payouts.refer(payout)
        try:
            payer = self.payers.get(payout.provider)
            if payer is None:
                log.warning("payout %s waits: nobody pays out by %s here", payout.id, payout.provider)
            elif state(payout) is not State.REQUESTED or await self._may_be_sent(payout):
                await self._take(payout, self._ask(payer, payout))
        finally:
            await self._ledger.payouts.asked(payout.id, self._ledger.creators.now_ms())

    async def _may_be_sent(self, payout: Payout) -> bool:
        """Whether nothing was said against the creator since; then it is noted that it is being sent."""
        record = (await self._ledger.creators.settled(payout.host)).record
        if record.held or record.kyc != "verified":
            return False
        return await self._is_ours(payout)

    async def _is_ours(self, payout: Payout) -> bool:
        """Whether this process, and no other, is to send it now."""
        return (await self._ledger.payouts.sending(payout.id, self._ledger.creators.now_ms())).changed

    async def _ask(self, payer: Payer, payout: Payout) -> Sequence[Fact]:
        """What the provider knows; what it does not know of it is to send, if it did not say that it has it."""
        try:
            if state(payout) is State.REQUESTED:  # noted just now
                return await self._send(payer, payout)
            known = await payer.look(payout)
            unknown = not (known or payout.sent_at or payout.paid_at)
            return await self._send(payer, payout) if unknown and await self._is_ours(payout) else known
        except PayerRefused as error:
            self.failures[payer.name] += 1
            now = self._ledger.creators.now_ms()
            return [Fact(payer.name, Kind.FAILED, now, payout.id, reason=error.detail)]
        except ProviderFailed:
            self.failures[payer.name] += 1
            raise

    async def _send(self, payer: Payer, payout: Payout) -> Sequence[Fact]:
        """In less time than anybody else waits before doing it."""
        try:
            async with asyncio.timeout(SEND_WITHIN):
                return await payer.send(payout)
        except TimeoutError:
            raise ProviderFailed(f"{payer.name} took more than {SEND_WITHIN} s.") from None

    async def _take(self, payout: Payout, asked: Awaitable[Sequence[Fact]]) -> bool:
        """Make true what is answered; whether it was news."""
        try:
            return any([await self._apply(fact) for fact in await asked])
        except PayoutMismatch as error:
            self.mismatches += 1
            log.error("payout_mismatch: %s: %s", payout.id, error)
            return False

    async def _apply(self, fact: Fact) -> bool:
        payout, changed = await self._ledger.payouts.apply(fact)
        if changed and contradicts(payout):
            log.error("payout %s is said to be paid after it came back", payout.id)
        return changed


def _check_amount(draft: Payout, owned: Owned, terms: PayoutTerms) -> None:
    """Raises PayoutTooSmall, PayoutMax."""
    if draft.amount < terms.minimum:
        raise PayoutTooSmall(f"It comes to {draft.amount}, and the least is {terms.minimum} ({terms.currency}).")
    since = draft.created - DAY_MS
    recent = sorted((one.created, one.amount) for one in owned.payouts.values() if counted(one, since))
    total, until = draft.amount + sum(amount for _, amount in recent), 0
    for created, amount in recent:
        if total > terms.daily_maximum:
            total, until = total - amount, created + DAY_MS
    if until or total > terms.daily_maximum:
        raise PayoutMax("More in 24 hours is not paid out.", until=until, cap=terms.daily_maximum)
    if under_way(owned) >= OPEN_MAX:
        raise PayoutMax(f"{under_way(owned)} are under way.")
    if len(owned.payouts) >= PAYOUTS_MAX:
        until = min(payout.created for payout in owned.payouts.values()) + KEPT_DAYS * DAY_MS
        raise PayoutMax(f"There are {len(owned.payouts)}.", until=max(until, draft.created))
