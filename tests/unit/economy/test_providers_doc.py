"""docs/providers.md says what there is: providers, cards, events, reasons, settings."""

from __future__ import annotations

import re

from gifting import config
from gifting.economy.payers import connect_events
from gifting.economy.payers import sandbox as payer
from gifting.economy.providers import stripe_events
from gifting.economy.providers.base import WEBHOOK_AGE, Reason
from gifting.economy.providers.registry import KNOWN
from gifting.economy.providers.sandbox.cards import CARDS
from gifting.economy.providers.sandbox.checkout import LIFE
from gifting.economy.providers.sandbox.history import BACKOFF, TRIES_MAX
from gifting.economy.providers.stripe_events import SIGNIFICANT
from gifting.ledger.sandbox import CHECKOUTS_MAX
from gifting.model.payouts import ASK_EVERY, RETURN_DAYS
from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "providers.md").read_text()
WORDS = " ".join(TEXT.split())


def rows(first: str) -> list[tuple[str, str]]:
    """The first two cells of the table whose head begins so."""
    table = TEXT[TEXT.index(first) :].split("\n\n")[0].partition("\n")[2]
    return re.findall(r"^\| \[?`(\w+)`(?:\]\(.*?\))? \| (.*?) \|", table, re.MULTILINE)


def test_every_provider_is_there() -> None:
    assert [name for name, _ in rows("| provider |")] == list(KNOWN)


def test_every_card_is_there_with_what_it_comes_to() -> None:
    assert rows("| card |") == [(card.number, card.label) for card in CARDS]


def test_every_reason_is_there() -> None:
    assert {name for name, _ in rows("| `reason` |")} == set(Reason)
    assert "five minutes" in TEXT and WEBHOOK_AGE == 5 * 60_000


def test_every_event_of_stripe_that_means_something_is_there() -> None:
    section = TEXT[TEXT.index("## Stripe") :]
    assert set(re.findall(r"`((?:checkout|refund|charge|radar|review)\.[a-z_.]+)`", section)) == set(SIGNIFICANT)


def test_the_bounds_are_as_said() -> None:
    assert f"lives {LIFE // 60_000} minutes" in WORDS
    assert f"{CHECKOUTS_MAX:,} checkouts at most" in WORDS
    assert (BACKOFF, TRIES_MAX) == (500, 12) and "after 0.5, 1, 2, … seconds, twelve times at most" in WORDS


def test_every_setting_that_is_named_is_one() -> None:
    known = {row.env for row in config.table()} | {row.name for row in config.table()}
    assert set(re.findall(r"\bGIFTING_\w+", TEXT)) <= known
    assert {"sandbox_delay", "reconcile_interval", "reconcile_window"} <= known & set(re.findall(r"`(\w+)`", TEXT))


def test_every_event_of_connect_is_there() -> None:
    section = TEXT[TEXT.index("### Stripe Connect") :].partition("## The stores")[0]
    assert set(re.findall(r"`((?:payout|account)\.[a-z_.]+)`", section)) == set(connect_events.SIGNIFICANT)
    assert f"`{stripe_events.PAYOUT}`" in section and f"metadata[{connect_events.CREATOR}]" in section


def test_every_account_of_the_sandbox_is_there() -> None:
    accounts = (payer.REVIEW, payer.REFUSED, payer.FAILED, payer.RETURNED)
    known = (*accounts, payer.LATER, payer.VERIFIED, payer.PENDING, payer.REJECTED)
    assert [name for name, _ in rows("| account |")] == list(known)
    assert f"once a day for {RETURN_DAYS} days" in WORDS and ASK_EVERY == 3_600_000
