"""What each card of the sandbox comes to: played to the end, by way of the very events that are sent."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import msgspec
import pytest

from gifting.economy.providers.base import ProviderRefused
from gifting.economy.providers.sandbox import checkout as checkouts
from gifting.economy.providers.sandbox.cards import CARDS, Fate
from gifting.economy.providers.sandbox.checkout import LIFE, Checkout
from gifting.economy.providers.sandbox.history import due, event_body, history, sending, taken, untold
from gifting.economy.providers.stripe_events import effects, read_event
from gifting.model import orders
from gifting.model.consequences import state
from gifting.model.effects import Effect
from gifting.model.orders import Order

NOW, DELAY = 1_700_000_000_000, 10_000
CHECKOUT = Checkout(
    order="018bcfe5-6800-7000-8000-00000000000f",
    user="ann",
    amount=499,
    currency="EUR",
    label="500 coins",
    return_url="",
    created=NOW,
    delay=DELAY,
)
NUMBERS = {card.fate: card.number for card in CARDS}
ENDS = {
    Fate.PAYS: "paid",
    Fate.CONFIRM: "paid",
    Fate.LATER: "paid",
    Fate.LATER_FAILS: "failed",
    Fate.REFUND: "refunded",
    Fate.REFUND_PART: "partly_refunded",
    Fate.REFUND_FAILS: "paid",
    Fate.NO_REFUND: "paid",
    Fate.DISPUTE: "disputed",
    Fate.DISPUTE_WON: "won",
    Fate.DISPUTE_LOST: "lost",
    Fate.WARNING: "fraud_warning",
}


def paid(fate: Fate) -> Checkout:
    made = checkouts.pay(CHECKOUT, NUMBERS[fate], NOW)
    return checkouts.confirm(made, True, NOW) if made.asked else made


def told(checkout: Checkout) -> list[Effect]:
    return [effect for one in history(checkout) for effect in effects("sandbox", read_event(event_body(one)))]


def ordered(said: Any) -> Order:
    order = Order(
        id=CHECKOUT.order,
        user="ann",
        digest=b"",
        provider="sandbox",
        region="DE",
        currency="EUR",
        price=499,
        coins=500,
        created=NOW,
        expires=NOW + LIFE,
    )
    for effect in said:
        assert effect.order == order.id
        order = orders.add(order, effect)
    return order


def test_every_card_has_a_known_end() -> None:
    assert {card.fate for card in CARDS} == ENDS.keys() | {Fate.DECLINED}


@pytest.mark.parametrize("fate", ENDS)
def test_a_card_comes_to_its_end_in_whatever_order_its_events_come(fate: Fate) -> None:
    said = told(paid(fate))
    assert {state(ordered(shuffled)) for shuffled in permutations([*said, said[0]])} == {ENDS[fate]}


def test_a_refund_of_a_card_whose_refunds_fail_fails() -> None:
    checkout = checkouts.refund(paid(Fate.REFUND_FAILS), 499, "w1", NOW + 5)
    created, failed = told(checkout)[1:]
    assert (created.withdrawal, created.kind, failed.kind) == ("w1", "refunded", "refund_failed")
    assert created.object == failed.object


def test_a_declined_card_leaves_the_checkout_open_and_so_does_a_no() -> None:
    with pytest.raises(ProviderRefused, match="declined"):
        checkouts.pay(CHECKOUT, NUMBERS[Fate.DECLINED], NOW)
    with pytest.raises(ProviderRefused, match="no such card"):
        checkouts.pay(CHECKOUT, "1", NOW)
    asked = checkouts.pay(CHECKOUT, NUMBERS[Fate.CONFIRM], NOW)
    assert asked.status(NOW) == "confirm" and not [one for one in told(asked) if one.kind == "paid"]
    assert checkouts.confirm(asked, False, NOW).status(NOW) == "open"


@pytest.mark.parametrize("change", [checkouts.close, lambda c, now: checkouts.pay(c, NUMBERS[Fate.PAYS], now)])
@pytest.mark.parametrize("ended", [paid(Fate.PAYS), checkouts.close(CHECKOUT, NOW)])
def test_what_is_over_is_paid_and_closed_no_more(change: Any, ended: Checkout) -> None:
    with pytest.raises(ProviderRefused):
        change(ended, NOW)


def test_nobody_pays_after_the_checkout_expired() -> None:
    with pytest.raises(ProviderRefused):
        checkouts.pay(CHECKOUT, NUMBERS[Fate.PAYS], NOW + LIFE)
    assert state(ordered(told(CHECKOUT))) == "expired"


def test_refunds_are_made_once_and_never_pass_what_was_paid() -> None:
    half = checkouts.refund(paid(Fate.PAYS), 250, "w1", NOW)
    assert checkouts.refund(half, 250, "w1", NOW + 1) == half
    for checkout, amount in ((half, 250), (half, 0), (paid(Fate.NO_REFUND), 1), (paid(Fate.REFUND), 1), (CHECKOUT, 1)):
        with pytest.raises(ProviderRefused):
            checkouts.refund(checkout, amount, "w2", NOW)


def test_events_are_told_one_after_the_other_and_again_ever_more_slowly() -> None:
    checkout, times = paid(Fate.REFUND), []
    assert due(checkout) == NOW
    for _ in range(4):
        checkout = sending(checkout, NOW)
        times.append((due(checkout) or 0) - NOW)
    assert times == [500, 1000, 2000, 4000]
    first = untold(checkout)
    assert first is not None
    checkout = taken(checkout, first.id)
    assert due(checkout) == NOW + DELAY
    second = untold(checkout)
    assert second is not None and due(taken(checkout, second.id)) is None


def test_what_is_kept_reads_back_and_has_the_same_history() -> None:
    checkout = checkouts.refund(paid(Fate.DISPUTE_LOST), 100, "w1", NOW)
    again = checkouts.read(checkouts.write(checkout))
    assert again == checkout and history(again) == history(checkout)
    assert len(checkouts.write(checkout)) < 500
    assert all(msgspec.json.decode(event_body(one))["livemode"] is False for one in history(checkout))
