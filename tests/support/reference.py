"""The ledger, specified: what its Lua scripts do, as plain Python over dictionaries.

Every call takes the time in ms and says what the script replies. A status is ``ok``, or the code of the error in
:mod:`gifting.errors` that a refusal becomes. The tests hold the ledger to this, reply by reply and event by event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NamedTuple

from gifting.model.catalog import Gift
from gifting.model.money import MAX_AMOUNT, diamonds_for, effective_rate, key_time, parse_key
from gifting.model.terms import UNBOUND, Terms
from tests.support.reference_account import Account, Refusal
from tests.support.reference_house import House, Person
from tests.support.reference_room import Event, Room, Streak, User


@dataclass(frozen=True)
class Rules:
    """Times in ms; ``rate`` is milli-diamonds per coin as (numerator, denominator)."""

    rate: tuple[int, int]
    dedupe_window: int = 600_000
    grant_window: int = 30 * 86_400_000
    key_lead: int = 60_000
    streak_window: int = 3_000
    creator_rooms: int = 10

    def window(self, kind: str) -> int:
        return self.grant_window if kind == "grant" else self.dedupe_window


BUCKETS = {"gift": 60_000, "grant": 86_400_000}
"""What is forgotten at once, in ms of the keys' own times."""


@dataclass(frozen=True)
class Sent:
    """A gift on its way; ``shown`` is what the room sees of a user who sends anonymously. ``terms`` and ``confirmed``
    are no part of what it is.
    """

    user: User
    room: str
    host: User
    gift: Gift
    count: int
    message: str | None
    shown: User | None = None
    terms: Terms = UNBOUND
    confirmed: bool = False

    @property
    def seen(self) -> User:
        return self.shown or self.user


class Reply(NamedTuple):
    """What a key's first use is told (``how`` 0, or the share of a limit that it passed), and every later one (1).
    ``seq``, of a refusal, is what ends it; ``streak`` is its first event's seq.
    """

    how: int
    status: str
    seq: int = 0
    coins: int = 0
    repeat_count: int = 0
    streak: int = 0


class Reference:
    """All balances and rooms. ``partition`` of a user: within it keys are unique and issued coins are summed.

    A key is judged in this order: below the floor it has expired; what is stored under it is told again; then its time
    must be within the window and the lead. So, whatever the clock does, what was used or has expired stays so.
    """

    def __init__(self, rules: Rules, partition: Callable[[str], Hashable] = lambda user: 0) -> None:
        self.rules = rules
        self.partition = partition
        self.accounts: dict[str, Account] = {}
        self.diamonds: Counter[str] = Counter()
        self.carry: Counter[tuple[str, int]] = Counter()
        self.days: Counter[str] = Counter()
        self.commissions: Counter[str] = Counter()
        self.issued: Counter[Hashable] = Counter()
        self.spent: Counter[Hashable] = Counter()
        self.taken: Counter[Hashable] = Counter()
        self.rooms: dict[str, Room] = {}
        self.people: dict[str, dict[str, Person]] = {}
        self._keys: dict[Hashable, tuple[Hashable, Reply]] = {}
        self._floors: Counter[str] = Counter()

    def forget(self, now: int) -> None:
        """What no window reaches any more is forgotten, and refused for ever."""
        for kind, width in BUCKETS.items():
            floor = (now - self.rules.window(kind)) // width * width
            self._floors[kind] = max(self._floors[kind], floor)

    def account(self, user: str) -> Account:
        return self.accounts.get(user, Account())

    def grant(self, now: int, user: str, coins: int, key: str, reason: str) -> Reply:
        def run() -> Reply:
            account = self.account(user)
            if max(account.coins, self.issued[home]) + coins > MAX_AMOUNT:
                return Reply(0, "wallet_full", coins=account.coins)
            self.accounts[user] = account.issue(coins)
            self.issued[home] += coins
            self.taken[home] += min(account.debt, coins)
            return Reply(0, "ok", coins=self.account(user).coins)

        home = self.partition(user)
        return self._once(now, ("grant", home, key), (user, coins, reason), run)

    def gift(self, now: int, key: str, sent: Sent) -> Reply:
        user = sent.user["id"]
        content = (user, sent.room, sent.gift.id, sent.count, sent.message or "", sent.seen["id"])
        name = ("gift", self.partition(user), key)
        return self._once(now, name, content, lambda: self._gift(now, sent))

    def _once(self, now: int, name: tuple[str, Hashable, str], content: Hashable, run: Callable[[], Reply]) -> Reply:
        kind, _, key = name
        made = key_time(parse_key(key))
        if made < self._floors[kind]:
            return Reply(0, "key_expired")
        if name in self._keys:
            kept, reply = self._keys[name]
            return reply._replace(how=1) if kept == content else Reply(0, "key_reused")
        if made - now > self.rules.key_lead:
            return Reply(0, "key_in_future")
        expired = now - made > self.rules.window(kind)
        reply = Reply(0, "key_expired") if expired else run()
        if reply.status != "confirm_required":
            self._keys[name] = (content, reply)
        return reply

    def _gift(self, now: int, sent: Sent) -> Reply:
        user, host, coins = sent.user["id"], sent.host["id"], sent.gift.coins * sent.count
        rate = effective_rate(self.rules.rate, self.commissions[host])
        carrying = (host, rate[1])
        diamonds, carry = diamonds_for(coins, rate, self.carry[carrying])
        before = self.account(user).rolled(now)
        if refused := self._refusal(now, sent, before, coins, diamonds):
            return Reply(0, refused[0], refused[1], before.coins)
        room = self.rooms[sent.room]
        self.accounts[user] = before.take(coins, sent.terms, now, self.rules.streak_window)
        self.spent[self.partition(user)] += coins
        self.diamonds[host] += diamonds
        self.days[f"{host}/{now // 86_400_000}"] += diamonds
        self.carry[carrying] = carry
        room.coins += coins
        room.diamonds += diamonds
        room.spent[sent.seen["id"]] += coins
        room.users.setdefault(sent.seen["id"], sent.seen)
        notice = self.accounts[user].notice(before)
        return self._log(now, room, sent, coins, diamonds)._replace(how=notice)

    def _refusal(self, now: int, sent: Sent, account: Account, coins: int, diamonds: int) -> Refusal | None:
        host, (numerator, denominator) = sent.host["id"], self.rules.rate
        if coins * numerator + denominator > MAX_AMOUNT:
            return "bad_amount", 0
        if closed := self._closed(sent.room, host):
            return closed, 0
        if sent.user["id"] == host:
            return "own_room", 0
        asked = sent.user["id"], sent.terms.age, sent.terms.region, coins, sent.message, sent.shown is not None
        if unwanted := self.rooms[sent.room].house.no_gift(now, *asked):
            return unwanted
        if refused := account.refusal(coins, sent.terms, now, self.rules.streak_window):
            return refused
        numerator, denominator = effective_rate(self.rules.rate, self.commissions[host])
        if coins * numerator + denominator > MAX_AMOUNT:
            return "bad_amount", 0
        if max(self.diamonds[host] + diamonds, self.rooms[sent.room].coins + coins) > MAX_AMOUNT:
            return "wallet_full", 0
        return None if sent.confirmed else account.unasked(coins, sent.terms)

    def _closed(self, name: str, host: str) -> str | None:
        room = self.rooms.get(name)
        if room is None or room.host["id"] != host:
            return "room_not_found"
        return None if room.live else "room_ended"

    def _log(self, now: int, room: Room, sent: Sent, coins: int, diamonds: int) -> Reply:
        name = (sent.seen["id"], sent.gift.id)
        if name in room.streaks and now - room.streaks[name].last > self.rules.streak_window:
            room.finish(now, name)
        static = {"type": "gift", "user": sent.seen, "to_user": sent.host, "gift": sent.gift.public()}
        streak = room.streaks.get(name) or Streak(static, len(room.log) + 1, now)
        streak.repeats += sent.count
        streak.coins += coins
        streak.last = max(streak.last, now)
        ends = not sent.gift.streakable
        if not ends:
            room.streaks[name] = streak
        event = room.event(streak, ends, sent.count, coins, diamonds) | static | {"message": sent.message}
        seq = room.append(now, event, streak.first, streak.coins, ends)
        return Reply(0, "ok", seq, self.account(sent.user["id"]).coins, streak.repeats, streak.first)

    def comment(self, now: int, name: str, host: str, event: Event, age: int) -> Reply:
        """By whom the event says, if the room's host lets it."""
        house, user = self.rooms[name].house if name in self.rooms else None, event["user"]["id"]
        if house and not self._closed(name, host):
            if refused := house.no_comment(now, user, age):
                return Reply(0, refused[0], refused[1])
            house.comment(now, user)
        return self.post(now, name, host, event)

    def post(self, now: int, name: str, host: str, event: Event) -> Reply:
        """A free event: it needs an open room, and no key."""
        if closed := self._closed(name, host):
            return Reply(0, closed)
        return Reply(0, "ok", self.rooms[name].append(now, event))

    def like(self, now: int, name: str, host: str, count: int) -> Reply:
        if closed := self._closed(name, host):
            return Reply(0, closed)
        room = self.rooms[name]
        room.likes = min(room.likes + count, MAX_AMOUNT)
        return self.post(now, name, host, {"type": "like", "count": count, "total": room.likes})

    def open_room(self, name: str, host: User, title: str) -> str:
        if name not in self.rooms:
            hosted = (room for room in self.rooms.values() if room.live and room.host["id"] == host["id"])
            if sum(1 for _ in hosted) >= self.rules.creator_rooms:
                return "too_many_live_rooms"
        people = self.people.setdefault(host["id"], {})
        room = self.rooms.setdefault(name, Room(name, host, title, House(host["id"], people)))
        if room.host["id"] != host["id"]:
            return "room_taken"
        return "ok" if room.live else "room_ended"

    def end_room(self, now: int, name: str) -> None:
        """Its streaks end, the oldest first; then it does. Again changes nothing."""
        room = self.rooms[name]
        if room.live:
            for streak in sorted(room.streaks, key=lambda streak: room.streaks[streak].first):
                room.finish(now, streak)
            room.append(now, {"type": "stream_end"})
            room.live = False

    def sweep(self, now: int) -> int:
        """Ends the streaks whose window has passed, the longest idle first. How many."""
        open_streaks = [(room, name) for room in self.rooms.values() for name in room.streaks]
        due = [pair for pair in open_streaks if now - pair[0].streaks[pair[1]].last > self.rules.streak_window]
        for room, name in sorted(due, key=lambda pair: (pair[0].streaks[pair[1]].last, pair[1])):
            room.finish(now, name)
        return len(due)
