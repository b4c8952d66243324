"""The books as the ledger streams say they must be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from typing import assert_never

from msgspec.structs import replace

from gifting.ledger.audit import about
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.carried import GIFTS, GRANTS, Carried
from gifting.ledger.audit.fences import Fences
from gifting.ledger.audit.known_keys import CREDITED, DEBITED, GRANTED, KnownKeys, place_of
from gifting.ledger.audit.order_book import OrderBooks
from gifting.ledger.audit.payout_book import PayoutBooks
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.reversal_book import ReversalBook
from gifting.ledger.audit.room_book import RoomBook, gift_digest
from gifting.ledger.entries import (
    AccountChange,
    Clawback,
    Credit,
    Debit,
    Entry,
    GiftReversal,
    Grant,
    Payout,
    Purchase,
    Reversal,
    owner,
)
from gifting.ledger.keys import Keys


class Books:
    """Enter all entries, each partition's in order, then :meth:`close`: the balances must be ``balances``.

    What an entry with a problem should have been is entered, or nothing if its key came before: one wrong entry is one
    problem, unless the balances were wrong too.
    """

    def __init__(self, keys: Keys, findings: Findings) -> None:
        self._keys = keys
        self._findings = findings
        self.known = KnownKeys(keys)
        self.balances = Balances()
        self.orders = OrderBooks(self.known, self.balances, findings)
        self.payouts = PayoutBooks(self.known, self.balances, findings)
        self.reversals = ReversalBook(keys, self.known, self.balances, findings)
        self._overdrawn: set[str] = set()
        self.debits: dict[bytes, Debit] = {}
        self.credits: dict[bytes, tuple[Credit, int]] = {}
        self._before = Carried()
        self.rooms: dict[str, RoomBook] = {}
        self.fences = Fences(keys)
        self.roomless = 0
        """Coins credited to hosts whose room was not there any more."""

    def begin(self, balances: Balances, carried: Carried, rooms: dict[str, RoomBook]) -> None:
        """Go on from what was before, of which keys and orders are entered already."""
        for book in fields(Balances):
            mine: Counter[str] = getattr(self.balances, book.name)
            mine.clear()
            mine.update(getattr(balances, book.name))
        self._findings.grants, self._findings.gifts = carried.counts[GRANTS], carried.counts[GIFTS]
        self.rooms = rooms
        self._before = carried

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
                self.orders.purchase(base, entry)
            case Reversal():
                self.orders.reversal(base, entry)
            case Debit():
                self._debit(base, entry)
            case Credit():
                self._credit(entry)
            case GiftReversal():
                self.reversals.reversal(base, entry)
            case Clawback():
                self.reversals.clawback(base, entry)
            case Payout():
                self.payouts.enter(base, entry)
            case AccountChange():
                pass
            case _:
                assert_never(entry)

    def _grant(self, base: str, grant: Grant) -> None:
        key = self.known.name(base, grant.key)
        if not self.known.first(key, GRANTED):
            self._twice(
                base, grant, f"Grant {grant.key.hex()} of {grant.user} is entered again.", about.payer(base, grant.user)
            )
            return
        self._findings.grants += 1
        self.balances.issue(base, grant.user, 0, grant.coins)

    def _debit(self, base: str, debit: Debit) -> None:
        key = self.known.name(base, debit.key)
        if not self.known.first(key, DEBITED):
            self._twice(
                base, debit, f"Gift {debit.key.hex()} of {debit.user} is debited again.", about.payer(base, debit.user)
            )
            return
        self._findings.gifts += 1
        self.known.note(key, coins=debit.coins, place=place_of(debit.room, debit.host))
        self._take(base, debit)
        if debit.coins % debit.gifts:
            self._findings.found(
                "price_wrong",
                f"Gift {debit.key.hex()} of {debit.user}: {debit.coins} coins for {debit.gifts}.",
                about.gift(base, debit.key),
            )
        if key in self.credits:
            self._match(base, debit, *self.credits.pop(key))
        else:
            self.debits[key] = debit

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
        key = self.known.name(base, credit.key)
        if not self.known.first(key, CREDITED):
            if self.fences.take(credit):
                self._enter_room(replace(credit, diamonds=self._earn(credit)))
                return
            sentence = f"Gift {credit.key.hex()} is credited to {credit.host} again."
            self._twice(base, credit, sentence, _earned(credit))
            return
        credit = replace(credit, diamonds=self._earn(credit))
        self.known.note(key, diamonds=credit.diamonds)
        place = self._enter_room(credit)
        if key in self.debits:
            self._match(base, self.debits.pop(key), credit, place)
        else:
            self.credits[key] = credit, place

    def _twice(self, base: str, entry: Entry, sentence: str, shakes: Iterable[str]) -> None:
        self._findings.found("key_twice", sentence, about.gift(base, entry.key), shakes=shakes)

    def _earn(self, credit: Credit) -> int:
        diamonds = self.balances.earn(credit.host, credit.coins, (credit.numerator, credit.denominator), credit.ts)
        if diamonds != credit.diamonds:
            self._findings.found(
                "diamonds_wrong",
                f"Gift {credit.key.hex()} earned {credit.host} {credit.diamonds}, not {diamonds}.",
                about.gift(self._keys.base(credit.user), credit.key),
                about.earnings(credit.host),  # a remainder before it may be what is wrong
                shakes=_earned(credit),
            )
        return diamonds

    def _enter_room(self, credit: Credit) -> int:
        """Returns the credit's place in its room's book, or -1 if it has none."""
        if not credit.seq:  # it was not there any more
            self.roomless += credit.coins
            return -1
        book = self.rooms.get(credit.room)
        if book is None:
            book = self.rooms[credit.room] = RoomBook(credit.host)
        place = book.enter(credit)
        if place < 0:
            self._findings.found(
                "credit_out_of_order",
                f"{credit.room}: seq {credit.seq} is credited after {book.seqs[-1]}.",
                about.event(credit.room, credit.seq),
                shakes=_earned(credit),
            )
        return place

    def _match(self, base: str, debit: Debit, credit: Credit, place: int) -> None:
        paid = (debit.user, debit.room, debit.host, debit.coins)
        earned = (credit.user, credit.room, credit.host, credit.coins)
        if paid != earned:
            self._findings.found(
                "credit_differs",
                f"Gift {debit.key.hex()}: debit {paid}, credit {earned}.",
                about.gift(base, debit.key),
                shakes=(*about.payer(base, debit.user), *_earned(credit)),
            )
        elif place >= 0:
            self.rooms[credit.room].digests[place] = gift_digest(
                debit.user, debit.gift, debit.gifts, debit.coins, credit.diamonds
            )

    def meet(self, base: str, entry: Debit | Credit) -> bool:
        """Whether an entry from after the cut is the other side of one that is open; that is closed then."""
        key = self.known.name(self._keys.base(entry.user), entry.key)
        if isinstance(entry, Debit) and key in self.credits:
            self._match(base, entry, *self.credits.pop(key))
        elif isinstance(entry, Credit) and key in self.debits:
            self._match(self._keys.base(entry.user), self.debits.pop(key), entry, -1)
        else:
            return False
        return True

    def close(self) -> None:
        """All is entered: what has found no other side now has none."""
        self.reversals.close()
        if self._before.sides and self._before.meet(self.debits, self.credits):
            return
        for debit in self.debits.values():
            base = self._keys.base(debit.user)
            self._findings.found(
                "debit_without_credit",
                f"Gift {debit.key.hex()} of {debit.user} to {debit.room}, {debit.coins} coins.",
                about.stream(self._keys.base(debit.host)),
                about.pair(base, self._keys.base(debit.host)),
                about.gift(base, debit.key),
                shakes=(*about.payer(base, debit.user), *_earned(debit)),
            )
        for credit, _ in self.credits.values():
            if self.fences.take(credit):
                continue
            base = self._keys.base(credit.user)
            self._findings.found(
                "credit_without_debit",
                f"Gift {credit.key.hex()} of {credit.user} to {credit.room}, seq {credit.seq}, {credit.coins} coins.",
                about.stream(base),
                about.pair(base, self._keys.base(credit.host)),
                about.gift(base, credit.key),
                shakes=(*about.payer(base, credit.user), *_earned(credit)),
            )


def _earned(entry: Debit | Credit) -> tuple[str, ...]:
    """What goes wrong with the host's side of a gift."""
    host, room = about.earnings(entry.host), about.room(entry.room)
    rank = about.rank(entry.room, entry.user)
    return (host, room, rank, about.event(entry.room, entry.seq)) if isinstance(entry, Credit) else (host, room, rank)
