"""Payouts against the books: each left its creator's balance and came back as the entries tell, and as its own facts
ask for; what is no longer kept is counted.

They are read after the cut, in pages, each creator's at one moment. What is then ahead of the books must be what they
tell after the cut.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from copy import copy
from typing import Final, NamedTuple

import msgspec

from gifting.ledger.audit import about
from gifting.ledger.audit.cut import Cut
from gifting.ledger.audit.payout_book import Moved, PayoutBook
from gifting.ledger.audit.places import Place, entered_since, pages, read_record, where_they_lead
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.values import text
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Payout as Entry
from gifting.ledger.keys import Keys
from gifting.ledger.payouts import GONE, REDO, REFERENCE, VERSION
from gifting.model.old_payouts import NONE_GONE, Gone, unpack_gone
from gifting.model.payouts import Payout, change, unpack_payout

NAMED_MAX: Final = 5
"""Payouts named in one sentence."""


class _Kept(NamedTuple):
    """What a payout says of itself."""

    base: str
    host: str
    out: Moved
    back: Moved | None


async def audit_payouts(
    redis: BinaryRedis, keys: Keys, cut: Cut, books: dict[str, PayoutBook], findings: Findings
) -> None:
    """Compare all payouts with the books, which must be as of the cut."""
    reader = _Reader(redis, keys, findings)
    async for page in pages(redis, keys, "payouts"):
        await reader.read(page)
    later: dict[str, list[Entry]] = defaultdict(list)
    async for entry in entered_since(redis, keys, cut):
        if isinstance(entry, Entry):
            later[entry.payout].append(entry)
    for name, kept in reader.kept.items():
        book = books.get(name, PayoutBook(kept.host))
        if not any((then.host, then.out, then.back) == kept[1:] for then in _forward(book, later[name])):
            sentence = f"Payout {name}: by the ledger {book.out} left {book.host} and {book.back} came back"
            told = f"{sentence}; it says {kept.out} of {kept.host}, and {kept.back}."
            _found(findings, "payout_differs", told, name, kept.base, kept.host)
    missing = defaultdict(list)
    for name, book in books.items():
        if name not in reader.kept and name not in reader.broken:
            *_, last = _forward(book, later[name])
            missing[book.host].append((name, last.left))
    for host in reader.gone.keys() | missing.keys():
        _compare_gone(keys.base(host), host, missing[host], reader.gone.get(host, NONE_GONE), findings)


def _compare_gone(base: str, host: str, missing: list[tuple[str, int]], gone: Gone, findings: Findings) -> None:
    """Payouts that the ledger alone tells of are those that were forgotten."""
    left = sum(diamonds for _, diamonds in missing)
    if (len(missing), left) == (gone.count, gone.diamonds):
        return
    names = " ".join(name for name, _ in missing[:NAMED_MAX])
    sentence = f"{host} has not {len(missing)} payouts of which the ledger tells ({names}), {left} milli-diamonds; "
    told = f"{sentence}it has forgotten {gone.count}, {gone.diamonds}."
    tags = (*(about.payout(name) for name, _ in missing), about.stream(base))
    findings.found("payout_missing", told, *tags, shakes=(about.earnings(host),))


class _Reader:
    """What all payouts say, and what in them is wrong by itself."""

    def __init__(self, redis: BinaryRedis, keys: Keys, findings: Findings) -> None:
        self._redis = redis
        self._keys = keys
        self._findings = findings
        self.kept: dict[str, _Kept] = {}
        self.broken: set[str] = set()
        self.gone: dict[str, Gone] = {}

    async def read(self, page: list[Place]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for place in page:
            pipe.hgetall(place.key)
        for place, found in zip(page, await pipe.execute(), strict=True):
            if self._keys.base(place.owner) != place.base:
                self._findings.found("wrong_partition", f"{place.key} belongs elsewhere.", about.earnings(place.owner))
            gone = self._gone(place, found.pop(GONE, b""))
            names = found.keys() - {VERSION, REDO, *(name.encode() for name in gone.last)}
            payouts = [self._payout(place, text(name), found[name]) for name in sorted(names)]
            await self._check_references(place, [payout for payout in payouts if payout])

    def _gone(self, place: Place, value: bytes) -> Gone:
        try:
            gone = unpack_gone(value) if value else NONE_GONE
        except msgspec.MsgspecError as error:
            sentence = f"What is kept of the forgotten payouts of {place.owner} can't be: {error}."
            self._findings.found("payout_broken", sentence, about.stream(place.base))
            gone = NONE_GONE
        self.gone[place.owner] = gone
        return gone

    def _payout(self, place: Place, name: str, value: bytes) -> Payout | None:
        payout, why = read_record(place, name, value, unpack_payout, lambda one: one.host)
        if payout is None:
            self.broken.add(name)
            self._told("payout_broken", f"Payout {name} of {place.owner} can't be: {why}.", name, place)
            return None
        out = Moved(payout.diamonds, payout.amount, payout.currency, payout.provider)
        self.kept[name] = _Kept(place.base, place.owner, out, out.back if payout.back else None)
        if behind := change(payout):
            self._told("payout_behind", f"Payout {name} of {place.owner}: {behind} must come back.", name, place)
        return payout

    async def _check_references(self, place: Place, payouts: list[Payout]) -> None:
        """A payout's own id may lead to it only once somebody has carried it on."""
        wanted = [(f"{REFERENCE}{name}", one) for one in payouts for name in (one.id, *one.references)]
        kept = await where_they_lead(self._redis, self._keys, [name for name, _ in wanted])
        for (name, one), found in zip(wanted, kept, strict=True):
            untouched = found is None and not (one.sending_at or one.decided_at)
            if found != f"{place.owner}\n{one.id}".encode() and not untouched:
                sentence = f"{name} does not lead to the payout {one.id} of {place.owner}."
                self._told("reference_differs", sentence, one.id, place)

    def _told(self, name: str, sentence: str, payout: str, place: Place) -> None:
        _found(self._findings, name, sentence, payout, place.base, place.owner)


def _found(findings: Findings, name: str, sentence: str, payout: str, base: str, host: str) -> None:
    findings.found(name, sentence, about.payout(payout), about.stream(base), shakes=(about.earnings(host),))


def _forward(book: PayoutBook, moves: list[Entry]) -> Iterator[PayoutBook]:
    """The book as of the cut, and after each entry since."""
    book = copy(book)
    yield book
    for moved in moves:
        book.add(moved)
        yield book
