"""The ledger on a real Redis against its specification: every reply, balance, ranking and logged event is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import to_builtins
from msgspec.structs import replace as with_fields

from gifting import config, errors
from gifting.ledger.account import Frozen
from gifting.ledger.audit import audit
from gifting.ledger.commit import RawReply
from gifting.ledger.floors import HOLD_MAX
from gifting.ledger.ledger import Ledger
from gifting.ledger.status import Status
from gifting.model.catalog import Catalog, parse_catalog
from gifting.model.events import encode_event, encode_host
from gifting.model.house import PersonChange, RulesChange
from gifting.model.money import MAX_AMOUNT, make_key
from gifting.model.packing import unpack
from gifting.model.protection import WINDOWS, Protection, read_protection, write_protection
from gifting.model.pseudonym import profile, pseudonym
from gifting.model.terms import UNBOUND, Terms
from gifting.model.values import Outcome, Result, RoomRef
from gifting.model.windows import moved
from tests.support.emptied import empty
from tests.support.reference import Reference, Reply, Rules, Sent
from tests.support.reference_house import Person
from tests.support.reference_room import Logged
from tests.support.replies import script_replies

pytestmark = pytest.mark.slow

T = TypeVar("T")

CATALOG = parse_catalog(
    """
    [[gift]]
    id = "rose"
    name = "Rose"
    coins = 1
    tier = "small"
    [[gift]]
    id = "bear"
    name = "Bear"
    coins = 7
    tier = "small"
    [[gift]]
    id = "crown"
    name = "Crown"
    coins = 500
    tier = "epic"
    [[gift]]
    id = "moon"
    name = "Moon"
    coins = 1000000
    tier = "epic"
    """,
    "test",
)
RATES = ("1/2", "1/3", "7/3000", "900", "1000")
"""The last two reach the limits of a wallet and of one amount with the dearest gift."""

START = 1_700_000_000_000
WINDOW, LEAD, STREAK = 600_000, 60_000, 3_000
GRANT_WINDOW = 30 * 86_400_000
PASSES = (1, 700, STREAK, STREAK, STREAK + 1, STREAK + 1, 60_000, WINDOW, WINDOW + 1, 3_600_000, 86_400_000, -500)
STEPS = (-GRANT_WINDOW, -780_000, -WINDOW, -LEAD - 1, LEAD + 1, WINDOW, 780_000, GRANT_WINDOW, 400 * 86_400_000)
"""What a clock may jump by: 780 s is the window and more."""
KEY_AGES = (0, 0, 0, 0, 1, 59_999, WINDOW, WINDOW + 1, -LEAD, -LEAD - 1)
GRANT_AGES = (0, 0, 0, GRANT_WINDOW, GRANT_WINDOW + 1, -LEAD, -LEAD - 1)
AMOUNTS = st.one_of(st.integers(1, 3000), st.sampled_from([10**12, 2**52, MAX_AMOUNT - 1, MAX_AMOUNT]))
COUNTS = st.sampled_from([1, 1, 2, 3, 5, 9_999])
TERMS = st.sampled_from(
    [
        UNBOUND,
        UNBOUND,
        Terms(age=17, region="GB"),
        Terms(age=18, region="FR"),
        Terms(gift_cap=500, streak_cap=1_000),
        Terms(velocity_rate=3, velocity_burst=10),
        Terms(velocity_rate=1_000_000, velocity_burst=10**9),
        Terms(day_cap=2_000, month_cap=3_000),
        Terms(confirm_above=10, confirm_first=True),
        Terms(barred=Status.REGION_NOT_ALLOWED, min_age=18),
        Terms(barred=Status.AGE_REQUIRED, guarded=True),
    ]
)
SOME = st.sampled_from([3, 10, 20, 100, 501, 3_000, 10**9])
LIMITS: st.SearchStrategy[dict[str, int]] = st.dictionaries(st.sampled_from(WINDOWS), SOME, max_size=3)
CAPS = st.one_of(st.just((0, 0, 0)), st.tuples(*[st.sampled_from([0, 0, 5, 600])] * 3))
ZONES = st.sampled_from(["UTC", "UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"])
NOTHING_RULED = RulesChange(gifting=True, min_age=0, regions=[], max_gift=0, slow_mode=0)
RULES = st.sampled_from(
    [
        RulesChange(gifting=False),
        RulesChange(min_age=18),
        RulesChange(regions=["GB", "US"]),
        RulesChange(max_gift=7),
        RulesChange(slow_mode=3),
        RulesChange(slow_mode=60, max_gift=500),
    ]
)
CHANGES = st.builds(
    PersonChange,
    blocked=st.sampled_from([None, None, False, False, True]),
    mute=st.sampled_from([None, 0, 1, 3_000, 60_000]),
    moderator=st.sampled_from([None, False, True]),
)
GUARDIANS = st.sampled_from(["", "eve"])
PAUSES = st.sampled_from([-1, 0, 1, 60_000])
PURSES = (2_000, 10**12, 2_000, 10_000)


def public(user: str) -> dict[str, Any]:
    return {"id": user, "name": user.upper(), "picture": "", "level": 3}


class Unchecked(Ledger):
    """A ledger that starts with a rate too fine for its catalog, so that the script's own check is reached."""

    def check_rate(self, catalog: Catalog) -> None:
        pass


class LedgerMachine(RuleBasedStateMachine):
    """``groups`` are users who may share a batch: everybody, except where Redis Cluster keeps partitions apart."""

    url = ""
    audited = True
    partitions = 4
    groups: tuple[tuple[str, ...], ...] = (("ann", "bob", "cat", "dan", "eve"),)

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = START
        self.made = 0
        self.sent: list[tuple[str, Sent]] = []
        self.granted: list[tuple[str, str, int]] = []
        self.notes: list[tuple[int, dict[str, Any]]] = []
        self.run(empty(self.url))

    @initialize(rate=st.sampled_from(RATES))
    def begin(self, rate: str) -> None:
        self.settings = config.load(
            {"partitions": self.partitions, "diamonds_per_coin": rate, "like_interval": 0, "creator_rooms": 2},
            environ={},
        )
        self.start()
        rules = Rules(self.settings.diamond_rate(), creator_rooms=self.settings.creator_rooms)
        self.reference = Reference(rules, self.ledger.keys.base)
        for group in self.groups:
            host = group[0]
            self.open(f"{host}-live", host)
            for user, coins in zip(group[1:], PURSES, strict=False):
                self.grant_to(user, coins, self.key(0))

    def start(self) -> None:
        async def start() -> Ledger:
            ledger = Unchecked(self.url, self.settings, CATALOG, now=lambda: str(self.clock))
            await ledger.start()
            return ledger

        self.ledger = self.run(start())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def key(self, age: int) -> str:
        self.made += 1
        return make_key(self.clock - age, bytes(3) + self.made.to_bytes(7, "big"))

    def teardown(self) -> None:
        try:
            if hasattr(self, "ledger"):
                self.compare_all()
                self.run(self.ledger.stop())
        finally:
            self.runner.close()

    # What can happen.

    @rule(passes=st.sampled_from(PASSES))
    def time_passes(self, passes: int) -> None:
        self.clock += passes

    @rule(step=st.sampled_from(STEPS), data=st.data())
    def the_clock_steps(self, step: int, data: st.DataObject) -> None:
        """And back, or not; what was sent before is sent again in between."""
        self.clock += step
        self.send(data, 4)
        if data.draw(st.booleans()):
            self.clock -= step

    @rule()
    def forget(self) -> None:
        """As when a node believes the clock."""
        self.reference.forget(self.clock)
        self.run(self.ledger.upkeep.floors.raise_to(self.clock, held=HOLD_MAX))

    @rule(data=st.data(), coins=AMOUNTS, age=st.sampled_from(GRANT_AGES))
    def grant(self, data: st.DataObject, coins: int, age: int) -> None:
        user = data.draw(st.sampled_from([user for group in self.groups for user in group]))
        self.grant_to(user, coins, self.key(age))

    @precondition(lambda self: self.granted)
    @rule(data=st.data(), other=st.sampled_from([0, 0, 1]))
    def grant_again(self, data: st.DataObject, other: int) -> None:
        key, user, coins = data.draw(st.sampled_from(self.granted))
        self.grant_to(user, min(coins + other, MAX_AMOUNT), key)

    def grant_to(self, user: str, coins: int, key: str) -> None:
        self.granted.append((key, user, coins))
        expected = self.reference.grant(self.clock, user, coins, key, "bought")
        try:
            balance, duplicate = self.run(self.ledger.wallets.grant(user, coins, key, "bought", "operator"))
        except errors.GiftingError as error:
            assert error.code == expected.status
        else:
            assert (balance, duplicate, "ok") == (expected.coins, expected.how, expected.status)

    @rule(
        data=st.data(),
        limits=LIMITS,
        guard=LIMITS,
        caps=CAPS,
        guard_caps=CAPS,
        zone=ZONES,
        pause=PAUSES,
        guardian=GUARDIANS,
    )
    def protect(self, data: st.DataObject, zone: str, pause: int, **wanted: Any) -> None:
        """A user, or the guardian, sets something else. An old record is refused."""
        user = self.someone(data)
        record = read_protection(self.run(self.ledger.accounts.read(user)).record)
        record = with_fields(moved(record, zone, self.clock), until=self.clock + pause, **wanted)
        self.put(user, record)
        with pytest.raises(errors.Conflict):
            self.put(user, record)
        self.reference.accounts[user] = self.reference.account(user).put(record, self.clock)

    def put(self, user: str, record: Protection) -> None:
        self.run(self.ledger.accounts.put(user, write_protection(record), what="all", value="", by=user))

    def someone(self, data: st.DataObject) -> str:
        group = data.draw(st.sampled_from(self.groups))
        return data.draw(st.sampled_from((group[1],) * 4 + group))

    @rule(data=st.data(), why=st.sampled_from(list(Frozen)))
    def freeze(self, data: st.DataObject, why: Frozen) -> None:
        """And thaw after some gifts."""
        user = self.someone(data)
        for change in (self.ledger.accounts.freeze, self.ledger.accounts.thaw):
            self.run(change(user, why, what="frozen", value=str(why), by="operator"))
            account = self.reference.account(user)
            frozen = account.frozen ^ why
            self.reference.accounts[user] = replace(account, frozen=frozen)
            self.send(data, 4)

    @rule(data=st.data(), host_number=st.integers(0, 1), again=st.booleans())
    def open_room(self, data: st.DataObject, host_number: int, again: bool) -> None:
        host = data.draw(st.sampled_from(self.groups))[host_number]
        names = sorted(self.reference.rooms) if again else [f"{host}-live", f"{host}-live:log", f"{host}.2"]
        self.open(data.draw(st.sampled_from(names)), host)

    def open(self, room: str, host: str) -> None:
        expected = self.reference.open_room(room, {"id": host, "name": host.upper()}, "A title")
        try:
            ref = self.run(self.ledger.rooms.open(room, host, host.upper(), "A title"))
        except errors.GiftingError as error:
            assert error.code == expected
        else:
            assert expected == "ok"
            assert (ref.id, ref.host) == (room, host)

    @rule(data=st.data(), rules=RULES)
    def rule_room(self, data: st.DataObject, rules: RulesChange) -> None:
        """And let anybody in again after some gifts and comments."""
        name = data.draw(st.sampled_from(sorted(self.reference.rooms)))
        room = self.reference.rooms[name]
        for change in (rules, NOTHING_RULED):
            try:
                self.run(self.ledger.people.set_rules(self.run(self.ledger.rooms.find(name)), change))
            except errors.RoomEnded:
                assert not room.live
                return
            assert room.live
            house = room.house
            house.gifting = house.gifting if change.gifting is None else change.gifting
            house.min_age = house.min_age if change.min_age is None else change.min_age
            house.regions = house.regions if change.regions is None else change.regions
            house.max_gift = house.max_gift if change.max_gift is None else change.max_gift
            house.pause = house.pause if change.slow_mode is None else 1000 * change.slow_mode
            self.send(data, 8)

    @rule(data=st.data(), change=CHANGES)
    def decide(self, data: st.DataObject, change: PersonChange) -> None:
        """A host blocks or mutes somebody, or makes it a moderator."""
        group = data.draw(st.sampled_from(self.groups))
        name = data.draw(st.sampled_from(sorted(n for n, r in self.reference.rooms.items() if r.host["id"] in group)))
        host, user = self.reference.rooms[name].host["id"], data.draw(st.sampled_from((group[1],) * 4 + group))
        room = self.run(self.ledger.rooms.find(name))
        if user == host:
            with pytest.raises(errors.OwnRoom):
                self.run(self.ledger.people.decide(room, user, change))
            return
        shown = pseudonym(self.ledger.meta.salt, name, user)
        if shown in self.reference.rooms[name].users and data.draw(st.booleans()):
            known, user, change = f"~{user}", shown, change._replace(moderator=None)
        else:
            known = user
        person = self.reference.people[host].setdefault(known, Person())
        person.blocked = person.blocked if change.blocked is None else change.blocked
        person.moderator = (person.moderator if change.moderator is None else change.moderator) and not person.blocked
        person.muted_until = person.muted_until if change.mute is None else self.clock + change.mute
        found = self.run(self.ledger.people.decide(room, user, change))
        if person.muted_until <= self.clock:
            person.muted_until = 0  # forgotten, whatever the clock does next
        assert (found.blocked, found.muted_until) == (person.blocked, person.muted_until)
        assert found.moderator == person.moderator
        self.send(data, 4)

    def busy(self) -> list[str]:
        return sorted(name for name, room in self.reference.rooms.items() if len(room.log) >= 12)

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def end_room(self, data: st.DataObject) -> None:
        room = data.draw(st.sampled_from(self.busy()))
        self.reference.end_room(self.clock, room)
        self.run(self.ledger.rooms.end(self.run(self.ledger.rooms.find(room))))

    @rule(data=st.data(), size=st.sampled_from([1, 4, 8, 16]))
    def send(self, data: st.DataObject, size: int) -> None:
        """Gifts and comments of one call: new ones, repeated ones, and other ones under a used key."""
        group = data.draw(st.sampled_from(self.groups))
        batch = [self.draw_item(data, group) for _ in range(size)]
        expected = [self.expect(item) for item in batch]
        calls = self.ledger.batcher.counts.batches
        with script_replies() as said:
            outcomes = self.run(self.submit(batch))
        assert self.ledger.batcher.counts.batches == calls + 1
        assert list(map(as_reply, said)) == expected
        assert list(map(told, outcomes)) == list(map(told, expected))

    def draw_item(self, data: st.DataObject, group: tuple[str, ...]) -> tuple[str, Sent]:
        kind = data.draw(st.sampled_from(["new", "new", "new", "new", "again", "reused", "comment"]))
        used = [(key, sent) for key, sent in self.sent if sent.user["id"] in group]
        terms, confirmed = data.draw(TERMS), data.draw(st.sampled_from([False, True]))
        if kind == "again" and used:
            before, sent = data.draw(st.sampled_from(used[-8:]))
            return before, replace(sent, terms=terms, confirmed=confirmed)
        rooms = [name for name, room in self.reference.rooms.items() if room.host["id"] in group]
        name = data.draw(st.sampled_from(sorted(rooms)))
        host = self.reference.rooms[name].host["id"]
        if data.draw(st.integers(0, 30)) == 30:
            name, host = data.draw(st.sampled_from([("nowhere", host), (name, group[-1])]))
        user = data.draw(st.sampled_from((group[1],) * 4 + group))
        masked = data.draw(st.sampled_from([False, False, False, True])) and kind != "comment"
        sent = Sent(
            public(user),
            name,
            {"id": host, "name": host.upper()},
            CATALOG[data.draw(st.sampled_from(["rose", "rose", "rose", "rose", "bear", "crown", "moon"]))],
            data.draw(COUNTS),
            data.draw(st.sampled_from([None, "", "hi"])),
            profile(pseudonym(self.ledger.meta.salt, name, user)) if masked else None,
            terms,
            confirmed,
        )
        if kind == "comment":
            return "", sent
        key = data.draw(st.sampled_from(used))[0] if kind == "reused" and used else None
        self.sent.append((key or self.key(data.draw(st.sampled_from(KEY_AGES))), sent))
        return self.sent[-1]

    def expect(self, item: tuple[str, Sent]) -> Reply:
        key, sent = item
        if key:
            return self.reference.gift(self.clock, key, sent)
        event = {"type": "comment", "user": sent.user, "text": "hello"}
        return self.reference.comment(self.clock, sent.room, sent.host["id"], event, sent.terms.age)

    async def submit(self, batch: list[tuple[str, Sent]]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for key, sent in batch:
            if key:
                sender = self.ledger.gifts.sender(sent.user["id"], dict(sent.user), sent.terms)
                ref, message = self.ref(sent), sent.message
                sender = self.ledger.gifts.masked(sender, ref) if sent.shown else sender
                self.ledger.gifts.submit(
                    sender, ref, sent.gift.id, key, sent.count, message, outcomes.append, sent.confirmed
                )
            else:
                event = encode_event("comment", {"user": dict(sent.user), "text": "hello"})
                by: dict[str, Any] = {"user": sent.user["id"], "age": sent.terms.age, "spoken": True}
                self.ledger.free.post(self.ref(sent), event, outcomes.append, **by)
        await self.ledger.batcher.drain()
        return outcomes

    def ref(self, sent: Sent) -> RoomRef:
        host = sent.host["id"]
        return RoomRef(sent.room, host, self.ledger.keys.base(host), encode_host(sent.host))

    @rule(data=st.data(), counts=st.lists(st.integers(1, 9_999), min_size=1, max_size=4))
    def like(self, data: st.DataObject, counts: list[int]) -> None:
        name = data.draw(st.sampled_from(sorted(self.reference.rooms)))
        expected = self.reference.like(self.clock, name, self.reference.rooms[name].host["id"], sum(counts))

        async def like() -> list[Outcome]:
            room = await self.ledger.rooms.find(name)
            loop = asyncio.get_running_loop()
            waiting: list[asyncio.Future[Outcome]] = [loop.create_future() for _ in counts]
            for count, future in zip(counts, waiting, strict=True):
                self.ledger.free.like(room, count, future.set_result)
            return await asyncio.gather(*waiting)

        with script_replies() as said:
            outcomes = self.run(like())
        assert list(map(as_reply, said)) == [expected]
        assert list(map(told, outcomes)) == [told(expected)] * len(counts)

    @rule()
    def sweep(self) -> None:
        expected = self.reference.sweep(self.clock)
        ended, wait = self.run(self.ledger.sweeper.sweep())
        assert ended == expected
        due = [
            streak.last + STREAK + 1 - self.clock
            for room in self.reference.rooms.values()
            for streak in room.streaks.values()
        ]
        assert round(wait * 1000) == min([STREAK, *due])

    @rule()
    def forget_scripts(self) -> None:
        self.run(self.ledger.redis.script_flush())

    @rule(rate=st.sampled_from(RATES))
    def restart(self, rate: str) -> None:
        """A server that comes back with another rate."""
        self.run(self.ledger.meta.change("diamonds_per_coin", rate))
        self.run(self.ledger.stop())
        self.settings = replace(self.settings, diamonds_per_coin=rate)
        self.reference.rules = replace(self.reference.rules, rate=self.settings.diamond_rate())
        self.start()

    @rule(host=st.sampled_from(("ann", "bob", "cat", "dan", "eve")), commission=st.sampled_from((0, 1, 5000, 9999)))
    def take_commission(self, host: str, commission: int) -> None:
        """From the next gift on."""
        key = f"{self.ledger.keys.base(host)}:diamonds"
        self.run(self.ledger.redis.hset(key, f"{host}/bps", commission))
        self.reference.commissions[host] = commission

    # What must be the same.

    @rule()
    def compare(self) -> None:
        self.run(self.compare_books())

    def compare_all(self) -> None:
        self.run(self.compare_books())
        for name in self.reference.rooms:
            assert self.run(self.log(name)) == self.reference.rooms[name].log
        if self.audited:
            report = self.run(audit(self.ledger.redis, self.ledger.keys))
            assert report.clean, report.lines()

    async def compare_books(self) -> None:
        ledger, reference = self.ledger, self.reference
        for user in (user for group in self.groups for user in group):
            account, kept = reference.account(user), (await ledger.accounts.read(user)).account
            assert await ledger.wallets.read(user) == (account.coins, reference.diamonds[user])
            assert (kept.coins, kept.bonus, kept.debt) == (account.coins, account.bonus, account.debt)
            assert (kept.sent, kept.frozen, kept.since) == (account.sent, account.frozen, account.since)
            assert (kept.day, kept.month) == (account.spent("h24"), account.spent("d30"))
        for base in ledger.keys.bases:
            found = await ledger.redis.hgetall(f"{base}:totals")
            assert int(found.get(b"issued", 0)) == reference.issued[base]
            assert int(found.get(b"spent", 0)) == reference.spent[base]
            assert int(found.get(b"taken", 0)) == reference.taken[base]
            found = await ledger.redis.hgetall(f"{base}:diamonds")
            days = {name.decode(): int(value) for name, value in found.items() if name.rpartition(b"/")[2].isdigit()}
            earned = reference.days.items()
            assert days == {name: n for name, n in earned if ledger.keys.base(name.partition("/")[0]) == base}
        for name, room in reference.rooms.items():
            found = to_builtins(await ledger.rooms.snapshot(await ledger.rooms.find(name)))
            found["streaks"].sort(key=lambda event: event["seq"])
            expected = {
                "id": name,
                "state": "live" if room.live else "ended",
                "seq": len(room.log),
                "title": room.title,
                "host": room.host,
                "coins": room.coins,
                "diamonds": room.diamonds,
                "likes": room.likes,
                "top": room.top(10),
                "streaks": sorted(room.open_streaks(), key=lambda event: event["seq"]),
            }
            assert {field: found[field] for field in expected} == expected
            assert to_builtins(await ledger.rooms.top(await ledger.rooms.find(name), 2)) == room.top(2)

    async def log(self, name: str) -> list[Logged]:
        logged: list[Logged] = []
        async for batch in self.ledger.rooms.batches(await self.ledger.rooms.find(name), 0, page=3):
            for entry in batch.entries():
                event = unpack(batch.events[entry.start : entry.end])
                assert entry.seq == event["seq"]
                logged.append(Logged(event, entry.streak, entry.weight, entry.closes))
        return logged


def as_reply(said: RawReply) -> Reply:
    how, status, *numbers = said
    return Reply(how, Status(status).name.lower(), *numbers)


def told(outcome: Outcome | Reply) -> str | Result:
    """What a sender is told: the result, or the code of the error."""
    if isinstance(outcome, errors.GiftingError):
        return outcome.code
    if isinstance(outcome, Result):
        return outcome
    how, status, seq, coins, repeat_count, streak = outcome
    return Result(how == 1, seq, coins, repeat_count, streak, how if how > 1 else 0) if status == "ok" else status


SHRINKING = pytest.mark.timeout(400)
"""Passing takes seconds; making a failure small takes up to five minutes."""


def drive(machine: type[LedgerMachine], examples: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    how = settings(max_examples=examples, stateful_step_count=50, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(machine, settings=how)


@SHRINKING
@pytest.mark.one_redis("it counts on one call for each batch, and on one clock for all partitions")
def test_on_one_redis(redis_url: str) -> None:
    class Single(LedgerMachine):
        url = redis_url

    drive(Single, 100)


@SHRINKING
def test_on_a_cluster_where_one_partition_is_one_slot(cluster_redis_url: str) -> None:
    class OneSlot(LedgerMachine):
        url = cluster_redis_url
        partitions = 1

    drive(OneSlot, 40)


@SHRINKING
def test_on_a_cluster_where_sender_and_host_share_a_partition(cluster_redis_url: str) -> None:
    class Sharing(LedgerMachine):
        url = cluster_redis_url
        audited = False  # an audit reads all partitions in one transaction
        partitions = 16
        groups = neighbours(16, of=("ann", "bob"), each=4)

    drive(Sharing, 40)


def neighbours(partitions: int, of: tuple[str, ...], each: int) -> tuple[tuple[str, ...], ...]:
    """For each name, some names that share its partition."""
    from gifting.ledger.keys import Keys

    base = Keys("gifting", partitions).base
    crowd = [f"u{number}" for number in range(partitions * 20)]
    return tuple((name, *[other for other in crowd if base(other) == base(name)][: each - 1]) for name in of)


@pytest.mark.parametrize("partitions", [1, 16])
def test_neighbours_are_of_one_partition(partitions: int) -> None:
    for group in neighbours(partitions, of=("ann", "bob"), each=4):
        assert len(set(group)) == 4
