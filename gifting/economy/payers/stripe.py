"""Stripe Connect: a transfer to the creator's connected account, and from there a payout to its bank.

A payout is sent when both are there, and paid when the bank has the money: the account's own payouts are manual, so
that it is known which money reached the bank. What does not is transferred back before it is said to have failed, or
the diamonds would be back and the money be gone; where the account has not got it, the payout is stuck, and asked after
until it is there. Nothing is transferred before it is available here: a transfer is reversed only while the account has
the money.

Idempotency keys keep two processes that send at once from sending twice, and are forgotten after a day; whatever was
sent is found for ever by its ``transfer_group`` and metadata, which are looked for before anything is sent.
docs/providers.md says how to set it up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gifting.economy.payers.base import News, PayerRefused
from gifting.economy.payers.connect_events import news
from gifting.economy.payers.stripe_account import Account, kyc_of, refusal
from gifting.economy.payers.stripe_moves import EMPTY, Bank, Transfer, of, read_moved, refusable
from gifting.economy.providers.registry import Parts
from gifting.economy.providers.stripe_api import (
    NAME,
    check_signed,
    is_live,
    is_signed,
    no_is,
    open_client,
    read_secrets,
)
from gifting.economy.providers.stripe_events import PAYOUT, read_event
from gifting.economy.providers.stripe_money import STEPS, to_stripe
from gifting.errors import BadSetting, ProviderFailed
from gifting.model.creator import Destination, Kyc
from gifting.model.payouts import Fact, Kind, Payout

log = logging.getLogger(__name__)

PAYOUTS_MAX: Final = 10_000
"""Payouts of an account that are looked through for one of ours: those since its transfer."""

STUCK: Final = "The account has not got it any more"


class Stripe:
    """``secrets`` are those of the Connect endpoint; ``now`` is ms since 1970."""

    name: Final = NAME

    def __init__(self, key: str, secrets: Sequence[str], now: Callable[[], int], api: str = "") -> None:
        self._live = is_live(key)
        self._secrets = secrets
        self._now = now
        self._http, self._client = open_client(key, "", api)

    def takes(self, account: str) -> bool:
        return account.startswith("acct_") and account[5:].isalnum()

    def step(self, currency: str) -> int:
        return STEPS.get(currency, 1)

    def review(self, destination: Destination) -> str:
        return ""

    # What is said of accounts and payouts.

    def signed(self, body: bytes, headers: Mapping[str, str]) -> bool:
        return is_signed(body, headers, self._secrets)

    async def verify(self, body: bytes, headers: Mapping[str, str], now_ms: int) -> Sequence[News]:
        check_signed(body, headers, self._secrets, now_ms)
        return news(read_event(body), live=self._live)

    async def identity(self, creator: str, to: Destination) -> Kyc | None:
        try:
            return kyc_of(await self._account(to.account), creator)
        except PayerRefused:
            return "none"

    async def _account(self, account: str) -> Account:
        """Raises PayerRefused: there is none."""
        with no_is(ProviderFailed), refusable():
            return read_moved(await self._client.v1.accounts.retrieve_async(account), Account)

    # Sending.

    async def send(self, payout: Payout) -> Sequence[Fact]:
        transfer = await self._transfer(payout)
        if transfer is None:
            if why := refusal(await self._account(payout.account), payout.host):
                raise PayerRefused(why)
            await self._check_balance(payout)
            transfer = await self._make_transfer(payout)
        return await self._carry_on(payout, transfer)

    async def look(self, payout: Payout) -> Sequence[Fact]:
        transfer = await self._transfer(payout)
        return await self._carry_on(payout, transfer) if transfer is not None else ()

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _transfer(self, payout: Payout) -> Transfer | None:
        """The one that was made for it. Raises PayoutMismatch: what was made is another."""
        with no_is(ProviderFailed):
            page = await self._client.v1.transfers.list_async({"transfer_group": payout.id, "limit": 2})
        if len(page.data) > 1:
            log.error("there are two transfers for payout %s: one is to go back by hand", payout.id)
        return of(payout, read_moved(page.data[-1], Transfer)) if page.data else None

    async def _check_balance(self, payout: Payout) -> None:
        """Asked first, since Stripe keeps its no to a transfer for a day, whatever is paid in meanwhile."""
        with no_is(ProviderFailed):
            balance = await self._client.v1.balance.retrieve_async()
        there = {one.currency.upper(): one.amount for one in balance.available}
        if there.get(payout.currency, 0) < to_stripe(payout.amount, payout.currency):
            raise ProviderFailed(f"Stripe's balance has too little {payout.currency}: pay some in.")

    async def _make_transfer(self, payout: Payout) -> Transfer:
        with no_is(ProviderFailed), refusable(but=EMPTY):
            made = await self._client.v1.transfers.create_async(
                {
                    "amount": to_stripe(payout.amount, payout.currency),
                    "currency": payout.currency.lower(),
                    "destination": payout.account,
                    "transfer_group": payout.id,
                    "metadata": {PAYOUT: payout.id},
                },
                {"idempotency_key": f"gifting-{payout.id}"},
            )
        return of(payout, read_moved(made, Transfer))

    async def _carry_on(self, payout: Payout, transfer: Transfer) -> list[Fact]:
        """From the transfer to the bank, or back."""
        sent = _fact(payout, Kind.SENT, transfer.created * 1000, transfer.id)
        bank, why = await self._bank(payout, transfer), ""
        if bank is None and not (transfer.reversed or payout.stuck_at):
            if payout.sent_at:  # and so it is there: another one would be paid with the money of other payouts
                raise ProviderFailed(f"The payout to the bank of {transfer.id} is not found.")
            try:
                bank = await self._pay_out(payout)
            except PayerRefused as error:
                why = error.detail
        if bank is None or bank.failed:
            return [await self._take_back(payout, transfer, why if bank is None else bank.why), sent]
        if bank.status != "paid":
            return [sent]
        paid_at = min(max(bank.arrival_date, bank.created) * 1000, self._now())
        return [sent, _fact(payout, Kind.PAID, paid_at, bank.id)]

    async def _bank(self, payout: Payout, transfer: Transfer) -> Bank | None:
        """The first that was made for it. Raises PayoutMismatch: what was made is another."""
        found: Bank | None = None
        with no_is(ProviderFailed):
            page = await self._client.v1.payouts.list_async(
                {"created": {"gte": transfer.created}, "limit": 100}, {"stripe_account": payout.account}
            )
            seen = 0
            async for one in page.auto_paging_iter():
                bank = read_moved(one, Bank)
                found = bank if (bank.metadata or {}).get(PAYOUT) == payout.id else found
                seen += 1
                if seen == PAYOUTS_MAX:
                    raise ProviderFailed(f"There are over {PAYOUTS_MAX} payouts of {payout.account}.")
        return found and of(payout, found)

    async def _pay_out(self, payout: Payout) -> Bank:
        """Raises PayerRefused: the account can't, and has not."""
        with no_is(ProviderFailed), refusable():
            made = await self._client.v1.payouts.create_async(
                {
                    "amount": to_stripe(payout.amount, payout.currency),
                    "currency": payout.currency.lower(),
                    "metadata": {PAYOUT: payout.id},
                },
                {"idempotency_key": f"gifting-{payout.id}-bank", "stripe_account": payout.account},
            )
        return of(payout, read_moved(made, Bank))

    # Back.

    async def _take_back(self, payout: Payout, transfer: Transfer, why: str) -> Fact:
        """It failed, once the whole transfer is back; until then it is stuck. More than all of it never comes back, so
        it needs no idempotency key, under which a no would stay for a day.
        """
        reason = why or payout.reason or "The transfer was reversed."
        if not transfer.reversed and not await self._reverse(payout, transfer):
            log.error("payout %s did not arrive, and %s has not got it any more: %s", payout.id, payout.account, reason)
            return _fact(payout, Kind.STUCK, self._now(), reason=f"{STUCK}: {reason}")
        return _fact(payout, Kind.FAILED, self._now(), reason=reason)

    async def _reverse(self, payout: Payout, transfer: Transfer) -> bool:
        """Whether all of it is back."""
        try:
            with no_is(ProviderFailed), refusable():
                await self._client.v1.transfers.reversals.create_async(
                    transfer.id,
                    {"amount": transfer.amount - transfer.amount_reversed, "metadata": {PAYOUT: payout.id}},
                )
        except PayerRefused:
            again = await self._transfer(payout)  # another process may have been faster
            return again is not None and again.reversed
        return True


def _fact(payout: Payout, kind: Kind, at: int, object_: str = "", reason: str = "") -> Fact:
    reference = f"{NAME}:{object_}" if object_ else ""
    return Fact(NAME, kind, at, payout.id, reference, payout.amount, payout.currency, reason)


def make(parts: Parts) -> Stripe:
    """Raises BadSetting where the key or the secrets are missing."""
    settings = parts.settings
    secrets = read_secrets(settings.stripe_connect_secrets)
    if not settings.stripe_key.startswith(("sk_", "rk_")) or not secrets:
        raise BadSetting("The payer stripe needs stripe_key (sk_… or rk_…) and stripe_connect_secrets (whsec_…).")
    return Stripe(settings.stripe_key, secrets, parts.ledger.creators.now_ms, settings.stripe_api)
