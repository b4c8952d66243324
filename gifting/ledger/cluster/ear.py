"""What one master of a cluster tells of what is published there: a connection, and the partitions heard over it."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from gifting.ledger.address import Address
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.connector import Connector
from gifting.ledger.pulse import Pulse
from gifting.ledger.resp import command
from gifting.tasks import end

_ASK_ROLE: Final = command("ROLE")


class Partition:
    """One that is to be heard: its ``channels``, all of one slot, and how many want it.

    ``heard`` is set while it is; ``deaf_since`` is since when it was not, seconds of the loop's clock.
    """

    def __init__(self, base: str, channels: tuple[str, ...], heartbeat: str, now: float) -> None:
        self.base = base
        self.slot = slot_of(base)
        self.beat = command("SPUBLISH", heartbeat, b"")
        self.channels = (*channels, heartbeat)
        self.wanted = 0
        self.ear: Ear | None = None
        self.asked = 0
        self.asking = False
        self.heard = asyncio.Event()
        self.heard_before = False
        self.deaf_since = now

    def deafen(self, now: float) -> None:
        """It is not heard, nor is what was asked for of any interest now."""
        self.asked += 1
        self.asking = False
        if self.heard.is_set():
            self.heard.clear()
            self.deaf_since = now


class Listener(Protocol):
    """Who has ears."""

    def ear_came_up(self, ear: Ear) -> None: ...
    def ear_failed(self, ear: Ear) -> None: ...
    def hear(self, ear: Ear, channel: bytes, payload: bytes) -> None: ...
    def leave(self, ear: Ear, channel: bytes) -> None: ...
    def begin(self, partition: Partition) -> None: ...
    def refuse(self, partition: Partition, why: Exception) -> None: ...
    def doubt(self) -> None: ...


class Ear:
    """Hears what a node at ``address`` publishes of its partitions, for ``listener``, which places them."""

    def __init__(self, address: Address, timeout: float, heartbeat_timeout: float, listener: Listener) -> None:
        self.partitions: set[Partition] = set()
        self._listener = listener
        self.connector = connector = Connector(address, timeout)
        self.pulse = Pulse(connector, heartbeat_timeout, self._beat, {_ASK_ROLE: self._note_role}, alone=True)
        connector.subscribe((), self._hear, lambda channel: listener.leave(self, channel))
        connector.came_up.append(self._begin)
        connector.tried.append(lambda: listener.ear_failed(self))

    async def run(self) -> None:
        """Until it is cancelled. Raises what a receiver raised."""
        tasks = [asyncio.create_task(self.connector.run()), asyncio.create_task(self.pulse.run())]
        try:
            for task in asyncio.as_completed(tasks):
                await task
        finally:
            await end(tasks)

    def take(self, partition: Partition, now: float) -> None:
        """It is to be heard here from now on."""
        partition.ear = self
        partition.deafen(now)
        self.partitions.add(partition)

    def drop(self, partition: Partition, now: float) -> None:
        """It is not to be heard here any more."""
        self.partitions.discard(partition)
        if partition.heard.is_set() or partition.asking:
            for channel in partition.channels:
                self.connector.hear_no_more(channel)
        partition.ear = None
        partition.deafen(now)

    def ask(self, partition: Partition) -> None:
        """Subscribe; the listener is told what came of it. Only while the connector is up."""
        partition.asked += 1
        partition.asking = True
        done = _Answers(partition, self._listener)
        for channel in partition.channels:
            self.connector.hear(channel, done)

    def _begin(self) -> None:
        self.pulse.hear()
        self._listener.ear_came_up(self)

    def _hear(self, channel: bytes, payload: bytes) -> None:
        self._listener.hear(self, channel, payload)

    def _beat(self) -> bytes:
        """On the channel of any partition that is heard."""
        return next((partition.beat for partition in self.partitions if partition.heard.is_set()), b"")

    def _note_role(self, role: Any) -> None:
        """A replica hears by the cluster's bus only, which may lose things unnoticed. It may be refused."""
        if isinstance(role, list) and role[0] != b"master":
            self._listener.doubt()


class _Answers:
    """Takes what is answered for each channel of a partition, as long as that is of interest."""

    def __init__(self, partition: Partition, listener: Listener) -> None:
        self._partition = partition
        self._listener = listener
        self._asked = partition.asked
        self._left = len(partition.channels)

    def __call__(self, refused: Exception | None) -> None:
        if self._partition.asked != self._asked:
            return
        self._left -= 1
        if refused is not None:
            self._listener.refuse(self._partition, refused)
        elif not self._left:
            self._listener.begin(self._partition)
