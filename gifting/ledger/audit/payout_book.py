"""What the ledger tells of payouts: each leaves its creator's balance once, and comes back once at most, whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gifting.errors import BadKey
from gifting.ledger.audit import about
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.known_keys import PAID_OUT, KnownKeys
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import Payout
from gifting.model.payouts import Entered, entry_keys


class Moved(NamedTuple):
    """What left with a payout: milli-diamonds, and their money in minor units."""

    diamonds: int
    amount: int
    currency: str
    provider: str

    @property
    def back(self) -> Moved:
        """What comes back of it."""
        return self._replace(diamonds=-self.diamonds, amount=-self.amount)


@dataclass(slots=True)
class PayoutBook:
    """What left for a payout, and what came back."""

    host: str
    out: Moved | None = None
    back: Moved | None = None

    def add(self, entry: Payout) -> None:
        moved = Moved(entry.diamonds, entry.amount, entry.currency, entry.provider)
        if entry.diamonds > 0:
            self.out = moved
        else:
            self.back = moved

    @property
    def left(self) -> int:
        """Milli-diamonds that left and did not come back."""
        return sum(moved.diamonds for moved in (self.out, self.back) if moved)


class PayoutBooks:
    """Enters payouts into the book of each, and into the balances of their hosts."""

    def __init__(self, known: KnownKeys, balances: Balances, findings: Findings) -> None:
        self._known = known
        self._balances = balances
        self._findings = findings
        self.books: dict[str, PayoutBook] = {}

    def enter(self, base: str, entry: Payout) -> None:
        """Each entry of a payout has a key of its own."""
        host, name = entry.host, entry.payout
        if not self._known.first(self._known.name(base, entry.key), PAID_OUT):
            sentence = f"Payout {name} of {host} is entered again, with {entry.diamonds} milli-diamonds."
            shakes = (about.earnings(host), about.payout(name))
            self._findings.found("key_twice", sentence, about.gift(base, entry.key), shakes=shakes)
            return
        book = self.books.setdefault(name, PayoutBook(host))
        book.add(entry)
        if why := _wrong(book, entry):
            tags = (about.payout(name), about.stream(base))
            self._findings.found("payout_wrong", f"Payout {name} of {host}: {why}.", *tags, shakes=tags)
        if self._balances.pay_out(host, entry.diamonds) < 0:
            sentence = f"{host} had {-self._balances.diamonds[host]} milli-diamonds too few for payout {name}."
            self._findings.found("negative_balance", sentence, about.earnings(host))


def _wrong(book: PayoutBook, entry: Payout) -> str:
    """What is wrong with an entry, by itself or with what left before; or ''."""
    if entry.host != book.host:
        return f"it is also one of {book.host}"
    keys = _keys(entry.payout)
    if entry.key not in keys:
        return f"the key {entry.key.hex()} is not its own"
    if (entry.key == keys.out) != (entry.diamonds > 0):
        return f"{entry.diamonds} milli-diamonds moved the wrong way"
    if entry.diamonds < 0 and (book.out is None or book.back != book.out.back):
        return f"{book.out} left and {book.back} came back"
    return ""


def _keys(payout: str) -> Entered:
    try:
        return entry_keys(payout)
    except BadKey:
        return Entered(b"", b"")
