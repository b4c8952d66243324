"""Stripe Connect: what would be sent twice, or be back twice, or be believed."""

from __future__ import annotations

from tests.mutations.mutant import of

PAYER = "gifting/economy/payers/"

MUTANTS = (
    *of(
        f"{PAYER}stripe.py",
        "economy/stripe_payouts",
        ("        if transfer is None:\n            if why", "        if True:\n            if why"),
        ("            await self._check_balance(payout)\n", ""),
        ("not (transfer.reversed or payout.stuck_at)", "not transfer.reversed"),
        ("            if payout.sent_at:", "            if False:"),
        ("        if bank is None or bank.failed:\n", "        if bank is None:\n"),
        ("        if not transfer.reversed and not await self._reverse(payout, transfer):\n", "        if False:\n"),
        ("            return again is not None and again.reversed\n", "            return True\n"),
        ("refusable(but=EMPTY)", "refusable()"),
        ('{"idempotency_key": f"gifting-{payout.id}"}', '{"idempotency_key": f"gifting-{self._now()}"}'),
        ('"transfer_group": payout.id,\n', '"transfer_group": payout.account,\n'),
    ),
    *of(
        f"{PAYER}stripe_moves.py",
        "economy/stripe_payouts",
        ("    if (made.amount, made.currency.upper()) != asked:\n", "    if False:\n"),
        ('        return self.status in ("failed", "canceled")\n', '        return self.status == "canceled"\n'),
    ),
    *of(
        f"{PAYER}stripe_account.py",
        "economy/stripe_payouts economy/stripe_creators",
        ("return self.payouts_enabled and self.cap", "return self.cap"),
        (" == creator\n", " is not None\n"),
        ('if account.by_hand else "The', 'if True else "The'),
    ),
    *of(
        f"{PAYER}connect_events.py",
        "economy/stripe_payouts",
        ("    if event.livemode != live:\n", "    if False:\n"),
        ("    if seen.id != event.account:\n", "    if False:\n"),
    ),
    *of(
        "gifting/economy/payout_news.py",
        "economy/stripe_payouts",
        ("        if (payout.provider, payout.account) != (payer.name, news.account):\n", "        if False:\n"),
    ),
    *of(
        "gifting/economy/identities.py",
        "economy/stripe_creators",
        ('record.kyc in (kyc, "rejected")', "record.kyc == kyc"),
        ("            changed = True\n", "            return True\n"),
    ),
    *of(
        "gifting/model/payouts.py",
        "economy/stripe_payouts",
        ("        return not payout.sent_at and now >= payout.sending_at + SEND_AGAIN\n", "        return True\n"),
        ("// SETTLED // step * step\n", "// SETTLED\n"),
    ),
)
