"""How much one user may do, by (user, role, room): messages and bytes that come in, and open connections.

What comes in is paid for before it is looked at, so that what is refused costs its sender as much as what is taken. Who
has used up an allowance is not refused but not read for a while: see ``transport/throttle.py``.
"""

from __future__ import annotations

from gifting.errors import RateLimited, TooManyConnections
from gifting.wire.tokens import Identity

Who = str
"""User, role and room of a token: each such has an allowance of its own, so that a link that is given away can't use up
its owner's."""


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


class Rates:
    """What everybody is allowed: messages and bytes, so many per second and so many at once."""

    __slots__ = ("byte_cost", "byte_span", "message_cost", "message_span")

    def __init__(self, message_rate: float, message_burst: float, byte_rate: float, byte_burst: float) -> None:
        self.message_cost = 1 / message_rate
        self.message_span = message_burst / message_rate
        self.byte_cost = 1 / byte_rate
        self.byte_span = byte_burst / byte_rate


class Allowance:
    """What one (user, role, room) may still send here: two token buckets, of messages and of bytes.

    Each is kept as the time (seconds) at which it is full again, which says all. It is used up when that is a whole
    burst away. The last that is taken may overdraw it.
    """

    __slots__ = ("_bytes_full_at", "_messages_full_at", "_rates", "connections")

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._messages_full_at = 0.0
        self._bytes_full_at = 0.0
        self.connections = 0

    def take(self, now: float, size: int = 0, messages: float = 1) -> bool:
        """Pay for ``messages`` of ``size`` bytes in all. False, and nothing is taken, if the allowance is used up."""
        rates, messages_full_at, bytes_full_at = self._rates, self._messages_full_at, self._bytes_full_at
        if messages_full_at < now:
            messages_full_at = now
        elif messages_full_at - now >= rates.message_span:
            return False
        if bytes_full_at < now:
            bytes_full_at = now
        elif bytes_full_at - now >= rates.byte_span:
            return False
        self._messages_full_at = messages_full_at + messages * rates.message_cost
        self._bytes_full_at = bytes_full_at + size * rates.byte_cost
        return True

    def charge(self, now: float, messages: float) -> None:
        """Pay for what turned out to cost more than was taken. A debt is a burst at most; what is above is let off."""
        rates, full_at = self._rates, self._messages_full_at
        latest = now + 2 * rates.message_span
        full_at = (full_at if full_at > now else now) + messages * rates.message_cost
        self._messages_full_at = full_at if full_at < latest else latest

    def used_up(self, now: float) -> bool:
        """Whether nothing can be taken at ``now``."""
        rates = self._rates
        return self._messages_full_at - now >= rates.message_span or self._bytes_full_at - now >= rates.byte_span


VISITORS_MAX = 10_000
"""Allowances without a connection that are remembered; beyond it the oldest are forgotten."""


class Limits:
    """The allowances of all who are connected to this process, and of those who were here last."""

    def __init__(self, rates: Rates, user_connections: int) -> None:
        self._rates = rates
        self._user_connections = user_connections
        self._users: dict[Who, Allowance] = {}
        self._visitors: dict[Who, Allowance] = {}
        self._addresses: dict[str, Allowance] = {}
        self.connected = 0

    def enter(self, identity: Identity, now: float) -> Allowance:
        """One more connection. Raises TooManyConnections, RateLimited."""
        who = _who(identity)
        entry = self._find(who)
        if entry.connections >= self._user_connections:
            raise TooManyConnections(f"This user has {entry.connections} connections here.")
        if not entry.take(now):
            self._remember(who, entry)
            raise RateLimited("This user connects too often.")
        entry.connections += 1
        self._users[who] = entry
        self.connected += 1
        return entry

    def leave(self, identity: Identity) -> None:
        who = _who(identity)
        entry = self._users[who]
        entry.connections -= 1
        self.connected -= 1
        self._remember(who, entry)

    def visit(self, identity: Identity, now: float, messages: float = 1) -> bool:
        """Whether a user may do one more thing, connected or not; as :meth:`Allowance.take`."""
        who = _who(identity)
        entry = self._find(who)
        allowed = entry.take(now, messages=messages)
        self._remember(who, entry)
        return allowed

    def visit_from(self, address: str, now: float) -> bool:
        """Whether one more thing may come from an address without a token."""
        entry = self._addresses.pop(address, None) or Allowance(self._rates)
        self._addresses[address] = entry
        while len(self._addresses) > VISITORS_MAX:
            del self._addresses[next(iter(self._addresses))]
        return entry.take(now)

    def _remember(self, who: Who, entry: Allowance) -> None:
        """Who has gone finds the allowance as it was: to come back often is no way to send more."""
        if not entry.connections:
            self._users.pop(who, None)
            self._visitors[who] = entry
            while len(self._visitors) > VISITORS_MAX:
                del self._visitors[next(iter(self._visitors))]

    def _find(self, who: Who) -> Allowance:
        return self._users.get(who) or self._visitors.pop(who, None) or Allowance(self._rates)


def _who(identity: Identity) -> Who:
    if identity.role == "viewer" and not identity.room:
        return identity.user  # as most are, and so without a string of its own
    return f"{identity.role}/{identity.room}/{identity.user}"  # ids have no slash
