import msgpack
import pytest

from gifting.errors import Conflict, Forbidden, LimitsUnasked, OnBreak, PurchaseLimit
from gifting.model.calendar import DAY_MS
from gifting.model.limits import accept, ask, ask_as_guardian, invite, pause, unlink, values
from gifting.model.protection import NOTHING, UNLIMITED, Protection, read_protection, write_protection
from gifting.model.purchase_limits import move, purchase_refusal

NOW = 1_795_651_200_000


def test_what_is_lowered_acts_at_once_and_what_is_raised_after_a_day_if_asked_for_again() -> None:
    record = ask(NOTHING, {"gifts.h24": 100, "caps.gift": 10}, NOW)
    assert (record.limits, record.caps) == ({"h24": 100}, (10, 0, 0))
    record = ask(record, {"gifts.h24": 200, "caps.gift": UNLIMITED}, NOW)
    assert (record.limits, record.caps) == ({"h24": 100}, (10, 0, 0))
    early = ask(record, {"gifts.h24": 200}, NOW + DAY_MS - 1)
    assert early.limits == {"h24": 100}
    late = ask(record, {"gifts.h24": 200, "caps.gift": UNLIMITED}, NOW + DAY_MS)
    assert (late.limits, late.caps, late.raises) == ({"h24": 200}, (0, 0, 0), ())


def test_to_ask_for_the_lower_one_again_takes_a_raise_back() -> None:
    record = ask(ask(NOTHING, {"gifts.h24": 100}, NOW), {"gifts.h24": 200}, NOW)
    assert ask(record, {"gifts.h24": 100}, NOW + 1).raises == ()


def test_a_guardians_limits_act_at_once_beside_the_users_own() -> None:
    record = ask_as_guardian(ask(NOTHING, {"gifts.day": 50}, NOW), {"gifts.day": 20, "caps.streak": 5})
    assert values(record) == {"gifts.day": 50}
    assert values(record, guard=True) == {"gifts.day": 20, "caps.streak": 5}
    assert values(ask_as_guardian(record, {"gifts.day": 90}), guard=True) == {"gifts.day": 90, "caps.streak": 5}


def test_a_guardian_is_named_by_one_and_accepts_itself() -> None:
    asked = invite(NOTHING, "mum")
    for record in (NOTHING, asked):
        with pytest.raises(Forbidden):
            accept(record, "stranger")
    linked = accept(asked, "mum")
    assert (linked.guardian, linked.invited) == ("mum", "")
    assert accept(linked, "mum") is linked
    with pytest.raises(Conflict):
        invite(linked, "dad")
    assert unlink(invite(NOTHING, "dad")) == NOTHING
    assert unlink(ask_as_guardian(linked, {"gifts.day": 1, "purchases.day": 1, "caps.gift": 1})) == NOTHING


def test_limits_of_purchases_are_kept_beside_those_of_gifts() -> None:
    wanted = {"gifts.day": 1, "purchases.day": 2, "purchases.d30": 3, "caps.confirm_above": 4}
    own, guarded = ask(NOTHING, wanted, NOW), ask_as_guardian(NOTHING, wanted)
    assert values(own) == values(guarded, guard=True) == wanted
    assert values(own, guard=True) == values(guarded) == {}
    assert (own.purchases, own.asked) == ({"day": 2, "d30": 3}, NOW)
    assert (guarded.guard_purchases, guarded.asked) == ({"day": 2, "d30": 3}, 0)


def test_a_break_only_gets_longer() -> None:
    assert pause(pause(NOTHING, NOW + 5), NOW + 1).until == NOW + 5
    assert pause(pause(NOTHING, NOW + 5), UNLIMITED).until == UNLIMITED


def test_a_first_purchase_asks_for_a_limit_and_none_is_an_answer() -> None:
    assert isinstance(purchase_refusal(NOTHING, NOW, 1, []), LimitsUnasked)
    assert isinstance(purchase_refusal(ask(NOTHING, {"gifts.day": 1}, NOW), NOW, 1, []), LimitsUnasked)
    assert purchase_refusal(ask(NOTHING, {"purchases.h24": UNLIMITED}, NOW), NOW, 1, []) is None


@pytest.mark.parametrize(
    ("limits", "coins", "until"),
    [
        ({"h24": 100}, 40, None),
        ({"h24": 100}, 41, NOW - 60 + DAY_MS),  # when the first of two is out
        ({"h24": 100}, 81, NOW + DAY_MS),
        ({"h24": 100}, 101, 0),
        ({"d7": 100}, 41, NOW - 60 + 7 * DAY_MS),
        ({"day": 100}, 80, None),  # the first was yesterday
        ({"day": 100}, 81, NOW + DAY_MS),
        ({"month": 100, "d7": 100}, 41, NOW - 60 + 7 * DAY_MS),
    ],
)
def test_a_purchase_that_passes_a_limit_is_refused_until_it_fits(
    limits: dict[str, int], coins: int, until: int | None
) -> None:
    bought = [(NOW, 20), (NOW - 60, 40), (NOW - 40 * DAY_MS, 1000)]
    refused = purchase_refusal(Protection(purchases=limits, asked=1), NOW, coins, bought)
    assert (refused.until if isinstance(refused, PurchaseLimit) else refused) == until


def test_on_a_break_nothing_is_bought() -> None:
    refused = purchase_refusal(Protection(until=NOW + 1, asked=1), NOW, 1, [])
    assert isinstance(refused, OnBreak)
    assert refused.until == NOW + 1
    assert purchase_refusal(Protection(until=NOW, asked=1), NOW, 1, []) is None


def test_a_record_is_read_as_it_was_written_and_as_a_script_writes_it() -> None:
    record = ask(move(NOTHING, "Europe/Berlin", NOW), {"gifts.day": 7, "purchases.d30": 9, "caps.gift": 3}, NOW)
    assert read_protection(write_protection(record)) == record
    assert read_protection(None) == NOTHING
    assert read_protection(msgpack.packb({"hours": [], "until": 5})).until == 5
