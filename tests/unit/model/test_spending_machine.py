"""No sequence of settings, moves and clock steps lets more through than was allowed: against a list of all that was."""

from collections.abc import Iterable
from datetime import date

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from msgspec.structs import replace

from gifting.errors import OnBreak, PurchaseLimit
from gifting.model.calendar import CALENDAR, DAY_MS, HOUR_MS, Calendar
from gifting.model.limits import NAMES, RAISE_AFTER, ask, ask_as_guardian, pause, values
from gifting.model.protection import (
    NOTHING,
    UNLIMITED,
    WIDTHS,
    WINDOWS,
    Protection,
    read_protection,
    write_protection,
)
from gifting.model.purchase_limits import move, purchase_refusal
from gifting.model.windows import frees_at, left, limit_of, next_roll, rolled, spent_in
from tests.unit.model.test_calendar import BEGIN, ZONES, after, local

amounts = st.integers(1, 40)
wishes = st.dictionaries(st.sampled_from(NAMES), st.one_of(st.integers(1, 80), st.just(UNLIMITED)))
steps = st.one_of(st.integers(0, HOUR_MS), st.integers(0, 26).map(lambda hours: hours * HOUR_MS))


class Window:
    """A running calendar window: a date, and the zones in which it was spent in. Over when it is over in all."""

    def __init__(self, kind: Calendar) -> None:
        self.kind = kind
        self.day = date.min
        self.zones: set[str] = set()
        self.spent = 0

    def look(self, zone: str, now: int) -> None:
        if all(local(one, now).date() >= after(self.kind, self.day) for one in self.zones):
            self.day, self.zones, self.spent = local(zone, now).date(), {zone}, 0


class Spending(RuleBasedStateMachine):
    """One user; ``gifts`` and ``orders`` are all that went through, with their times."""

    def __init__(self) -> None:
        super().__init__()
        self.record = NOTHING
        self.now = self.latest = BEGIN
        self.since = self.roll_at = self.left = 0
        self.gifts: list[tuple[int, int]] = []
        self.orders: list[tuple[int, int]] = []
        self.asked: list[tuple[int, str, int]] = []
        self.gift_windows = {kind: Window(kind) for kind in CALENDAR}
        self.order_windows = {kind: Window(kind) for kind in CALENDAR}

    @initialize(zone=st.sampled_from(ZONES), wanted=wishes)
    def begin(self, zone: str, wanted: dict[str, int]) -> None:
        self.record = move(self.record, zone, self.now)
        self.ask({"purchases.h24": UNLIMITED, **wanted})

    # As the ledger does it.

    def roll(self) -> None:
        if self.now >= self.roll_at:
            self.record = rolled(self.record, self.since, self.roll_at, self.now)
            self.since, self.roll_at, self.left = 0, next_roll(self.record, self.now), left(self.record, self.now)

    def put(self, record: Protection) -> None:
        """What was spent stays, and calendar windows end no sooner: ``account_put``."""
        old = rolled(self.record, self.since, self.roll_at, self.now)
        ends = map(max, old.calendar[:3], record.calendar[:3])
        record = replace(record, hours=old.hours, calendar=(*ends, *old.calendar[3:]))
        self.record = read_protection(write_protection(record))
        self.since = self.roll_at = 0

    # What may happen.

    @rule(wanted=wishes)
    def ask(self, wanted: dict[str, int]) -> None:
        before = values(self.record)
        self.put(ask(self.record, wanted, self.now))
        have = values(self.record)
        for what in NAMES:
            coins = have.get(what, UNLIMITED)
            assert coins <= before.get(what, UNLIMITED) or (self.asked_early(what, coins) and wanted[what] == coins)
            assert have.get(what, UNLIMITED) <= wanted.get(what, UNLIMITED) or wanted[what] > before[what]
        self.asked += [(self.now, what, coins) for what, coins in wanted.items()]

    def asked_early(self, what: str, coins: int) -> bool:
        return any(at <= self.now - RAISE_AFTER and one == what and once >= coins for at, one, once in self.asked)

    @rule(wanted=wishes)
    def guard(self, wanted: dict[str, int]) -> None:
        self.put(ask_as_guardian(self.record, wanted))

    @rule(zone=st.sampled_from(ZONES))
    def move(self, zone: str) -> None:
        for window in (*self.gift_windows.values(), *self.order_windows.values()):
            window.look(self.record.zone, self.now)
            window.zones.add(zone)
        self.put(move(self.record, zone, self.now))

    @rule(hours=st.integers(0, 100))
    def rest(self, hours: int) -> None:
        until = self.record.until
        self.put(pause(self.record, self.now + hours * HOUR_MS))
        assert self.record.until >= until

    @rule(step=steps)
    def wait(self, step: int) -> None:
        self.now += step
        self.latest = max(self.latest, self.now)

    @rule(days=st.integers(1, 31))
    def wait_long(self, days: int) -> None:
        self.wait(days * DAY_MS)

    @rule(step=steps)
    def clock_goes_back(self, step: int) -> None:
        assume(self.latest - (self.now - step) <= DAY_MS and self.now - step >= BEGIN)
        self.now -= step

    @rule(coins=amounts)
    def give(self, coins: int) -> None:
        self.roll()
        for window in self.gift_windows.values():
            window.look(self.record.zone, self.now)
        if self.now >= self.record.until and coins <= self.left - self.since:
            self.since += coins
            self.gifts.append((self.now, coins))
            self.check_gifts()

    def check_gifts(self) -> None:
        for name, width in WIDTHS.items():
            assert within(self.gifts, self.now - width) <= limit_of(self.record, name)
        for kind, window in self.gift_windows.items():
            window.spent += self.gifts[-1][1]
            assert window.spent <= limit_of(self.record, kind)

    @rule(coins=amounts)
    def buy(self, coins: int) -> None:
        for window in self.order_windows.values():
            window.look(self.record.zone, self.now)
        refused = purchase_refusal(self.record, self.now, coins, self.orders)
        if refused is None:
            self.orders.append((self.now, coins))
            self.check_orders(coins)
        elif isinstance(refused, PurchaseLimit) and refused.until:
            assert refused.until > self.now
            later = purchase_refusal(self.record, refused.until, coins, self.orders)
            assert not isinstance(later, PurchaseLimit) or later.until != refused.until
        else:
            assert isinstance(refused, OnBreak) or (isinstance(refused, PurchaseLimit) and coins > refused.cap)

    def check_orders(self, coins: int) -> None:
        limits = (self.record.purchases, self.record.guard_purchases)
        for name, width in WIDTHS.items():
            assert all(within(self.orders, self.now - width) <= one.get(name, UNLIMITED) for one in limits)
        for kind, window in self.order_windows.items():
            window.spent += coins
            assert all(window.spent <= one.get(kind, UNLIMITED) for one in limits)

    @rule(coins=amounts)
    def when_it_frees(self, coins: int) -> None:
        self.roll()
        record = rolled(self.record, self.since, self.roll_at, self.now)
        for window in WINDOWS:
            until = frees_at(record, window, self.now, coins)
            if until:
                later = rolled(record, 0, 0, until)
                assert spent_in(later, window, until) + coins <= limit_of(record, window)
            else:
                assert coins > limit_of(record, window)


def within(spent: Iterable[tuple[int, int]], since: int) -> int:
    """Coins spent after a moment; also those stamped ahead of now."""
    return sum(coins for at, coins in spent if at > since)


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
