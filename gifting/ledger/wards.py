"""Whose guardian somebody is, or is asked to be.

That is decided by the wards' own records, which lie in other partitions. A guardian's list only says where to look: it
is written after the record, and what the record does not bear out is struck off, unless it was noted meanwhile.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gifting.errors import ListFull, Unconfirmed
from gifting.ledger.accounts import Accounts
from gifting.ledger.calls import Calls, translated
from gifting.ledger.protections import Protections, Rule
from gifting.model.protection import Protection, read_protection

WARDS_MAX: Final = 100
"""Users of whom one may be guardian, or be asked to; one more for each who asks at the same moment."""


class Ward(NamedTuple):
    """``accepted``: the guardian is one; else only asked."""

    user: str
    accepted: bool


class Wards:
    """Of all guardians."""

    def __init__(self, calls: Calls, accounts: Accounts, protections: Protections) -> None:
        self._calls = calls
        self._accounts = accounts
        self._protections = protections

    async def of(self, guardian: str) -> list[Ward]:
        """Those of a guardian, who asked last first. Raises Unavailable."""
        began = self._protections.now_ms()
        with translated():
            listed = await self._calls.redis.zrevrange(self._calls.keys.wards(guardian), 0, -1)
        users = [user.decode() for user in listed]
        found = []
        for user, stored in zip(users, await self._accounts.records(users), strict=True):
            record = read_protection(stored)
            if guardian in _named(record):
                found.append(Ward(user, record.guardian == guardian))
            else:
                await self._strike_off(guardian, user, began)
        return found

    async def link(self, user: str, rule: Rule, *, what: str, value: str, by: str) -> Protection:
        """Change who is a user's guardian, or asked to be. What breaks off half-way is made good by doing it again.

        Raises as :meth:`.Protections.change`.
        """
        began, before = self._protections.now_ms(), _named(await self._protections.read(user))
        record = await self._protections.change(user, rule, what=what, value=value, by=by)
        for guardian in _named(record):
            with translated(Unconfirmed):
                await self._calls.redis.zadd(self._calls.keys.wards(guardian), {user: self._protections.now_ms()})
        for guardian in before - _named(record):
            await self._strike_off(guardian, user, began)
        return record

    async def check_room(self, guardian: str) -> None:
        """Raises ListFull: this one has as many wards as are kept, or is asked by so many."""
        with translated():
            listed = await self._calls.redis.zcard(self._calls.keys.wards(guardian))
        if listed >= WARDS_MAX and len(await self.of(guardian)) >= WARDS_MAX:
            raise ListFull("This user is asked by too many to be their guardian.")

    async def _strike_off(self, guardian: str, user: str, before: int) -> None:
        keys = [self._calls.keys.wards(guardian)]
        await self._calls.run("ward_forget", keys, user, before, unsure=Unconfirmed)


def _named(record: Protection) -> set[str]:
    return {record.guardian, record.invited} - {""}
