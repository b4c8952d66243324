"""Gifts: each is packed with all of its event that is known before it is committed, and goes through the batcher."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gifting.errors import BadAmount, GiftingError, LedgerUnavailable, UnknownGift
from gifting.ledger.calls import REDIS_ERRORS
from gifting.ledger.commit import GIFT
from gifting.ledger.commit_keys import Spot, bucket_spot, room_spot
from gifting.ledger.engine import AnyBatcher
from gifting.ledger.keys import BUCKET_MS, Keys
from gifting.ledger.lookup import Lookup
from gifting.ledger.status import status_of
from gifting.model import events, money
from gifting.model.catalog import Catalog
from gifting.model.packing import pack, unpack_raw
from gifting.model.pseudonym import profile, pseudonym
from gifting.model.terms import UNBOUND, Terms
from gifting.model.values import Done, Outcome, Result, RoomRef, Sender
from gifting.wire.confirm import Confirmed
from gifting.wire.messages import MAX_COUNT
from gifting.wire.replies import GiftStatusReply

K = TypeVar("K")
V = TypeVar("V")

TARGETS_MAX: Final = 20_000
"""Gifts in rooms whose bytes are remembered, about 300 bytes each."""

ORDERS_MAX: Final = 10_000
"""Orders that are remembered, about 600 bytes each."""

_KEY: Final = b"\xb0"
_MADE: Final = b"\xcf\0\0"
"""What stands before a key, 16 bytes, and before the 6 of them that say when it was made (of a number of 8), packed."""


class Target(Struct, frozen=True):
    """A gift in a room, packed once for all who send it there."""

    room: Spot
    packed: bytes


class Order(Struct, frozen=True):
    """What someone gives: a target, and the packed fields before and after the key. In a streak it is always the same
    one, so those that say nothing are remembered.
    """

    target: Target
    before: bytes
    after: bytes
    sold: bool


class Content(NamedTuple):
    """What a key stands for, and what it costs."""

    digest: bytes
    coins: int


class Gifts:
    """Sends gifts of the catalog, and looks up what became of them. ``salt`` gives that of pseudonyms."""

    def __init__(
        self, batcher: AnyBatcher, keys: Keys, catalog: Catalog, lookup: Lookup, salt: Callable[[], bytes]
    ) -> None:
        self._batcher = batcher
        self._keys = keys
        self._catalog = catalog
        self._lookup = lookup
        self._salt = salt
        self._targets: dict[tuple[RoomRef, str], Target] = {}
        self._orders: dict[tuple[Sender, RoomRef, str, int], Order] = {}

    def use_catalog(self, catalog: Catalog) -> None:
        """Sell these gifts from now on."""
        self._catalog = catalog
        self._targets.clear()
        self._orders.clear()

    def sender(self, user: str, public: Mapping[str, Any], terms: Terms = UNBOUND) -> Sender:
        """A user as sender, on terms; ``public`` is what events show of it."""
        return Sender(user, self._keys.base(user), events.encode_user(public), terms.packed)

    def masked(self, sender: Sender, room: RoomRef) -> Sender:
        """The sender as one whom the room does not know."""
        shown = pseudonym(self._salt(), room.id, sender.id)
        return sender._replace(user=events.encode_user(profile(shown)), shown=shown)

    def content(self, sender: Sender, room: RoomRef, gift_id: str, count: int, message: str | None) -> Content:
        """A gift that is not sold costs nothing, for which the script refuses it, but not before it has looked at the
        key: it may have been sold when it was sent first. Raises BadAmount.
        """
        if not 1 <= count <= MAX_COUNT:
            raise BadAmount(f"count is {count}; it must be from 1 to {MAX_COUNT}.")
        digest = gift_digest(sender.id, room.id, gift_id, count, message, sender.shown)
        price = self._catalog[gift_id].coins if gift_id in self._catalog else 0
        return Content(digest, price * count)

    def submit(
        self,
        sender: Sender,
        room: RoomRef,
        gift_id: str,
        key: str,
        count: int,
        message: str | None,
        done: Done,
        confirmed: bool = False,
        silent: bool = False,
    ) -> None:
        """Debit the sender, credit the host, log and publish; ``done`` gets the result or why not. ``confirmed``: the
        sender was asked. ``silent``: the message belongs to the gift, but is not shown.

        Raises:
            BadKey, BadAmount, Overloaded, Unavailable: at once; ``done`` is not called then.
        """
        order = self._orders.get((sender, room, gift_id, count)) if message is None and not confirmed else None
        order = order or self._order(sender, room, gift_id, count, message, confirmed, silent)
        raw_key = money.parse_key(key)
        made = money.key_time(raw_key)
        bucket = bucket_spot(sender.base, made // BUCKET_MS)
        if not order.sold:
            done = partial(_refuse_unsold, gift_id, done)
        fields = b"".join((order.before, _KEY, raw_key, _MADE, raw_key[:6], order.after))
        self._batcher.submit(GIFT, bucket, order.target.room, order.target.packed, fields, done, sender.terms)

    def _order(
        self,
        sender: Sender,
        room: RoomRef,
        gift_id: str,
        count: int,
        message: str | None,
        confirmed: bool,
        silent: bool,
    ) -> Order:
        digest, coins = self.content(sender, room, gift_id, count, message)
        sent = events.encode_sent(count, coins, None if silent else message)
        after = pack((digest, count, coins, sender.user, sent, int(confirmed), sender.shown or False))[1:]
        target = self._targets.get((room, gift_id)) or self._add_target(room, gift_id)
        order = Order(target, pack(sender.id), after, sold=coins > 0)
        if message is None and not confirmed and order.sold:
            _remember(self._orders, (sender, room, gift_id, count), order, ORDERS_MAX)
        return order

    def _add_target(self, room: RoomRef, gift_id: str) -> Target:
        """Of a gift that is not sold there is no event, and nothing is remembered."""
        sold = gift_id in self._catalog
        about = events.encode_about(room.to_user, self._catalog.wire(gift_id)) if sold else b""
        streakable = sold and self._catalog[gift_id].streakable
        packed = pack((room.id, room.host, gift_id, int(streakable), about))[1:]
        target = Target(room_spot(room.base, room.id, room.host), packed)
        if sold:
            _remember(self._targets, (room, gift_id), target, TARGETS_MAX)
        return target

    async def send(
        self,
        sender: Sender,
        room: RoomRef,
        gift_id: str,
        key: str,
        count: int = 1,
        message: str | None = None,
        confirmed: bool = False,
    ) -> Result:
        """:meth:`submit` for those who can wait. Raises what it was refused for."""
        return await outcome_of(lambda done: self.submit(sender, room, gift_id, key, count, message, done, confirmed))

    async def status(self, user: str, key: str) -> GiftStatusReply:
        """What became of a user's gift, as the protocol says it; without limit of time. See :meth:`Lookup.status`."""
        try:
            return await self._lookup.status(user, key)
        except REDIS_ERRORS:
            raise LedgerUnavailable from None


def gift_digest(user: str, room: str, gift: str, count: int, message: str | None, shown: str) -> bytes:
    """What a gift's key stands for; ``shown`` as a Sender has it."""
    return money.content_digest(user, room, gift, str(count), message or "", *filter(None, (shown,)))


_TEN: Final = b"\x9a"
"""An array of ten, of a gift's fields."""


def asked_for(fields: bytes) -> Confirmed:
    """What a gift, packed as :meth:`Gifts.submit` does it, would be confirmed for."""
    user, key, _, digest, _, coins, *_ = unpack_raw(_TEN + fields)
    return Confirmed(user.decode(), key, digest, coins)


async def outcome_of(submit: Callable[[Done], None]) -> Result:
    """What ``submit`` tells. Raises what it was refused for."""
    waiting: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def done(outcome: Outcome) -> None:
        if waiting.done():
            return
        if isinstance(outcome, GiftingError):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)

    submit(done)
    return await waiting


def barring(terms: Terms, refusal: GiftingError, min_age: int, *, guarded: bool) -> Terms:
    """Terms on which all gifts end so; with ``guarded``, those of who has no guardian. ``min_age`` as an AgeRequired
    tells it, in years.
    """
    return replace(terms, barred=status_of(refusal), guarded=guarded, min_age=0 if guarded else min_age)


def _refuse_unsold(gift_id: str, done: Done, outcome: Outcome) -> None:
    done(UnknownGift(f"There is no gift {gift_id!r}.") if isinstance(outcome, BadAmount) else outcome)


def _remember(known: dict[K, V], name: K, value: V, most: int) -> None:
    while len(known) >= most:
        del known[next(iter(known))]
    known[name] = value
