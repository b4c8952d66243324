"""What a key and its copy have in common, of whatever type they are: read in chunks, each compared with what is there,
and written where that differs.

A copy says its commands into pipelines and takes their replies, so that many go together: :meth:`~Copy.ask` and
:meth:`~Copy.take` of the source, :meth:`~Copy.look` and :meth:`~Copy.compare` of the destination, then
:meth:`~Copy.write`; again until it is ``read``, and at the end :meth:`~Copy.measure`, of both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final, NamedTuple

from gifting.errors import Unmovable
from gifting.ledger import scripts
from gifting.ledger.moving.names import Names, Place
from gifting.model.packing import pack

Command = tuple[bytes | str | int, ...]
"""A command, without the key that goes behind its name."""

ARRIVED: Final = "ARRIVED"
"""What the error begins with that writing brings where the books are open by now."""

RESTARTS_MAX: Final = 3
"""How often a copy is begun anew in one pass."""

_STAYS: Final = -1
_GONE: Final = -2
"""What PEXPIRETIME says of a key that never expires, and of one that is not there."""


class Measure(NamedTuple):
    """What is known of a whole key: how much is in it, and until when (ms) it is there."""

    size: object
    until: int


class Copy(ABC):
    """``written``: whether anything differed. ``read``: there are no more chunks. ``size``: of what was read, bytes."""

    def __init__(self, place: Place, names: Names) -> None:
        self.place = place
        self._names = names
        self.written = False
        self.size = 0
        self._restarts = 0
        self.restart()

    def restart(self) -> None:
        self.read = False

    def begin_anew(self, pipe: Any) -> None:
        """The copy holds what does not belong there. Raises Unmovable: again and again."""
        self._restarts += 1
        if self._restarts > RESTARTS_MAX:
            key = self.place.key.decode(errors="backslashreplace")
            raise Unmovable(f"The copy of {key} does not become what that is: something else writes one of them.")
        self.written = True
        self.restart()
        self.put(pipe, ("UNLINK",))

    def put(self, pipe: Any, *commands: Command) -> None:
        """Write into the copy."""
        write_into(pipe, self.place.destination, *commands)

    @abstractmethod
    def ask(self, pipe: Any) -> None:
        """For the next chunk."""

    @abstractmethod
    def take(self, reply: Any) -> bool:
        """The chunk; whether there is anything in it."""

    @abstractmethod
    def look(self, pipe: Any) -> None:
        """For the same of the copy."""

    @abstractmethod
    def compare(self, reply: Any) -> bool:
        """Whether something has to be written."""

    @abstractmethod
    def write(self, pipe: Any) -> None:
        """One command or more: what differs."""

    @abstractmethod
    def measure(self, pipe: Any, key: bytes) -> None:
        """One command."""

    def size_of(self, reply: Any, *, copy: bool) -> object:
        """What the source says of its size, and the copy of its own, so that it must be the same. Raises an error that
        is the reply.
        """
        if isinstance(reply, Exception):
            raise reply
        return reply

    def until_of(self, reply: Any) -> int:
        """Raises an error that is the reply."""
        if isinstance(reply, Exception):
            raise reply
        return int(reply)

    def mend(self, pipe: Any, source: Measure, copy: Measure) -> None:
        """Make the copy's measure that of the source, or begin it anew."""
        if source.size != copy.size:
            self.begin_anew(pipe)
        elif source.until == _GONE:
            self.put(pipe, ("UNLINK",))
        elif source.until == _STAYS:
            self.put(pipe, ("PERSIST",))
        else:
            self.put(pipe, ("PEXPIREAT", source.until))
        self.written = True


def write_into(pipe: Any, key: bytes, *commands: Command) -> None:
    """Write into a key of a partition that was not born yet; else it fails with :data:`ARRIVED`."""
    line = key.partition(b"}:")[0] + b"}:line"
    said = [(name, args) for name, *args in commands]
    pipe.eval(scripts.source("move_write"), 2, key, line, pack(said))
