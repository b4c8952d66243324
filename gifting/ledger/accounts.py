"""What protects a user's account: read, changed, frozen. What the record holds is not known here."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from gifting.errors import Unconfirmed
from gifting.ledger.account import Account, Frozen, read_account
from gifting.ledger.calls import Calls, check, translated
from gifting.ledger.keys import account_keys
from gifting.model.money import make_key, parse_key
from gifting.model.packing import unpack

NO_RECORD: Final = b""


class Stored(NamedTuple):
    """The field beside the balance, and the record of what was spent and may be; None where there is none."""

    account: Account
    record: bytes | None


class Accounts:
    """Of all users. A change is entered in the ledger: ``what`` it is, its ``value``, and ``by`` whom."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def read(self, user: str) -> Stored:
        """Both at one moment. Raises Unavailable."""
        base = self._calls.keys.base(user)
        pipe = self._calls.redis.pipeline(transaction=True)
        pipe.hget(f"{base}:coins", user).hget(f"{base}:accounts", user)
        with translated():
            field, record = await pipe.execute()
        return Stored(read_account(field), record)

    async def records(self, users: Sequence[str]) -> list[bytes | None]:
        """The records of several, in their order, each at a moment of its own. Raises Unavailable."""
        pipe = self._calls.redis.pipeline(transaction=False)
        for user in users:
            pipe.hget(f"{self._calls.keys.base(user)}:accounts", user)
        with translated():
            found: list[bytes | None] = await pipe.execute()
        return found

    async def put(self, user: str, record: bytes, *, what: str, value: str, by: str) -> int:
        """Replace the record, but for what was spent. It must have the version of that which it was made of; returns
        its new one. It holds for every gift taken after that.

        Raises:
            Conflict: it was changed meanwhile.
            Unconfirmed: nobody knows whether it was done.
            Unavailable: it was not.
        """
        return await self._change(user, record, Frozen(0), Frozen(0), what, value, by)

    async def freeze(self, user: str, why: Frozen, *, what: str, value: str, by: str) -> None:
        """Spend nothing until :meth:`thaw`. Raises as :meth:`put`."""
        await self._change(user, NO_RECORD, why, Frozen(0), what, value, by)

    async def thaw(self, user: str, why: Frozen, *, what: str, value: str, by: str) -> None:
        """For this reason no longer frozen. Raises as :meth:`put`."""
        await self._change(user, NO_RECORD, Frozen(0), why, what, value, by)

    async def _change(
        self, user: str, record: bytes, freeze: Frozen, thaw: Frozen, what: str, value: str, by: str
    ) -> int:
        key = parse_key(make_key(time.time_ns() // 1_000_000, os.urandom(10)))
        keys = account_keys(self._calls.keys.base(user))
        options = (user, record, int(freeze), int(thaw), key, what, value, by)
        status, version = unpack(await self._calls.timed("account_put", keys, options, unsure=Unconfirmed))
        check(status)
        return int(version)
