"""Revoked tokens: kept in Redis as long as they could live, known on every node a second later.

A revocation names one token, or all tokens of a user, or of everybody, that were issued up to it. Each is noted under
a revision; a node asks for those above the last it saw, so an idle second costs one small call however many there are.

Bounds: what a room may revoke is what it issued (:mod:`gifting.ledger.overlays`); of what operators revoke one by one,
:data:`REVOKED_MAX` of each kind. Where that is full, the wider kind still goes: a user, and at last everybody, which is
one entry. So no flood takes the way to revoke away.
"""

from __future__ import annotations

from typing import Final

from gifting.config import TOKEN_LEEWAY_MAX, TOKEN_TTL_MAX
from gifting.errors import TooManyTokens, Unconfirmed
from gifting.ledger.calls import Calls, translated
from gifting.model.packing import unpack
from gifting.wire.tokens import Identity

REVOKED_MAX: Final = 100_000
"""Revocations of single tokens, and of users, that are remembered at once; about 20 MB on each node."""

OVERLAYS_MAX: Final = 200_000
"""Revoked overlay tokens remembered at once, over all hosts; each host has few."""

KEPT_BEYOND: Final = 3600.0
"""Seconds for which a revocation is kept beyond the end of what it revokes: Redis' clock may step by as much."""

CUTOFF_LIFE: Final = TOKEN_TTL_MAX + TOKEN_LEEWAY_MAX + KEPT_BEYOND
"""Seconds that a user's revocation is kept. What is stored is when it ends, so this must not change."""

EVERYBODY: Final = "*"
"""In place of a user; no id looks like this."""

PAGE: Final = 1000
"""Revisions read at a time."""

PRUNE_EVERY: Final = 300.0
"""Seconds, by Redis' clock, between two looks for what can be forgotten on this node."""

_TOKENS, _OVERLAYS, _USERS = "t", "o", "u"
_LAST = "~"
"""The member of the revisions that has the last one; it sorts after its namesake, so no page ends between the two."""


def _cutoff(forgotten: float) -> float:
    """Up to when what a user was issued is revoked, from when that is forgotten; to the ms, as a token's ``iat``."""
    return round(forgotten - CUTOFF_LIFE, 3)


class Revocations:
    """The revocations of all nodes, and what this node knows of them."""

    def __init__(self, calls: Calls, token_ttl_max: float) -> None:
        self._calls = calls
        self._redis = calls.redis
        self._keys = calls.keys
        self._token_life = token_ttl_max + TOKEN_LEEWAY_MAX + KEPT_BEYOND
        self._seen = 0.0
        self._news = False
        self._pruned_at = 0.0
        self._tokens: dict[str, float] = {}
        self._users: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._tokens) + len(self._users)

    def covers(self, identity: Identity) -> bool:
        """Whether a token is revoked, as far as this node knows."""
        if identity.token_id in self._tokens:
            return True
        if not self._users:
            return False
        before = max(self._users.get(identity.user, 0.0), self._users.get(EVERYBODY, 0.0))
        return identity.issued <= before

    # Each takes effect on this node at once, on others when they sync.

    async def revoke_token(self, token_id: str) -> None:
        """Refuse one token for as long as any token may live. Raises TooManyTokens, Unavailable."""
        await self._revoke(_TOKENS, token_id, life=self._token_life, most=REVOKED_MAX)

    async def revoke_overlay(self, token_id: str, expires: float) -> None:
        """Refuse one token that its room issued until ``expires``. Raises TooManyTokens, Unavailable."""
        await self._revoke(_OVERLAYS, token_id, at=expires + KEPT_BEYOND, most=OVERLAYS_MAX)

    async def revoke_user(self, user: str) -> float:
        """Refuse what was issued to ``user`` up to now. Returns when that is. Raises TooManyTokens, Unavailable."""
        return _cutoff(await self._revoke(_USERS, user, life=CUTOFF_LIFE, most=REVOKED_MAX))

    async def revoke_everybody(self) -> float:
        """Refuse what was issued up to now. Returns when that is. Raises Unavailable."""
        most = REVOKED_MAX + 1
        return _cutoff(await self._revoke(_USERS, EVERYBODY, life=CUTOFF_LIFE, most=most, for_all=True))

    async def _revoke(
        self, kind: str, name: str, *, at: float = 0.0, life: float = 0.0, most: int, for_all: bool = False
    ) -> float:
        options = (kind, name, round(at * 1000), round(life * 1000), most, int(for_all))
        keys = [self._keys.revoked(kind), self._keys.revisions]
        noted, forgotten = unpack(await self._calls.timed("revoke", keys, options, unsure=Unconfirmed))
        if not noted:
            raise TooManyTokens("As many are revoked as are remembered.")
        self._learn(kind, name, forgotten / 1000)
        return float(forgotten / 1000)

    # What others revoked.

    async def sync(self) -> bool:
        """Learn what was revoked since the last call, and whether anything was. Raises Unavailable."""
        with translated():
            await self._read()
        news, self._news = self._news, False
        return news

    async def _read(self) -> None:
        while True:
            pipe = self._redis.pipeline(transaction=False).time().zscore(self._keys.revisions, _LAST)
            above = f"({self._seen:.0f}"
            pipe.zrange(self._keys.revisions, above, "+inf", byscore=True, offset=0, num=PAGE, withscores=True)
            (seconds, _), last, page = await pipe.execute()
            if (last or 0.0) < self._seen:  # another Redis, or an older one: what is known stays known
                self._seen = 0.0
                continue
            await self._learn_page([name for subject, _ in page if (name := subject.decode()) != _LAST])
            self._seen = page[-1][1] if page else self._seen
            if len(page) < PAGE:
                self._prune(float(seconds))
                return

    async def _learn_page(self, subjects: list[str]) -> None:
        if not subjects:
            return
        pipe = self._redis.pipeline(transaction=False)
        for subject in subjects:
            pipe.zscore(self._keys.revoked(subject[0]), subject[1:])
        for subject, forgotten in zip(subjects, await pipe.execute(), strict=True):
            if forgotten is not None:  # else it was forgotten in between
                self._learn(subject[0], subject[1:], forgotten / 1000)

    def _learn(self, kind: str, name: str, forgotten: float) -> None:
        self._news = True
        if kind == _USERS:
            self._users[name] = max(_cutoff(forgotten), self._users.get(name, 0.0))
        else:
            self._tokens[name] = max(forgotten, self._tokens.get(name, 0.0))

    def _prune(self, now: float) -> None:
        if now - self._pruned_at < PRUNE_EVERY:
            return
        self._pruned_at = now
        cutoff = max(now - CUTOFF_LIFE, self._users.get(EVERYBODY, 0.0))
        self._tokens = {token: until for token, until in self._tokens.items() if until > now}
        self._users = {user: before for user, before in self._users.items() if before > cutoff or user == EVERYBODY}
