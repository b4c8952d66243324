"""Who is banned: known on every node a second later. That the account spends nothing is in the account itself."""

from __future__ import annotations

from typing import Final

from gifting.errors import Unconfirmed
from gifting.ledger.account import Frozen
from gifting.ledger.accounts import Accounts
from gifting.ledger.calls import Calls, check, translated
from gifting.model.packing import pack, unpack

BANNED_MAX: Final = 100_000
"""Users that may be banned at once; about 10 MB on each node."""

UNBANNED_KEPT: Final = 10_000
"""Users banned no longer that nodes can still hear of."""

PAGE: Final = 1000
"""Changes read at a time."""

_LAST: Final = b"~"
"""The member that has the last revision; no user is called so."""


class Bans:
    """The bans of all nodes, and what this node knows of them."""

    def __init__(self, calls: Calls, accounts: Accounts) -> None:
        self._calls = calls
        self._accounts = accounts
        self._keys = [calls.keys.banned, calls.keys.unbanned]
        self._seen = [0.0, 0.0]
        self._users: set[str] = set()

    def covers(self, user: str) -> bool:
        """Whether a user is banned, as far as this node knows."""
        return user in self._users

    async def ban(self, user: str, reason: str, by: str) -> None:
        """Close an account for gifts, purchases and what is said. Again changes nothing but the ledger's note of it.

        Raises:
            ListFull, Unavailable
        """
        await self._note(user, banned=True)
        self._users.add(user)
        await self._accounts.freeze(user, Frozen.BANNED, what="ban", value=reason, by=by)

    async def unban(self, user: str, reason: str, by: str) -> None:
        """Open an account again. Raises Unavailable."""
        await self._accounts.thaw(user, Frozen.BANNED, what="unban", value=reason, by=by)
        await self._note(user, banned=False)
        self._users.discard(user)

    async def _note(self, user: str, *, banned: bool) -> None:
        options = pack((user, int(banned), BANNED_MAX, UNBANNED_KEPT))
        check(unpack(await self._calls.run("ban", self._keys, options, unsure=Unconfirmed))[0])

    async def page(self, after: int, limit: int) -> tuple[list[str], int]:
        """Users who are banned, by the order of that, ``limit`` at most; and where to go on, 0 after the last."""
        with translated():
            found = await self._changes(self._keys[0], after, limit)
        return [user for user, _ in found], int(found[-1][1]) if len(found) == limit else 0

    async def sync(self) -> None:
        """Learn what was changed since the last call. Raises Unavailable."""
        with translated():
            for place, (key, learn) in enumerate(zip(self._keys, (self._users.add, self._users.discard), strict=True)):
                while found := await self._changes(key, self._seen[place], PAGE):
                    for user, _ in found:
                        learn(user)
                    self._seen[place] = found[-1][1]

    async def _changes(self, key: str, after: float, limit: int) -> list[tuple[str, float]]:
        above = f"({after:.0f}"
        page = await self._calls.redis.zrange(key, above, "+inf", byscore=True, offset=0, num=limit, withscores=True)
        return [(name.decode(), score) for name, score in page if name != _LAST]
