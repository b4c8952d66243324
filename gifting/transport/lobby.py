"""All sockets of this process, counted from the moment they are accepted; those that have asked for nothing yet are
watched, for they need no token to be here.

Watching is one look at all of them per second, so that a socket that waits costs no timer.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from gifting.config import Settings
from gifting.errors import BadSetting, GiftingError, ServerFull, TooManyConnections
from gifting.health import Health
from gifting.logs import Refusals
from gifting.transport.addresses import place_of, trusted_proxies

log = logging.getLogger(__name__)

LOOK: Final = 1.0
"""Seconds between two looks at those who wait."""

LOOKED_AT_ONCE: Final = 1000
"""Sockets looked at before others get their turn: below half a millisecond."""

TURNED_AWAY_AT_ONCE: Final = 64
"""Sockets beyond the cap that are listened to until they can be told why they may not stay."""

FILES_RESERVED: Final = 64
"""Open files kept for what is no client: Redis, logs, what a library opens for a moment."""


class Waiting(Protocol):
    """A socket that is no WebSocket yet. ``deadline``, in seconds of the loop's clock: none while it may be silent."""

    deadline: float | None

    def expire(self) -> None: ...


class Address:
    """One client address, or what counts as one, and how many sockets come from there."""

    __slots__ = ("name", "sockets")

    def __init__(self, name: str) -> None:
        self.name = name
        self.sockets = 0


class Lobby:
    """Counts sockets, in all and per address, and says who may not stay."""

    def __init__(self, settings: Settings, time: Callable[[], float], refusals: Refusals) -> None:
        self.settings = settings
        self.time = time
        self.refusals = refusals
        self.most = settings.connections
        self.sockets = 0
        self.turned_away = 0
        self.expired = 0
        self._address_most = settings.address_connections
        self._trusts = trusted_proxies(settings.forwarded_allow_ips)
        self._addresses: dict[str, Address] = {}
        self._waiting: set[Waiting] = set()
        self._told: Counter[str] = Counter()

    def __len__(self) -> int:
        """Sockets that are no WebSocket yet."""
        return len(self._waiting)

    @property
    def crowded(self) -> bool:
        """Whether there is not even room for those who are only to be told that there is none."""
        return self.sockets > self.most + TURNED_AWAY_AT_ONCE

    def enter(self, waiting: Waiting, host: str) -> tuple[Address | None, GiftingError | None]:
        """A socket was accepted: its address, if its sockets are counted, and why it may not stay, if so."""
        self._waiting.add(waiting)
        self.sockets += 1
        address = self._address(host)
        if self.sockets > self.most:
            return address, self._turn_away(ServerFull(f"This server has {self.most} sockets, as many as it may."))
        if address is not None and address.sockets > self._address_most:
            return address, self._turn_away(TooManyConnections(f"{address.name} has {self._address_most} sockets."))
        return address, None

    def fit(self, files: int, in_use: int) -> None:
        """Have no more sockets than the limit of open ``files`` allows, of which some are in use. Raises BadSetting."""
        fitting = files - in_use - FILES_RESERVED - TURNED_AWAY_AT_ONCE
        if fitting < 1:
            raise BadSetting(f"No client fits into the limit of {files} open files; raise it (ulimit -n).")
        if fitting < self.most:
            log.warning("at most %d sockets, for the limit of open files is %d (ulimit -n)", fitting, files)
            self.most = fitting

    def _address(self, host: str) -> Address | None:
        if not self._address_most or not host or self._trusts(host):
            return None
        place = place_of(host)
        address = self._addresses.get(place)
        if address is None:
            address = self._addresses[place] = Address(place)
        address.sockets += 1
        return address

    def _turn_away(self, error: GiftingError) -> GiftingError:
        self.turned_away += 1
        self._told[error.detail] += 1
        return error

    def upgrade(self, waiting: Waiting) -> None:
        """The socket has become a WebSocket: whoever has it now says when it is gone."""
        self._waiting.discard(waiting)

    def replace(self, waiting: Waiting, by: Waiting) -> None:
        """The socket is still no WebSocket, but is waited for by another."""
        self._waiting.discard(waiting)
        self._waiting.add(by)

    def leave(self, waiting: Waiting, address: Address | None) -> None:
        self._waiting.discard(waiting)
        self.gone(address)

    def gone(self, address: Address | None) -> None:
        """A socket that was accepted is closed."""
        self.sockets -= 1
        if address is not None:
            address.sockets -= 1
            if not address.sockets:
                del self._addresses[address.name]

    # Regular work.

    async def watch(self, health: Health) -> None:
        """For ever: end what has waited for too long, and tell the operator what clients can't."""
        while True:
            await asyncio.sleep(LOOK)
            await self._expire()
            self._tell()
            check_files(health)

    async def _expire(self) -> None:
        waiting = tuple(self._waiting)
        for start in range(0, len(waiting), LOOKED_AT_ONCE):
            now = self.time()
            for one in waiting[start : start + LOOKED_AT_ONCE]:
                if one.deadline is not None and one.deadline <= now:
                    self.expired += 1
                    one.expire()
            await asyncio.sleep(0)

    def _tell(self) -> None:
        """One line per reason and look, however many were turned away."""
        told, self._told = self._told, Counter()
        for reason, count in told.most_common(5):
            log.warning("turned away %d sockets: %s", count, reason)


def check_files(health: Health) -> None:
    """Whether another file can be opened, for else no client can be accepted either, and none would be told."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "error")
        health.fail("sockets", f"No more can be accepted ({name}): raise the limit of open files.")
    else:
        health.mend("sockets")
