"""The books as the ledger streams say they must be."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, assert_never

from msgspec.structs import replace

from gifting.ledger.audit import about
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import AccountChange, Credit, Debit, Entry, Grant, Purchase, Reversal, owner
from gifting.ledger.keys import Keys
from gifting.model.money import diamonds_for

UNKNOWN: Final = 0
"""Digest of a credit whose gift is not known."""

DEBITED, CREDITED, GRANTED, GIFT_KEPT, GRANT_KEPT, PURCHASED, REVERSED = 1, 2, 4, 8, 16, 32, 64
"""What the books know of a key."""


def gift_digest(user: str, gift: str, gifts: int, coins: int, diamonds: int) -> int:
    """What an event and its debit and credit must agree on, in 8 bytes; of this process only."""
    return hash((user, gift, gifts, coins, diamonds)) or 1


class RoomBook:
    """The credits of one room: their seqs, which ascend, and digests; and their sums."""

    __slots__ = ("coins", "diamonds", "digests", "host", "ranked", "seqs")

    def __init__(self, host: str) -> None:
        self.host = host
        self.seqs = array("Q")
        self.digests = array("q")
        self.coins = 0
        self.diamonds = 0
        self.ranked: Counter[str] = Counter()


class Movement(NamedTuple):
    """What was issued for an order: coins, and the paid coins that its user had been issued before."""

    paid: int
    bonus: int
    before: int


@dataclass(slots=True)
class OrderBook:
    """What the entries tell of an order: what was issued, at last, and the coins taken back, debt included.

    Of an order that is issued twice the second has more paid coins before it, so it is not what the order says.
    """

    user: str
    issued: Movement | None = None
    taken: int = 0

    def add(self, moved: Movement | int) -> None:
        if isinstance(moved, int):
            self.taken += moved
        else:
            self.issued = moved


class Books:
    """Enter all entries, each partition's in order, then :meth:`close`: the balances must be ``balances``.

    What an entry with a problem should have been is entered, or nothing if its key came before: one wrong entry is one
    problem, unless the balances were wrong too.
    """

    def __init__(self, keys: Keys, findings: Findings) -> None:
        self._keys = keys
        self._numbers = {base: bytes((number,)) for number, base in enumerate(keys.bases)}
        self._findings = findings
        self.balances = Balances()
        self._overdrawn: set[str] = set()
        self._known: dict[bytes, int] = {}
        self._debits: dict[bytes, Debit] = {}
        self._credits: dict[bytes, tuple[Credit, int]] = {}
        self.rooms: dict[str, RoomBook] = {}
        self.orders: dict[str, OrderBook] = {}

    def enter(self, base: str, entry: Entry) -> None:
        name = owner(entry)
        if self._keys.base(name) != base:
            self._findings.found(
                "wrong_partition",
                f"{base}:ledger has an entry of {name}, which belongs elsewhere.",
                about.stream(base),
            )
        match entry:
            case Grant():
                self._grant(base, entry)
            case Purchase():
                self._purchase(base, entry)
            case Reversal():
                self._reversal(base, entry)
            case Debit():
                self._debit(base, entry)
            case Credit():
                self._credit(entry)
            case AccountChange():
                pass
            case _:
                assert_never(entry)

    def _grant(self, base: str, grant: Grant) -> None:
        key = grant.key + self._numbers[base]
        if not self._first(key, GRANTED):
            self._twice(base, grant, f"Grant {grant.key.hex()} of {grant.user} is entered again.", _paid(base, grant))
            return
        self._findings.grants += 1
        self.balances.issue(base, grant.user, 0, grant.coins)

    def _purchase(self, base: str, purchase: Purchase) -> None:
        before = self.balances.purchased[purchase.user]
        if not self._enter_order(base, purchase, PURCHASED, Movement(purchase.paid, purchase.bonus, before)):
            return
        settled = self.balances.issue(base, purchase.user, purchase.paid, purchase.bonus)
        if settled != purchase.settled:
            self._debt_wrong(base, purchase, f"it settled {purchase.settled} of {settled} coins of debt")

    def _reversal(self, base: str, reversal: Reversal) -> None:
        paid, bonus, debt = reversal.paid, reversal.bonus, reversal.debt
        if not self._enter_order(base, reversal, REVERSED, paid + bonus + debt):
            return
        balances, user = self.balances, reversal.user
        balances.take_back(base, user, paid, bonus, debt)
        if told := balances.wrong(user):
            self._debt_wrong(base, reversal, f"it leaves {told}")
        elif debt > 0 and balances.coins[user] > balances.bonus[user]:
            self._debt_wrong(base, reversal, f"{debt} coins became debt, and there were some to take")
        elif min(paid, bonus) < 0 and balances.debt[user]:
            self._debt_wrong(base, reversal, f"coins were given back, and {balances.debt[user]} of debt left")

    def _enter_order(self, base: str, entry: Purchase | Reversal, side: int, moved: Movement | int) -> bool:
        """Whether the key is new; then what an order's coins did is noted."""
        if not self._first(entry.key + self._numbers[base], side):
            sentence = f"{entry.key.hex()} of order {entry.order} of {entry.user} is entered again."
            self._twice(base, entry, sentence, (*_paid(base, entry), about.order(entry.order)))
            return False
        self.orders.setdefault(entry.order, OrderBook(entry.user)).add(moved)
        return True

    def _debt_wrong(self, base: str, entry: Purchase | Reversal, what: str) -> None:
        sentence = f"Order {entry.order} of {entry.user}: {what}."
        tags = (about.order(entry.order), about.stream(base))
        self._findings.found("debt_wrong", sentence, *tags, shakes=_paid(base, entry))

    def _debit(self, base: str, debit: Debit) -> None:
        key = debit.key + self._numbers[base]
        if not self._first(key, DEBITED):
            self._twice(base, debit, f"Gift {debit.key.hex()} of {debit.user} is debited again.", _paid(base, debit))
            return
        self._findings.gifts += 1
        self._take(base, debit)
        if debit.coins % debit.gifts:
            self._findings.found(
                "price_wrong",
                f"Gift {debit.key.hex()} of {debit.user}: {debit.coins} coins for {debit.gifts}.",
                about.gift(base, debit.key),
            )
        if key in self._credits:
            self._match(base, debit, *self._credits.pop(key))
        else:
            self._debits[key] = debit

    def _take(self, base: str, debit: Debit) -> None:
        """From the sender's wallet; the first time that it had too little is told."""
        user = debit.user
        left = self.balances.spend(base, user, debit.coins)
        if left < 0 and user not in self._overdrawn:
            self._overdrawn.add(user)
            sentence = f"{user} had {-left} coins too few for gift {debit.key.hex()}."
            self._findings.found("negative_balance", sentence, about.wallet(user))

    def _credit(self, credit: Credit) -> None:
        base = self._keys.base(credit.user)
        key = credit.key + self._numbers[base]
        if not self._first(key, CREDITED):
            sentence = f"Gift {credit.key.hex()} is credited to {credit.host} again."
            self._twice(base, credit, sentence, _earned(credit))
            return
        credit = replace(credit, diamonds=self._earn(credit))
        place = self._enter_room(credit)
        if key in self._debits:
            self._match(base, self._debits.pop(key), credit, place)
        else:
            self._credits[key] = credit, place

    def _first(self, key: bytes, side: int) -> bool:
        before = self._known.get(key, 0)
        self._known[key] = before | side
        return not before & side

    def keep(self, base: str, key: bytes, entered: int, kept: int) -> int:
        """Note that a key is kept, if it was entered; returns what the books know of it."""
        key += self._numbers[base]
        known = self._known.get(key, 0)
        if known & entered:
            self._known[key] = known | kept
        return known

    def unkept(self, entered: int, kept: int) -> Iterator[tuple[str, bytes]]:
        """The keys that were entered and are not kept, each with its partition."""
        for key, known in self._known.items():
            if known & (entered | kept) == entered:
                yield self._keys.bases[key[-1]], key[:-1]

    def _twice(self, base: str, entry: Entry, sentence: str, shakes: Iterable[str]) -> None:
        self._findings.found("key_twice", sentence, about.gift(base, entry.key), shakes=shakes)

    def _earn(self, credit: Credit) -> int:
        carry, account = self.balances.carry, f"{credit.host}/{credit.denominator}"
        rate = (credit.numerator, credit.denominator)
        diamonds, carry[account] = diamonds_for(credit.coins, rate, carry[account])
        if diamonds != credit.diamonds:
            self._findings.found(
                "diamonds_wrong",
                f"Gift {credit.key.hex()} earned {credit.host} {credit.diamonds}, not {diamonds}.",
                about.gift(self._keys.base(credit.user), credit.key),
                about.earnings(credit.host),  # a remainder before it may be what is wrong
                shakes=_earned(credit),
            )
        self.balances.diamonds[credit.host] += diamonds
        return diamonds

    def _enter_room(self, credit: Credit) -> int:
        """Returns the credit's place in its room's book, or -1 if it has none."""
        book = self.rooms.get(credit.room)
        if book is None:
            book = self.rooms[credit.room] = RoomBook(credit.host)
        book.coins += credit.coins
        book.diamonds += credit.diamonds
        book.ranked[credit.user] += credit.coins
        if book.seqs and credit.seq <= book.seqs[-1]:
            self._findings.found(
                "credit_out_of_order",
                f"{credit.room}: seq {credit.seq} is credited after {book.seqs[-1]}.",
                about.event(credit.room, credit.seq),
                shakes=_earned(credit),
            )
            return -1
        book.seqs.append(credit.seq)
        book.digests.append(UNKNOWN)
        return len(book.seqs) - 1

    def _match(self, base: str, debit: Debit, credit: Credit, place: int) -> None:
        paid = (debit.user, debit.room, debit.host, debit.coins)
        earned = (credit.user, credit.room, credit.host, credit.coins)
        if paid != earned:
            self._findings.found(
                "credit_differs",
                f"Gift {debit.key.hex()}: debit {paid}, credit {earned}.",
                about.gift(base, debit.key),
                shakes=(*_paid(base, debit), *_earned(credit)),
            )
        elif place >= 0:
            self.rooms[credit.room].digests[place] = gift_digest(
                debit.user, debit.gift, debit.gifts, debit.coins, credit.diamonds
            )

    def close(self) -> None:
        """All is entered: what has found no other side now has none."""
        for debit in self._debits.values():
            base = self._keys.base(debit.user)
            self._findings.found(
                "debit_without_credit",
                f"Gift {debit.key.hex()} of {debit.user} to {debit.room}, {debit.coins} coins.",
                about.stream(self._keys.base(debit.host)),
                about.gift(base, debit.key),
                shakes=(*_paid(base, debit), *_earned(debit)),
            )
        for credit, _ in self._credits.values():
            base = self._keys.base(credit.user)
            self._findings.found(
                "credit_without_debit",
                f"Gift {credit.key.hex()} of {credit.user} to {credit.room}, seq {credit.seq}, {credit.coins} coins.",
                about.stream(base),
                about.gift(base, credit.key),
                shakes=(*_paid(base, credit), *_earned(credit)),
            )


def _paid(base: str, entry: Entry) -> tuple[str, ...]:
    """What goes wrong with the payer's or buyer's side; ``base`` is that user's partition."""
    return about.stream(base), about.totals(base), about.wallet(entry.user)


def _earned(entry: Debit | Credit) -> tuple[str, ...]:
    """What goes wrong with the host's side of a gift."""
    room = entry.room
    names = (about.earnings(entry.host), about.room(room), about.rank(room, entry.user))
    match entry:
        case Debit():
            return names
        case Credit():
            return *names, about.event(room, entry.seq)
        case _:
            assert_never(entry)
