"""Payouts: asked for once per key, and changed by what operators decide, the server does and providers say.

All payouts of a host are read, a function says what to write, and the script writes it if none of them has changed
since, and as much is available then; else it is done again, or refused.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from msgspec.structs import replace

from gifting.errors import (
    Conflict,
    KeyExpired,
    KeyReused,
    NotEnoughDiamonds,
    OutcomeUnknown,
    PayoutDecided,
    PayoutNotFound,
)
from gifting.ledger.calls import Calls, check, translated
from gifting.ledger.old_payouts import are_many, forget
from gifting.ledger.status import Status
from gifting.model.earnings import KEPT_DAYS
from gifting.model.money import key_time, parse_key
from gifting.model.old_payouts import NONE_GONE, Gone, to_forget, unpack_gone
from gifting.model.packing import unpack
from gifting.model.payouts import (
    OPEN,
    Fact,
    Payout,
    PayoutMismatch,
    State,
    add,
    booked,
    change,
    due,
    entry_keys,
    may_send,
    pack_payout,
    state,
    unpack_payout,
)

TRIES: Final = 100
"""How often a change is computed anew because another one came before it."""

PAUSE: Final = 0.002
"""Seconds between two tries, at most, for each that there was."""

VERSION: Final = b"v"
REDO: Final = b"redo"
GONE: Final = b"gone"

REFERENCE: Final = "payout:"
"""What references to payouts begin with, among those to orders."""


@dataclass(frozen=True, slots=True)
class Owned:
    """What a host has been paid or asks for, at one moment: all payouts by id."""

    host: str
    version: int
    payouts: Mapping[str, Payout]
    broken_off: bool = False
    gone: Gone = NONE_GONE

    def payout(self, payout_id: str) -> Payout:
        """Raises PayoutNotFound."""
        if payout_id not in self.payouts:
            raise PayoutNotFound(f"There is no payout {payout_id[:64]}.")
        return self.payouts[payout_id]


class Hold(NamedTuple):
    """What of a host's balance is not available: what it earned in the last ``days``, and of what it earned in the last
    ``reserve_days`` a share in basis points. Days are UTC, that of earning among them.
    """

    days: int
    reserve_days: int = 0
    reserve_bps: int = 0


class Told(NamedTuple):
    """``changed``: it was news."""

    payout: Payout
    changed: bool


Decide = Callable[[Owned], Payout | None]
"""What becomes of a payout, of all that its host has; None: nothing."""


class Payouts:
    """Of all hosts. Everything raises Unavailable; and what changes a payout Conflict, if others never let it."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def owned(self, host: str) -> Owned:
        """What there is of a host."""
        with translated():
            found = await self._calls.redis.hgetall(self._calls.keys.payouts_of(host)[0])
        version, broken_off = int(found.pop(VERSION, 0)), found.pop(REDO, None) is not None
        gone = unpack_gone(kept) if (kept := found.pop(GONE, None)) else NONE_GONE
        made = {name.decode(): unpack_payout(one) for name, one in found.items() if name.decode() not in gone.last}
        return Owned(host, version, made, broken_off, gone)

    async def of_host(self, host: str) -> list[Payout]:
        """A host's payouts, the newest first."""
        return sorted((await self.owned(host)).payouts.values(), key=lambda payout: payout.id, reverse=True)

    async def get(self, payout_id: str) -> Payout:
        """Raises PayoutNotFound."""
        host, _ = await self._located(payout_id)
        return (await self.owned(host)).payout(payout_id)

    async def due(self, now: int, count: int) -> list[Payout]:
        """Payouts that somebody must look at (:func:`gifting.model.payouts.due`), ``count`` of each partition."""
        found: list[Payout] = []
        for base in self._calls.keys.bases:
            with translated():
                places = await self._calls.redis.zrangebyscore(f"{base}:payouts", "-inf", now, 0, count)
            for place in places:
                host, _, payout_id = place.decode().partition("\n")
                if payout := (await self.owned(host)).payouts.get(payout_id):
                    found.append(payout)
        return found

    async def request(self, draft: Payout, hold: Hold, allowed: Callable[[Owned], None]) -> Payout:
        """Take a payout's diamonds out of what is available, or give the one that was asked for under the same id.

        Args:
            draft: the payout; its id is of the host and the key.
            hold: what of the balance is not available yet.
            allowed: raises what speaks against it, and is asked of what the host has as long as that changes.

        Raises:
            KeyReused: something else was asked for under the key.
            KeyExpired: it is so old that what was asked for under it may be forgotten.
            NotEnoughDiamonds: so much is not available.
            OutcomeUnknown: it may be done; the same again finds out.
        """

        def begin(owned: Owned) -> Payout | None:
            if draft.id in owned.payouts:
                return None
            if key_time(parse_key(draft.id)) <= owned.gone.until:
                raise KeyExpired("A payout that was asked for with it may be forgotten.")
            allowed(owned)
            return draft

        await self._forget_old(draft.host, draft.created)
        payout = await self._change(draft.host, draft.id, begin, hold=hold)
        await self._refer(payout, payout.id)
        if payout.digest != draft.digest:
            raise KeyReused("Another payout was asked for with this key.")
        return payout

    async def _forget_old(self, host: str, now: int) -> None:
        """Let go what is over and old, where a host has many."""
        if not await are_many(self._calls, host):
            return
        owned = await self.owned(host)
        old = to_forget(owned.payouts.values(), now)
        if old and not owned.broken_off:
            names = [f"{REFERENCE}{name}" for one in old for name in (one.id, *one.references)]
            await forget(self._calls, host, owned.version, owned.gone, old, names)

    async def refer(self, payout: Payout) -> None:
        """Let a payout's id lead to it, if what wrote it broke off before that did."""
        await self._refer(payout, payout.id)

    async def decide(self, payout_id: str, at: int, by: str, *, rejected: bool, reason: str = "") -> Payout:
        """What an operator decides of a payout that is not on its way; the same again changes nothing.

        Raises:
            PayoutNotFound.
            PayoutDecided: it was decided otherwise, or is on its way.
        """

        def made(payout: Payout) -> Payout:
            if payout.decided_at and payout.rejected is rejected:
                return payout
            if payout.decided_at or state(payout) not in (State.REQUESTED, State.REVIEW):
                raise PayoutDecided(f"It is {state(payout)}.")
            return booked(replace(payout, decided_at=at, rejected=rejected, by=by, reason=reason))

        return (await self._put(payout_id, made)).payout

    async def sending(self, payout_id: str, at: int) -> Told:
        """Note that the provider is about to be asked; not changed: somebody else is at it, or it is not to be sent."""
        return await self._put(payout_id, lambda one: replace(one, sending_at=at) if may_send(one, at) else one)

    async def asked(self, payout_id: str, at: int) -> Payout:
        """Note that it was looked at, so that others come first."""
        return (await self._put(payout_id, lambda one: replace(one, asked_at=max(one.asked_at, at)))).payout

    async def apply(self, fact: Fact) -> Told:
        """Make true of a payout what a provider says; again changes nothing.

        Raises:
            PayoutNotFound: nothing is known under its id or the reference.
            PayoutMismatch: it does not fit; nothing is changed.
        """
        _, payout_id = await self._located(fact.payout or fact.reference)
        return await self._put(payout_id, lambda payout: booked(add(payout, fact)), fact.reference)

    async def _put(self, payout_id: str, made: Callable[[Payout], Payout], reference: str = "") -> Told:
        host, _ = await self._located(payout_id)
        news: list[bool] = []

        def decide(owned: Owned) -> Payout | None:
            before = owned.payout(payout_id)
            after = made(before)
            news[:] = [after != before]
            return after if news[0] else None

        payout = await self._change(host, payout_id, decide, reference)
        return Told(payout, news[0])

    async def _change(
        self, host: str, payout_id: str, decide: Decide, reference: str = "", hold: Hold | None = None
    ) -> Payout:
        self._calls.halt.check()  # what broke off must not be told of as known
        for tried in range(TRIES):
            owned = await self.owned(host)
            if owned.broken_off:
                await self._calls.timed("payout_put", self._calls.keys.payout_put(host), (host,))
                continue
            payout = decide(owned)
            if payout is None:
                return owned.payout(payout_id)
            await self._refer(payout, reference)
            status, available = await self._write(owned, payout, hold)
            if status == Status.NOT_ENOUGH_DIAMONDS:
                raise NotEnoughDiamonds(f"{available} milli-diamonds are available.")
            if status != Status.CONFLICT:
                check(status)
                return payout
            await asyncio.sleep(random.random() * PAUSE * (tried + 1))  # noqa: S311
        raise Conflict(f"The payouts of {host} changed {TRIES} times meanwhile.")

    async def _write(self, owned: Owned, payout: Payout, hold: Hold | None) -> tuple[int, int]:
        before = owned.payouts.get(payout.id)
        keys = entry_keys(payout.id)
        leaving = payout.diamonds if before is None else -change(replace(payout, back=before.back))
        amount = payout.amount if leaving >= 0 else -payout.amount
        moved = (keys.out if leaving >= 0 else keys.back, leaving, amount, payout.currency, payout.provider)
        written = (payout.id, pack_payout(payout), due(payout))
        options = (owned.host, owned.version, *written, *moved, *(hold or Hold(0)), KEPT_DAYS)
        names = self._calls.keys.payout_put(owned.host)
        status, available = unpack(await self._calls.timed("payout_put", names, options, unsure=OutcomeUnknown))
        return int(status), int(available)

    async def _refer(self, payout: Payout, reference: str) -> None:
        """Let a reference, if there is one, lead to the payout. Raises PayoutMismatch: it leads to another."""
        if not reference:
            return
        place, full = f"{payout.host}\n{payout.id}", f"{REFERENCE}{reference}"
        key = self._calls.keys.references(full)
        with translated():
            if not await self._calls.redis.hsetnx(key, full, place):
                found = await self._calls.redis.hget(key, full)
                if found != place.encode():
                    raise PayoutMismatch(f"{reference} is of another payout than {payout.id}.")

    async def _located(self, name: str) -> tuple[str, str]:
        """Host and payout that an id or a reference leads to. Raises PayoutNotFound."""
        full = f"{REFERENCE}{name}"
        with translated():
            found = await self._calls.redis.hget(self._calls.keys.references(full), full)
        if found is None:
            raise PayoutNotFound(f"There is no payout {name[:64]}.")
        host, _, payout_id = found.decode().partition("\n")
        return host, payout_id


def under_way(owned: Owned) -> int:
    """How many payouts of a host are under way."""
    return sum(1 for payout in owned.payouts.values() if state(payout) in OPEN)
