"""The audit: rebuilds every balance from the ledger stream and holds it, and the room logs, against what Redis says.

Live or stopped: one MULTI/EXEC takes a consistent cut of all balances and of where each stream ends; the streams are
then read up to there, in pages. The cut holds Redis for as long as it takes to copy all balances; memory grows with the
number of gifts (about 200 bytes each).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Credit, Debit, Grant, read_ledger
from gifting.ledger.keys import Keys
from gifting.model.economy import MAX_AMOUNT, diamonds_for
from gifting.wire.batch import RoomBatch, read_batches
from gifting.wire.codec import unpack

PROBLEMS_MAX = 100
"""Discrepancies that are named; the rest is only counted."""

PAGE = 500


@dataclass
class AuditReport:
    """What was looked at, and what did not hold: (name, sentence)."""

    grants: int = 0
    gifts: int = 0
    events: int = 0
    rooms: int = 0
    total: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.total

    def found(self, name: str, sentence: str) -> None:
        self.total += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append((name, sentence))

    def differ(self, name: str, what: str, expected: dict[Any, int], actual: dict[Any, int]) -> None:
        """Compare two books; a missing entry is 0."""
        for key in expected.keys() | actual.keys():
            if expected.get(key, 0) != actual.get(key, 0):
                self.found(name, f"{what} of {key}: the ledger says {expected.get(key, 0)}, Redis {actual.get(key, 0)}")

    def lines(self) -> list[str]:
        lines = [f"{self.grants} grants, {self.gifts} gifts, {self.rooms} rooms, {self.events} logged events"]
        lines += [f"{name}: {sentence}" for name, sentence in self.problems]
        return [*lines, "clean" if self.clean else f"{self.total} discrepancies"]


@dataclass
class Cut:
    """All balances at one moment, and where each stream ended then."""

    coins: dict[str, int]
    diamonds: dict[str, int]
    carry: dict[str, int]
    totals: dict[str, int]
    ledger_ends: dict[str, str]
    rooms: dict[tuple[str, str], dict[str, str]]
    tops: dict[tuple[str, str], dict[str, int]]


class _Books:
    """What the ledger streams say."""

    def __init__(self, report: AuditReport) -> None:
        self._report = report
        self.coins: Counter[str] = Counter()
        self.diamonds: Counter[str] = Counter()
        self.carry: dict[str, int] = {}
        self.totals: Counter[str] = Counter()
        self.debits: dict[bytes, tuple[str, str, str, int]] = {}
        self.credits: dict[str, dict[int, Credit]] = {}
        self.grants: set[bytes] = set()
        self._credited: set[bytes] = set()

    def enter(self, entry: Grant | Debit | Credit) -> None:
        if isinstance(entry, Grant):
            self._grant(entry)
        elif isinstance(entry, Debit):
            self._debit(entry)
        else:
            self._credit(entry)

    def _grant(self, entry: Grant) -> None:
        self._report.grants += 1
        if entry.key in self.grants:
            self._report.found("key_twice", f"grant {entry.key.hex()} of {entry.user}")
        self.grants.add(entry.key)
        self.coins[entry.user] += entry.coins
        self.totals["issued"] += entry.coins

    def _debit(self, entry: Debit) -> None:
        self._report.gifts += 1
        if entry.key in self.debits:
            self._report.found("key_twice", f"gift {entry.key.hex()} of {entry.user}")
        self.debits[entry.key] = (entry.user, entry.room, entry.host, entry.coins)
        self.coins[entry.user] -= entry.coins
        self.totals["spent"] += entry.coins
        if self.coins[entry.user] < 0:
            self._report.found("negative_balance", f"{entry.user} after gift {entry.key.hex()}")

    def _credit(self, entry: Credit) -> None:
        if entry.key in self._credited:
            self._report.found("key_twice", f"credit {entry.key.hex()} of {entry.host}")
        self._credited.add(entry.key)
        carry_of = f"{entry.host}/{entry.denominator}"
        rate = (entry.numerator, entry.denominator)
        diamonds, self.carry[carry_of] = diamonds_for(entry.coins, rate, self.carry.get(carry_of, 0))
        if diamonds != entry.diamonds:
            self._report.found("diamonds_wrong", f"gift {entry.key.hex()}: {entry.diamonds}, not {diamonds}")
        self.diamonds[entry.host] += entry.diamonds
        self.credits.setdefault(entry.room, {})[entry.seq] = entry

    def match(self) -> None:
        """Every debit has its credit, and every credit its debit."""
        for credit in (one for room in self.credits.values() for one in room.values()):
            if self.debits.get(credit.key) != (credit.user, credit.room, credit.host, credit.coins):
                self._report.found("credit_without_debit", f"{credit.room}, seq {credit.seq}")
        for key in self.debits.keys() - self._credited:
            self._report.found("debit_without_credit", f"gift {key.hex()}")


async def audit(redis: BinaryRedis, keys: Keys) -> AuditReport:
    """Check everything that must always hold; the report names what does not."""
    report = AuditReport()
    cut = await _cut(redis, keys)
    books = _Books(report)
    for base, end in cut.ledger_ends.items():
        async for entry in read_ledger(redis, base, end):
            books.enter(entry)
    books.match()
    _compare(report, books, cut)
    for (base, room), state in cut.rooms.items():
        await _audit_room(
            redis, f"{base}:room:{room}", state, cut.tops[base, room], books.credits.get(room, {}), report
        )
    return report


async def _cut(redis: BinaryRedis, keys: Keys) -> Cut:
    names = [(keys.base(host.decode()), room.decode()) for base in keys.bases
             for room, host in (await redis.hgetall(f"{base}:directory")).items()]  # fmt: skip
    pipe = redis.pipeline(transaction=True)
    for base in keys.bases:
        for part in ("coins", "diamonds", "carry", "totals"):
            pipe.hgetall(f"{base}:{part}")
        pipe.xrevrange(f"{base}:ledger", count=1)
    for base, room in names:
        pipe.hgetall(f"{base}:room:{room}")
        pipe.zrange(f"{base}:room:{room}:top", 0, -1, withscores=True)
    found = iter(await pipe.execute())
    cut = Cut({}, {}, {}, {}, {}, {}, {})
    for base in keys.bases:
        for book in (cut.coins, cut.diamonds, cut.carry):
            book.update((key.decode(), int(value)) for key, value in next(found).items())
        for key, value in next(found).items():
            cut.totals[key.decode()] = cut.totals.get(key.decode(), 0) + int(value)
        if last := next(found):
            cut.ledger_ends[base] = last[0][0].decode()
    for name in names:
        state = {key.decode(): value.decode() for key, value in next(found).items()}
        top = {member.decode(): int(score) for member, score in next(found)}
        if state:
            cut.rooms[name], cut.tops[name] = state, top
    return cut


def _compare(report: AuditReport, books: _Books, cut: Cut) -> None:
    report.differ("balance_differs", "coins", books.coins, cut.coins)
    report.differ("diamonds_differ", "milli-diamonds", books.diamonds, cut.diamonds)
    report.differ("carry_differs", "remainder", books.carry, cut.carry)
    report.differ("totals_differ", "coins", books.totals, cut.totals)
    issued, spent = cut.totals.get("issued", 0), cut.totals.get("spent", 0)
    if issued != sum(cut.coins.values()) + spent:
        report.found("conservation_broken", f"{issued} issued, {spent} spent, {sum(cut.coins.values())} in wallets")
    for user, balance in [*cut.coins.items(), *cut.diamonds.items()]:
        if not 0 <= balance <= MAX_AMOUNT:
            report.found("balance_out_of_range", f"{user}: {balance}")


async def _audit_room(
    redis: BinaryRedis,
    key: str,
    state: dict[str, str],
    top: dict[str, int],
    credits: dict[int, Credit],
    report: AuditReport,
) -> None:
    report.rooms += 1
    room, seq = key.rpartition(":room:")[2], int(state["seq"])
    for name in ("coins", "diamonds"):
        expected = sum(getattr(credit, name) for credit in credits.values())
        if expected != int(state[name]):
            report.found("room_totals_differ", f"{room}: {name} {state[name]}, credited {expected}")
    if state["state"] == "ended" and not await redis.exists(f"{key}:log"):
        return  # kept for room_retention only
    ranked: Counter[str] = Counter()
    for credit in credits.values():
        ranked[credit.user] += credit.coins
    report.differ("ranking_differs", f"coins in {room}", ranked, top)
    await _audit_log(redis, key, seq, credits, report)


async def _audit_log(redis: BinaryRedis, key: str, last: int, credits: dict[int, Credit], report: AuditReport) -> None:
    room, expected, first = key.rpartition(":room:")[2], None, 0
    start, ended = "-", set[str]()
    gifts: set[int] = set()
    while page := await redis.xrange(f"{key}:log", min=start, max=f"{last}-18446744073709551615", count=PAGE):
        for item_id, fields in page:
            start = f"({item_id.decode()}"
            for batch in read_batches(fields[b"b"]):
                if expected is not None and batch.first != expected:
                    report.found("room_seq_gap", f"{room}: {batch.first} follows {expected - 1}")
                first = first or batch.first
                expected = batch.last + 1
                _audit_batch(batch, credits, gifts, ended, report)
    if last and expected != last + 1:
        report.found("room_seq_differs", f"{room}: the room is at {last}, its log ends at {(expected or 1) - 1}")
    for seq in credits.keys() - gifts:
        if seq >= first > 0:
            report.found("credit_without_event", f"{room}, seq {seq}")


def _audit_batch(
    batch: RoomBatch, credits: dict[int, Credit], gifts: set[int], ended: set[str], report: AuditReport
) -> None:
    for entry in batch.entries():
        report.events += 1
        event = unpack(batch.events[entry.start : entry.end])
        if event["seq"] != entry.seq or event["id"] != f"{batch.room}.{entry.seq}":
            report.found("log_entry_broken", f"{batch.room}, seq {entry.seq} says {event['seq']}")
        if event["type"] != "gift":
            continue
        if event["streak_id"] in ended:
            report.found("streak_ended_twice", f"{event['streak_id']} at seq {entry.seq}")
        if event["repeat_end"]:
            ended.add(event["streak_id"])
        if event["count"]:
            gifts.add(entry.seq)
            credit = credits.get(entry.seq)
            if credit is None or (credit.coins, credit.diamonds, credit.user) != (
                event["coins"], event["diamonds"], event["user"]["id"],
            ):  # fmt: skip
                report.found("event_without_credit", f"{batch.room}, seq {entry.seq}")
