"""What protects users: rules of :mod:`gifting.model.limits`, applied to the stored record of one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gifting.errors import Conflict
from gifting.ledger.accounts import Accounts
from gifting.model.protection import Protection, read_protection, write_protection
from gifting.model.windows import rolled

TRIES: Final = 40
"""Changes that are made anew because another came first."""

Rule = Callable[[Protection, int], Protection]
"""What becomes of a record at a time, in ms since 1970."""


class Protections:
    """Of all users. ``now_ms`` is Redis' time."""

    def __init__(self, accounts: Accounts, now_ms: Callable[[], int]) -> None:
        self._accounts = accounts
        self.now_ms = now_ms

    async def read(self, user: str) -> Protection:
        """As it stands now, with all that was spent. Raises Unavailable."""
        account, record = await self._accounts.read(user)
        return rolled(read_protection(record), account.since, account.roll_at, self.now_ms())

    async def change(self, user: str, rule: Rule, *, what: str, value: str, by: str) -> Protection:
        """Apply a rule; the ledger is told ``what`` it was, its ``value``, and ``by`` whom, unless nothing changes. It
        holds for every gift that is taken after that.

        Raises:
            Conflict: others changed it as often as this tried to.
            Unconfirmed: nobody knows whether it was done.
            Unavailable, and what the rule raises: it was not.
        """
        for _ in range(TRIES):
            stored = (await self._accounts.read(user)).record
            record = read_protection(stored)
            changed = rule(record, self.now_ms())
            if changed == record:
                break
            try:
                await self._accounts.put(user, write_protection(changed), what=what, value=value, by=by)
            except Conflict:
                continue
            break
        else:
            raise Conflict("It is changed too often just now.")
        return await self.read(user)
