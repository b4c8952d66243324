"""Reversals of gifts, in two steps: coins go back to who sent one, then the host's side follows. Each is done once for
ever, whoever asks and however often; what broke off in between is found again by :meth:`Reversals.due`.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import struct
from collections.abc import Iterable
from typing import Final

import msgpack
from msgspec.structs import replace

from gifting.config import Settings
from gifting.errors import Conflict, OutcomeUnknown
from gifting.ledger.calls import Calls, check, translated
from gifting.ledger.keys import DAY_MS, account_keys, room_keys
from gifting.ledger.order_books import PAUSE, TRIES, Held, OrderBooks
from gifting.ledger.status import Status
from gifting.model import events
from gifting.model.lots import kept
from gifting.model.money import make_key, parse_key
from gifting.model.packing import unpack
from gifting.model.reversals import (
    DAYS,
    SETTLED,
    Given,
    Returned,
    Reversal,
    Taken,
    pack_reversal,
    reversal_key,
    unpack_reversal,
)

_BACK: Final = struct.Struct("<ddd")
"""What the script appends to a record: paid coins, bonus coins, and how many of them settled debt."""


class Reversals:
    """Of all gifts. Everything raises Unavailable; what may be done all the same, OutcomeUnknown."""

    def __init__(self, calls: Calls, settings: Settings) -> None:
        self._calls = calls
        self._books = OrderBooks(calls)
        self._log_keep = settings.log_keep
        self._borne = settings.reversal_loss == "platform"

    async def find(self, user: str, gift: bytes) -> Reversal | None:
        """The reversal of a user's gift, also one that is half done."""
        return (await self.of_gifts(user, [gift])).get(gift)

    async def of_gifts(self, user: str, gifts: Iterable[bytes]) -> dict[bytes, Reversal]:
        """The reversals of those of a user's gifts that have one."""
        wanted = list(gifts)
        with translated():
            found = await self._calls.redis.hmget(self._calls.keys.reversals(user), wanted) if wanted else []
        return {gift: _read(one) for gift, one in zip(wanted, found, strict=True) if one}

    async def give_back(self, given: Given, by: str, reason: str, about: str, now: int) -> Reversal:
        """Give back to its sender what a gift cost, debt first; again gives what was done then.

        Raises:
            Conflict: the user's orders have changed each time.
        """
        self._calls.halt.check()  # what broke off must not be told of as known
        record = pack_reversal(Reversal(given, by, reason, now, about))
        for tried in range(TRIES):
            held = await self._books.held(given.user)
            if held.broken_off:
                await self._books.complete(given.user)
            elif await self._put(held, given, by, record, now) != Status.CONFLICT:
                done = await self.find(given.user, given.key)
                if done is not None:
                    return done
            await asyncio.sleep(random.random() * PAUSE * tried)  # noqa: S311
        raise Conflict(f"The orders of {given.user} changed {TRIES} times meanwhile.")

    async def _put(self, held: Held, given: Given, by: str, record: bytes, now: int) -> int:
        bought = sum(kept(order) for order in held.orders.values())
        names = (given.user, held.version, given.key, reversal_key(given.user, given.key), given.room, given.host)
        keys = [*account_keys(self._calls.keys.base(given.user)), *self._calls.keys.orders(given.user)]
        options = (*names, given.coins, bought, by, record, max(now, 1))
        (status,) = unpack(await self._calls.timed("gift_reverse", keys, options, unsure=OutcomeUnknown))
        if status != Status.CONFLICT:
            check(status)
        return int(status)

    async def take_from_host(self, reversal: Reversal, now: int) -> Reversal:
        """Take of the host what the gift had earned, as the settings say who bears it, and tell its room while that is
        live; then the reversal is done.
        """
        if reversal.done_at:
            return reversal
        given = reversal.given
        reversed_ = {"gift_id": f"{given.room}.{given.seq}", "gift_seq": given.seq, "coins": given.coins}
        event = events.encode_event("gift_reversed", reversed_)
        names = (given.host, reversal_key(given.user, given.key), given.key, given.user, reversal.by)
        what = (given.diamonds, given.at // DAY_MS, DAYS, self._borne)
        taken = await self._claw_back(given.host, given.room, (*names, *what, given.room, event, self._log_keep))
        done = replace(reversal, taken=taken, done_at=max(now, 1))
        await self._note(done)
        return done

    async def settle(self, host: str, now: int, by: str = "") -> int:
        """Let what a host has settle its debt, as far as it goes. How many milli-diamonds did."""
        key = parse_key(make_key(now, secrets.token_bytes(10)))
        options = (host, key, SETTLED, "", by, 0, 0, 0, False, "", b"", 0)
        return (await self._claw_back(host, "", options)).diamonds

    async def _claw_back(self, host: str, room: str, options: tuple[object, ...]) -> Taken:
        base = self._calls.keys.base(host)
        keys = [*self._calls.keys.of_host(host), *room_keys(base, room), self._calls.keys.deadlines(base)]
        found = msgpack.Unpacker()
        found.feed(await self._calls.timed("claw_back", keys, options, unsure=OutcomeUnknown))
        return Taken(*found)

    async def _note(self, reversal: Reversal) -> None:
        given, back = reversal.given, reversal.returned
        record = pack_reversal(replace(reversal, returned=Returned(0, 0, 0)))
        pipe = self._calls.redis.pipeline(transaction=True)
        pipe.hset(
            self._calls.keys.reversals(given.user), given.key, record + _BACK.pack(back.paid, back.bonus, back.settled)
        )
        pipe.zrem(f"{self._calls.keys.base(given.user)}:reversals", _place(given.user, given.key))
        with translated():
            await pipe.execute()

    async def due(self, now: int, count: int) -> list[Reversal]:
        """Reversals that are half done, ``count`` of each partition."""
        found: list[Reversal] = []
        for base in self._calls.keys.bases:
            with translated():
                places = await self._calls.redis.zrangebyscore(f"{base}:reversals", "-inf", now, 0, count)
            for place in places:
                user, _, gift = place.partition(b"\n")
                if one := await self.find(user.decode(), gift):
                    found.append(one)
        return found


def _place(user: str, gift: bytes) -> bytes:
    return user.encode() + b"\n" + gift


def _read(record: bytes) -> Reversal:
    back = Returned(*map(int, _BACK.unpack(record[-_BACK.size :])))
    return replace(unpack_reversal(record[: -_BACK.size]), returned=back)
