"""What counts in which window, and until when."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from gifting.model.calendar import DAY_MS, HOUR_MS
from gifting.model.limits import RAISE_AFTER, RAISE_OPEN, ask
from gifting.model.protection import NOTHING, UNLIMITED, WIDTHS, Protection, Raise
from gifting.model.purchase_limits import bought_in, move, purchase_refusal
from gifting.model.windows import falls_at, frees_at, left, next_roll, rolled, spent_in, spent_since
from tests.unit.model.test_calendar import BEGIN, at


def test_an_hour_counts_until_all_of_it_is_out() -> None:
    noon = BEGIN + 12 * HOUR_MS
    record = rolled(replace(NOTHING, limits={"h24": 10}), 10, noon + HOUR_MS, noon)
    assert left(record, noon + 24 * HOUR_MS) == 0
    assert left(record, noon + 25 * HOUR_MS) == 10
    assert frees_at(record, "h24", noon, 1) == noon + 25 * HOUR_MS


def test_a_move_just_before_midnight_gives_no_third_allowance() -> None:
    """23:59 in one zone, 0:01 in it, and an hour later midnight of the next zone: two days, not three."""
    late = int(datetime(2026, 12, 1, 23, 59, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)
    record = move(rolled(replace(NOTHING, limits={"day": 10}), 0, 0, late), "UTC", late)
    record = rolled(record, 10, late + 1, late)
    next_day = late + 2 * 60_000
    record = rolled(rolled(record, 0, 0, next_day), 10, next_day + 1, next_day)
    record = move(record, "Etc/GMT+1", next_day)
    for minutes in range(0, 24 * 60, 10):
        assert left(rolled(record, 0, 0, next_day + minutes * 60_000), next_day) == 0
    ends = datetime.fromtimestamp(record.calendar[0] / 1000, UTC)
    assert ends == datetime(2026, 12, 3, 1, tzinfo=UTC)


def test_a_clock_that_went_a_day_ahead_and_back_makes_no_window_forget() -> None:
    later = BEGIN + WIDTHS["d30"]
    record = rolled(replace(NOTHING, limits={"d30": 10}), 10, BEGIN + HOUR_MS, BEGIN)
    ahead = rolled(record, 0, 0, later + DAY_MS)
    assert left(ahead, later + DAY_MS) == 10
    assert left(rolled(ahead, 0, 0, later), later) == 0


def test_who_moves_after_a_window_has_ended_begins_the_next_where_it_was() -> None:
    night = int(datetime(2026, 12, 1, 23, 59, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)
    record = rolled(rolled(NOTHING, 0, 0, night), 10, night + 1, night)
    record = move(record, "Etc/GMT+8", night + 2 * 60_000)  # it is still the 1st there
    assert record.calendar[3] == 0
    assert datetime.fromtimestamp(record.calendar[0] / 1000, UTC) == datetime(2026, 12, 3, 8, tzinfo=UTC)


def test_who_moves_in_the_last_minute_of_a_day_is_in_the_next_which_ends_no_sooner() -> None:
    night = BEGIN + DAY_MS - 30_000
    record = move(rolled(rolled(NOTHING, 0, 0, BEGIN), 10, night + 1, night), "Europe/Berlin", night)
    assert (record.zone, record.calendar[0], record.calendar[3]) == ("Europe/Berlin", BEGIN + 2 * DAY_MS, 0)
    sooner = move(rolled(NOTHING, 0, 0, BEGIN), "UTC", BEGIN + DAY_MS - 60_001)
    assert sooner.calendar[0] == BEGIN + DAY_MS


def test_a_raise_that_is_not_asked_for_again_within_a_week_is_forgotten() -> None:
    record = ask(ask(NOTHING, {"gifts.day": 10}, BEGIN), {"gifts.day": 20}, BEGIN)
    assert record.raises == (Raise(BEGIN + RAISE_AFTER, "gifts.day", 20),)
    open_until = BEGIN + RAISE_AFTER + RAISE_OPEN
    assert ask(record, {"gifts.day": 20}, open_until - 1).limits == {"day": 20}
    assert ask(record, {"gifts.day": 20}, open_until).limits == {"day": 10}


def test_what_was_spent_belongs_to_the_hour_in_which_it_was_looked_at_last() -> None:
    record = rolled(NOTHING, 0, 0, BEGIN)
    assert next_roll(record, BEGIN) == BEGIN + HOUR_MS
    later = rolled(record, 7, BEGIN + HOUR_MS, BEGIN + 5 * HOUR_MS)
    assert later.hours == ((BEGIN // HOUR_MS, 7),)
    assert spent_in(later, "d30", BEGIN) == later.calendar[3] == later.calendar[4] == later.calendar[5] == 7
    assert rolled(NOTHING, 7, BEGIN + 1, BEGIN + 1).hours == later.hours, "the hour had only begun"
    night = rolled(later, 1, BEGIN + DAY_MS, BEGIN + DAY_MS)
    assert night.calendar[3] == 0, "it was of the day before"
    assert night.calendar[5] == 8


def test_hours_are_kept_for_31_days_and_none_in_which_nothing_was_spent() -> None:
    record = rolled(NOTHING, 7, BEGIN + HOUR_MS, BEGIN)
    assert rolled(NOTHING, 0, BEGIN + HOUR_MS, BEGIN).hours == ()
    end = BEGIN + HOUR_MS + 31 * DAY_MS
    assert rolled(record, 0, 0, end - 1).hours == record.hours
    assert rolled(record, 0, 0, end).hours == ()


def test_a_record_is_looked_at_again_when_a_window_ends_also_within_an_hour() -> None:
    record = move(NOTHING, "Asia/Kolkata", BEGIN)
    evening = at("Asia/Kolkata", 2026, 12, 1, 23, 45)
    record = rolled(record, 0, 0, evening)
    assert next_roll(record, evening) == at("Asia/Kolkata", 2026, 12, 2)


def test_when_there_is_room_again_and_when_a_sum_gets_less() -> None:
    record = rolled(replace(NOTHING, limits={"h24": 10, "day": 30}), 0, 0, BEGIN)
    for hour, coins in ((0, 4), (2, 5)):
        record = rolled(record, coins, BEGIN + (hour + 1) * HOUR_MS, BEGIN + hour * HOUR_MS)
    now = BEGIN + 3 * HOUR_MS
    record = rolled(record, 0, 0, now)
    assert frees_at(record, "h24", now, 1) == now
    assert frees_at(record, "h24", now, 5) == falls_at(record, "h24", now) == BEGIN + 25 * HOUR_MS
    assert frees_at(record, "h24", now, 6) == BEGIN + 27 * HOUR_MS
    assert frees_at(record, "h24", now, 11) == 0
    assert frees_at(record, "day", now, 22) == falls_at(record, "day", now) == BEGIN + DAY_MS
    later = BEGIN + 25 * HOUR_MS
    assert falls_at(record, "h24", later - 1) == later
    assert falls_at(record, "h24", later) == BEGIN + 27 * HOUR_MS
    assert [spent_since(record, BEGIN + hour * HOUR_MS) for hour in (0, 1, 2, 3)] == [9, 5, 5, 0]
    assert falls_at(NOTHING, "h24", now) == falls_at(rolled(NOTHING, 0, 0, now), "week", now) == 0


def test_purchases_of_who_moves_stay_in_the_window_that_ran() -> None:
    """Bought at 23:00 in Berlin, where it is 7:00 of the next day in Seoul; then back."""
    record = replace(move(NOTHING, "Asia/Seoul", BEGIN), purchases={"day": 10}, asked=1)
    bought = [(at("Asia/Seoul", 2026, 12, 2, 7), 10)]
    now = at("Asia/Seoul", 2026, 12, 2, 8)
    record = move(record, "Europe/Berlin", now)
    midnight = at("Europe/Berlin", 2026, 12, 3)
    assert bought_in(record, "day", now, bought) == (10, midnight)
    for later in (at("Europe/Berlin", 2026, 12, 2, 0, 30), midnight - 1):
        assert purchase_refusal(record, later, 1, bought) is not None
    assert purchase_refusal(record, midnight, 10, bought) is None
    assert bought_in(record, "day", midnight, bought) == (0, 0)


def test_no_purchase_counts_in_two_days_after_a_move() -> None:
    """Seoul's day began before Berlin's, and was lengthened; what was bought in it is not of Berlin's next day."""
    now = at("Asia/Seoul", 2026, 12, 2, 8)
    record = replace(
        move(move(NOTHING, "Asia/Seoul", BEGIN), "Pacific/Kiritimati", now), purchases={"day": 10}, asked=1
    )
    end = at("Asia/Seoul", 2026, 12, 3)  # Kiritimati's day ended before
    bought = [(end - 1, 10)]
    assert purchase_refusal(record, end - 1, 1, bought) is not None
    assert purchase_refusal(record, end, 10, bought) is None


def test_of_two_limits_of_purchases_the_lower_one_counts() -> None:
    record = Protection(purchases={"d7": 10}, guard_purchases={"d7": 5}, asked=1)
    assert purchase_refusal(record, BEGIN, 5, []) is None
    assert purchase_refusal(record, BEGIN, 6, []) is not None
    edge = [(BEGIN - WIDTHS["d7"], 5), (BEGIN - WIDTHS["d7"] + 1, 1)]
    assert purchase_refusal(record, BEGIN, 4, edge) is None
    assert purchase_refusal(record, BEGIN, 5, edge) is not None


def test_who_asks_for_more_than_was_noted_waits_anew() -> None:
    noted = ask(ask(NOTHING, {"gifts.day": 10}, BEGIN), {"gifts.day": 20}, BEGIN)
    due = BEGIN + RAISE_AFTER
    for now in (BEGIN + 5, due):
        more = ask(noted, {"gifts.day": 30}, now)
        assert more.limits == {"day": 10}
        assert more.raises == (Raise(now + RAISE_AFTER, "gifts.day", 30),)
    less = ask(noted, {"gifts.day": 15}, BEGIN + 5)
    assert less.raises == (Raise(due, "gifts.day", 15),)
    assert ask(noted, {"gifts.day": UNLIMITED}, due).limits == {"day": 10}
