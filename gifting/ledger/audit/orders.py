"""Orders against the books: each was issued and taken back as the entries tell, and as its own facts ask for.

Orders are read after the cut, in pages, without holding Redis; each with its user's account, at one moment. What is
then ahead of the books must be what they tell after the cut.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from copy import copy
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from gifting.ledger.account import read_account
from gifting.ledger.audit import about
from gifting.ledger.audit.cut import Cut
from gifting.ledger.audit.order_book import Issue, OrderBook, Price, Reversed, issue_of, reversed_of
from gifting.ledger.audit.places import Place, entered_since, pages, read_record, where_they_lead
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.values import text
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import Purchase, Reversal
from gifting.ledger.keys import Keys
from gifting.ledger.order_books import REDO, VERSION
from gifting.model.consequences import DISPUTED, WARNED, change, frozen
from gifting.model.orders import Order, unpack_order

_OF_ORDERS: Final = WARNED | DISPUTED


class _Kept(NamedTuple):
    """What an order says that it was issued, and of it taken back."""

    base: str
    user: str
    issued: Issue | None
    taken: Reversed


async def audit_orders(
    redis: BinaryRedis, keys: Keys, cut: Cut, books: dict[str, OrderBook], findings: Findings
) -> None:
    """Compare all orders with the books, which must be as of the cut."""
    reader = _Reader(redis, keys, findings)
    async for page in pages(redis, keys, "orders"):
        await reader.read(page)
    later = await _later(redis, keys, cut)
    for order_id, kept in reader.kept.items():
        book = books.get(order_id, OrderBook(kept.user))
        if not any(_same(kept, then) for then in _forward(book, later[order_id])):
            told = f"issued {book.issued} and {book.taken} taken back by the ledger"
            sentence = f"Order {order_id} of {kept.user}: {told}; it says {kept.issued} and {kept.taken}."
            _found(findings, "order_differs", sentence, order_id, kept.base, kept.user)
    for order_id, book in books.items():
        if order_id not in reader.kept and order_id not in reader.broken:
            sentence = f"{book.user} has no order {order_id}, of which the ledger tells."
            _found(findings, "order_missing", sentence, order_id, keys.base(book.user), book.user)
    await _audit_promotions(redis, keys, findings)


class _Reader:
    """What all orders say, and what in them is wrong by itself."""

    def __init__(self, redis: BinaryRedis, keys: Keys, findings: Findings) -> None:
        self._redis = redis
        self._keys = keys
        self._findings = findings
        self.kept: dict[str, _Kept] = {}
        self.broken: set[str] = set()

    async def read(self, page: list[Place]) -> None:
        page = sorted(page)
        replies = iter([reply for _, own in groupby(page, itemgetter(0)) for reply in await self._at_once([*own])])
        for place in page:
            orders = list(self._orders(place, next(replies)))
            self._check_freeze(place, orders, next(replies))
            await self._check_references(place, orders)

    async def _at_once(self, page: list[Place]) -> list[Any]:
        """The orders and the account of each, who are all of one partition."""
        pipe = self._redis.pipeline(transaction=True)
        for place in page:
            pipe.hgetall(place.key).hget(f"{place.base}:coins", place.owner)
        replies: list[Any] = await pipe.execute()
        return replies

    def _orders(self, place: Place, found: dict[bytes, bytes]) -> Iterator[Order]:
        if self._keys.base(place.owner) != place.base:
            sentence = f"{place.key} belongs elsewhere."
            self._findings.found("wrong_partition", sentence, about.wallet(place.owner))
        for name, value in found.items():
            if name in (VERSION, REDO):
                continue
            self._findings.orders += 1
            order = self._order(place, text(name), value)
            if order is not None:
                yield order

    def _order(self, place: Place, name: str, value: bytes) -> Order | None:
        order, why = read_record(place, name, value, unpack_order, lambda one: one.user)
        if order is None:
            self.broken.add(name)
            self._told("order_broken", f"Order {name} of {place.owner} can't be: {why}.", name, place)
            return None
        price = Price(order.price, order.currency, order.provider)
        issued = Issue(order.coins, order.bonus, order.before, price) if order.issued else None
        taken = Reversed(sum(order.taken), order.taken.paid, order.returned or 0, order.currency)
        self.kept[name] = _Kept(place.base, place.owner, issued, taken)
        if behind := change(order):
            told = f"by what is known of it {behind.issue} must be issued and {behind.take} taken back"
            self._told("order_behind", f"Order {name} of {place.owner}: {told}.", name, place)
        return order

    def _check_freeze(self, place: Place, orders: list[Order], field: bytes | None) -> None:
        try:
            kept = read_account(field).frozen & _OF_ORDERS
        except ValueError:
            return  # it is named with the balances
        due = frozen(orders)
        if kept != due:
            sentence = f"{place.owner} is frozen for {kept}, its orders say {due}."
            self._findings.found("freeze_differs", sentence, about.wallet(place.owner))

    async def _check_references(self, place: Place, orders: list[Order]) -> None:
        wanted = [(name, order.id) for order in orders for name in (order.id, *order.references)]
        kept = await where_they_lead(self._redis, self._keys, [name for name, _ in wanted])
        for (name, order_id), found in zip(wanted, kept, strict=True):
            if found != f"{place.owner}\n{order_id}".encode():
                sentence = f"{name} does not lead to the order {order_id} of {place.owner}."
                self._told("reference_differs", sentence, order_id, place)

    def _told(self, name: str, sentence: str, order_id: str, place: Place) -> None:
        _found(self._findings, name, sentence, order_id, place.base, place.owner)


def _found(findings: Findings, name: str, sentence: str, order_id: str, base: str, user: str) -> None:
    shakes = (about.wallet(user), about.totals(base))
    findings.found(name, sentence, about.order(order_id), about.stream(base), shakes=shakes)


async def _later(redis: BinaryRedis, keys: Keys, cut: Cut) -> dict[str, list[Issue | Reversed]]:
    """What is told of orders after the cut."""
    later: dict[str, list[Issue | Reversed]] = defaultdict(list)
    purchased = copy(cut.balances.purchased)
    async for entry in entered_since(redis, keys, cut):
        if isinstance(entry, Purchase):
            later[entry.order].append(issue_of(entry, purchased[entry.user]))
            purchased[entry.user] += entry.paid
        elif isinstance(entry, Reversal):
            later[entry.order].append(reversed_of(entry))
    return later


def _forward(book: OrderBook, moves: list[Issue | Reversed]) -> Iterator[OrderBook]:
    """The book as of the cut, and after each entry since."""
    book = copy(book)
    yield book
    for moved in moves:
        book.add(moved)
        yield book


def _same(kept: _Kept, book: OrderBook) -> bool:
    """Of what older versions have not entered nothing is asked: prices, and what of the coins was paid for."""
    issued, taken = kept.issued, kept.taken
    if issued and book.issued and not book.issued.price:
        issued = issued._replace(price=None)
    if book.taken.lot is None:
        taken = taken._replace(lot=None)
    if not book.taken.currency:
        taken = taken._replace(currency="")
    return (book.user, book.issued, book.taken) == (kept.user, issued, taken)


async def _audit_promotions(redis: BinaryRedis, keys: Keys, findings: Findings) -> None:
    """What is used of a budget is what orders hold of it."""
    prefix = keys.promotion("")
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix)
    async for name in redis.scan_iter(match=f"{pattern}*", count=1000):
        found: dict[bytes, Any] = await redis.hgetall(name)
        used = found.pop(b"used", b"0")
        held = sum(int(cost[1:]) for cost in found.values() if cost[1:].isdigit())
        if used != str(held).encode():
            promotion = text(name).removeprefix(prefix)
            sentence = f"Promotion {promotion}: {text(used)} coins are used, but orders hold {held}."
            findings.found("promotion_differs", sentence, f"promotion {promotion}")
