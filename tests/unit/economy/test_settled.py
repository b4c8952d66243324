"""What providers say they settled: gross less tax and fee is net, whatever moved, and money that came back is there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gifting.economy.providers.sandbox.cards import Fate
from gifting.economy.providers.sandbox.settled import settled
from gifting.economy.providers.stripe_settled import KINDS, read_moved, settlement
from gifting.errors import ProviderFailed
from gifting.model.settlements import is_converted
from tests.unit.economy.test_sandbox_history import CHECKOUT, DELAY, NOW, paid

GROSS = {
    Fate.PAYS: [499],
    Fate.LATER: [499],
    Fate.LATER_FAILS: [],
    Fate.REFUND: [499, -499],
    Fate.REFUND_PART: [499, -249],
    Fate.DISPUTE: [499, -499],
    Fate.DISPUTE_WON: [499, -499, 499],
    Fate.DISPUTE_LOST: [499, -499],
    Fate.WARNING: [499],
}


@pytest.mark.parametrize(("fate", "gross"), GROSS.items())
def test_the_sandbox_settles_what_its_cards_come_to(fate: Fate, gross: list[int]) -> None:
    rows = list(settled("sandbox", paid(fate), NOW + 3 * DELAY))
    assert [row.gross for row in rows] == gross
    assert [row.fee for row in rows] == [14] * len(rows[:1]) + [0] * len(rows[1:])
    assert all(row.net == row.gross - row.tax - row.fee and row.order_id == CHECKOUT.order for row in rows)
    assert len({row.reference for row in rows}) == len(rows)


def test_what_is_to_come_is_not_settled() -> None:
    assert [row.gross for row in settled("sandbox", paid(Fate.REFUND), NOW)] == [499]
    assert not list(settled("sandbox", CHECKOUT, NOW + DELAY))


def moved(**more: Any) -> bytes:
    usual = {"id": "txn_1", "amount": 1000, "fee": 89, "net": 911, "currency": "eur", "created": NOW // 1000}
    return json.dumps({**usual, "reporting_category": "charge", "source": None, **more}).encode()


def test_stripes_fee_is_told_apart_from_tax() -> None:
    fees = [{"amount": 60, "type": "stripe_fee"}, {"amount": 9, "type": "tax"}, {"amount": 20, "type": "withheld_tax"}]
    one = settlement("stripe", "payment", read_moved(moved(fee_details=fees)), "o1")
    assert (one.gross, one.tax, one.fee, one.net, one.currency, one.at) == (1000, 20, 69, 911, "EUR", NOW)


def test_what_stripe_counts_in_hundredths_adds_up_in_units() -> None:
    one = settlement("stripe", "refund", read_moved(moved(amount=-100_000, net=-100_050, currency="isk")), "o1")
    assert (one.gross, one.fee, one.net) == (-1000, 1, -1001)


CHARGE = {"id": "ch_1", "object": "charge", "amount": 1000, "currency": "usd"}


@pytest.mark.parametrize(
    ("category", "amount", "source", "order_amount"),
    [
        ("charge", 855, CHARGE, 1000),
        ("refund", -214, {**CHARGE, "id": "re_1", "amount": 250}, -250),
        ("dispute", -855, {**CHARGE, "id": "du_1"}, -1000),
        ("dispute_reversal", 855, {**CHARGE, "id": "du_1"}, 1000),
    ],
)
def test_what_is_settled_in_another_currency_keeps_the_orders_money_and_the_rate(
    category: str, amount: int, source: dict[str, Any], order_amount: int
) -> None:
    told = moved(amount=amount, net=amount - 30, exchange_rate=0.85472, reporting_category=category, source=source)
    one = settlement("stripe", KINDS[category], read_moved(told), "o1")
    assert (one.order_amount, one.order_currency, one.rate) == (order_amount, "USD", "0.85472")
    assert (one.gross, one.fee, one.net, one.currency) == (amount, 30, amount - 30, "EUR")
    assert is_converted(one)
    for wrong in (one._replace(gross=amount + 3), one._replace(rate="0.84472"), one._replace(order_amount=-1)):
        assert not is_converted(wrong)


def test_a_rate_is_of_whole_units_and_as_exact_as_it_is_told() -> None:
    yen = {**CHARGE, "amount": 1000, "currency": "jpy"}
    one = settlement("stripe", "payment", read_moved(moved(amount=614, exchange_rate=6.14e-3, source=yen)), "o1")
    assert (one.order_amount, one.rate) == (1000, "0.00614")
    assert is_converted(one)
    assert is_converted(one._replace(order_amount=100_000_000, gross=61_490_000))
    assert not is_converted(one._replace(order_amount=100_000_000, gross=61_510_000))


def test_what_is_not_converted_has_no_rate() -> None:
    one = settlement("stripe", "payment", read_moved(moved(source={**CHARGE, "currency": "eur"})), "o1")
    assert (one.order_amount, one.order_currency, one.rate) == (1000, "EUR", "")
    assert is_converted(one)
    assert not is_converted(one._replace(order_currency="USD"))


def test_a_payout_is_its_own_batch_and_what_can_not_be_read_is_no_answer() -> None:
    one = read_moved(moved(amount=-911, net=-911, source={"id": "po_1"}))
    assert settlement("stripe", KINDS["payout"], one, "").batch == "po_1"
    assert read_moved(moved(source="ch_1")).by.order == ""
    for body in (b"{}", b"\xff"):
        with pytest.raises(ProviderFailed):
            read_moved(body)
