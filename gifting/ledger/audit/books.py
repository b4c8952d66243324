"""The books as the ledger streams say they must be."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Final

from gifting.ledger.audit.cut import Cut
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import Credit, Debit, Entry, Grant
from gifting.ledger.keys import Keys
from gifting.model.economy import MAX_AMOUNT, diamonds_for

UNKNOWN: Final = 0
"""Digest of a credit whose gift is not known."""

_DEBITED, _CREDITED = 1, 2


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


class Books:
    """Enter all entries, each partition's in order; then :meth:`close`, then :meth:`compare`.

    What an entry with a problem should have been is entered, or nothing if its key came before: one wrong entry is one
    problem, unless the balances were wrong too.
    """

    def __init__(self, keys: Keys, findings: Findings) -> None:
        self._keys = keys
        self._numbers = {base: bytes((number,)) for number, base in enumerate(keys.bases)}
        self._findings = findings
        self._coins: Counter[str] = Counter()
        self._diamonds: Counter[str] = Counter()
        self._carry: dict[str, int] = {}
        self._totals: Counter[str] = Counter()
        self._granted: set[bytes] = set()
        self._sides: dict[bytes, int] = {}
        self._debits: dict[bytes, Debit] = {}
        self._credits: dict[bytes, tuple[Credit, int]] = {}
        self.rooms: dict[str, RoomBook] = {}

    def enter(self, base: str, entry: Entry) -> None:
        owner = entry.host if isinstance(entry, Credit) else entry.user
        if self._keys.base(owner) != base:
            self._findings.found("wrong_partition", f"{base}:ledger has an entry of {owner}, which belongs elsewhere.")
        if isinstance(entry, Grant):
            self._grant(base, entry)
        elif isinstance(entry, Debit):
            self._debit(base, entry)
        else:
            self._credit(entry)

    def _grant(self, base: str, grant: Grant) -> None:
        key = grant.key + self._numbers[base]
        if key in self._granted:
            self._findings.found("key_twice", f"Grant {grant.key.hex()} of {grant.user} is entered again.")
            return
        self._findings.grants += 1
        self._granted.add(key)
        self._coins[grant.user] += grant.coins
        self._totals[f"{base} issued"] += grant.coins

    def _debit(self, base: str, debit: Debit) -> None:
        key = debit.key + self._numbers[base]
        if not self._first(key, _DEBITED):
            self._findings.found("key_twice", f"Gift {debit.key.hex()} of {debit.user} is debited again.")
            return
        self._findings.gifts += 1
        self._totals[f"{base} spent"] += debit.coins
        self._coins[debit.user] -= debit.coins
        if self._coins[debit.user] < 0:
            self._findings.found("negative_balance", f"{debit.user} had too little for gift {debit.key.hex()}.")
        if key in self._credits:
            self._match(debit, *self._credits.pop(key))
        else:
            self._debits[key] = debit

    def _credit(self, credit: Credit) -> None:
        key = credit.key + self._numbers[self._keys.base(credit.user)]
        if not self._first(key, _CREDITED):
            self._findings.found("key_twice", f"Gift {credit.key.hex()} is credited to {credit.host} again.")
            return
        credit = credit._replace(diamonds=self._earn(credit))
        place = self._enter_room(credit)
        if key in self._debits:
            self._match(self._debits.pop(key), credit, place)
        else:
            self._credits[key] = credit, place

    def _first(self, key: bytes, side: int) -> bool:
        before = self._sides.get(key, 0)
        self._sides[key] = before | side
        return not before & side

    def _earn(self, credit: Credit) -> int:
        account = f"{credit.host}/{credit.denominator}"
        rate = (credit.numerator, credit.denominator)
        diamonds, self._carry[account] = diamonds_for(credit.coins, rate, self._carry.get(account, 0))
        if diamonds != credit.diamonds:
            self._findings.found(
                "diamonds_wrong",
                f"Gift {credit.key.hex()} earned {credit.host} {credit.diamonds}, not {diamonds}.",
            )
        self._diamonds[credit.host] += diamonds
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
                "credit_out_of_order", f"{credit.room}: seq {credit.seq} is credited after {book.seqs[-1]}."
            )
            return -1
        book.seqs.append(credit.seq)
        book.digests.append(UNKNOWN)
        return len(book.seqs) - 1

    def _match(self, debit: Debit, credit: Credit, place: int) -> None:
        paid = (debit.user, debit.room, debit.host, debit.coins)
        earned = (credit.user, credit.room, credit.host, credit.coins)
        if paid != earned:
            self._findings.found("credit_differs", f"Gift {debit.key.hex()}: debit {paid}, credit {earned}.")
        elif place >= 0:
            self.rooms[credit.room].digests[place] = gift_digest(
                debit.user, debit.gift, debit.gifts, debit.coins, credit.diamonds
            )

    def close(self) -> None:
        """All is entered: what has found no other side now has none."""
        for debit in self._debits.values():
            self._findings.found("debit_without_credit", f"Gift {debit.key.hex()} of {debit.user} to {debit.room}.")
        for credit, _ in self._credits.values():
            self._findings.found("credit_without_debit", f"Gift {credit.key.hex()} to {credit.room}, seq {credit.seq}.")

    def compare(self, cut: Cut) -> None:
        """Hold the balances of the cut against these books."""
        findings = self._findings
        findings.differ("balance_differs", "coins", self._coins, cut.coins)
        findings.differ("diamonds_differ", "milli-diamonds", self._diamonds, cut.diamonds)
        findings.differ("carry_differs", "remainder", self._carry, cut.carry)
        findings.differ("totals_differ", "coins", self._totals, cut.totals)
        issued, spent = (sum(value for key, value in cut.totals.items() if key.endswith(f" {name}"))
                         for name in ("issued", "spent"))  # fmt: skip
        kept = sum(cut.coins.values())
        if issued != kept + spent:
            findings.found("conservation_broken", f"{issued} coins issued, but {kept} in wallets and {spent} spent.")
        for book in (cut.coins, cut.diamonds, cut.carry, cut.totals):
            for key, value in book.items():
                if value < 0:
                    findings.found("negative_balance", f"{key} has {value}.")
                elif value > MAX_AMOUNT:
                    findings.found("amount_too_large", f"{key} has {value}.")
