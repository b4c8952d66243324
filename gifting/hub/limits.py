"""How much one user may do: messages and new connections by a token bucket, open connections by count."""

from __future__ import annotations

from gifting.errors import RateLimited, TooManyConnections


class Bucket:
    """A token bucket: ``rate`` per second, ``burst`` at once."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more is allowed at ``now`` (seconds)."""
        tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if tokens < 1:
            self._tokens = tokens
            return False
        self._tokens = tokens - 1
        return True


VISITORS_MAX = 10_000
"""Users without a connection whose buckets are remembered; beyond it the oldest are forgotten."""


class User:
    """One user's allowance while connected."""

    __slots__ = ("bucket", "connections")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.connections = 0


class Limits:
    """The users that are connected to this process."""

    def __init__(self, rate: float, burst: int, user_connections: int, connections: int) -> None:
        self._rate = rate
        self._burst = burst
        self._user_connections = user_connections
        self._connections = connections
        self._users: dict[str, User] = {}
        self._visitors: dict[str, Bucket] = {}
        self.connected = 0

    def enter(self, user: str, now: float) -> Bucket:
        """One more connection. Raises TooManyConnections, RateLimited."""
        if self.connected >= self._connections:
            raise TooManyConnections("This server is full.")
        entry = self._find(user, now)
        if entry.connections >= self._user_connections:
            raise TooManyConnections(f"This user has {entry.connections} connections here.")
        if not entry.bucket.take(now):
            self._remember(user, entry)
            raise RateLimited("This user connects too often.")
        entry.connections += 1
        self._users[user] = entry
        self.connected += 1
        return entry.bucket

    def leave(self, user: str) -> None:
        entry = self._users[user]
        entry.connections -= 1
        self.connected -= 1
        self._remember(user, entry)

    def _remember(self, user: str, entry: User) -> None:
        """Who has gone finds the bucket as it was: to come back often is no way to send more."""
        if not entry.connections:
            self._users.pop(user, None)
            self._visitors[user] = entry.bucket
            while len(self._visitors) > VISITORS_MAX:
                del self._visitors[next(iter(self._visitors))]

    def visit(self, user: str, now: float) -> bool:
        """Whether a user may do one more thing, connected or not."""
        entry = self._find(user, now)
        allowed = entry.bucket.take(now)
        self._remember(user, entry)
        return allowed

    def _find(self, user: str, now: float) -> User:
        entry = self._users.get(user)
        if entry is None:
            bucket = self._visitors.pop(user, None)
            entry = User(bucket or Bucket(self._rate, self._burst, now))
        return entry
