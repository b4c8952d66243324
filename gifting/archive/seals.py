"""Seals: what is signed of a partition when a month is over, as a row of the database and as a line outside of it."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

LINE_MAX: Final = 4096
"""Bytes of a line at most."""

_BYTES: Final = ("hash", "state_hash", "signature")


class Seal(NamedTuple):
    """A partition's items ``first_seq`` to ``last_seq`` are those of ``period`` (none, if the first is after the last).

    ``item_id`` and ``hash`` are of the last item until then; ``state_hash`` is of the closing; ``made`` in ms.
    """

    books: str
    partition: int
    period: int
    first_seq: int
    last_seq: int
    item_id: str
    hash: bytes
    state_hash: bytes
    made: int
    key_id: str
    signature: bytes = b""

    @property
    def place(self) -> tuple[int, int]:
        return self.partition, self.period

    def said(self) -> bytes:
        """What is signed: the line without the signature."""
        return _json({name: value for name, value in self._asdict().items() if name != "signature"})

    def line(self) -> bytes:
        return _json(self._asdict()) + b"\n"

    def row(self) -> tuple[Any, ...]:
        """That of the table, which has the books' id elsewhere."""
        return self[1:]


def _json(values: dict[str, Any]) -> bytes:
    shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
    return json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()


def read_seal(line: bytes) -> Seal:
    """A seal by its line. Raises ValueError for what is none, or is written in another way."""
    try:
        values: dict[str, Any] = json.loads(line)
        values |= {name: bytes.fromhex(values[name]) for name in _BYTES}
        seal = Seal(**values)
        good = seal.line() == line.rstrip(b"\n") + b"\n"
    except (TypeError, ValueError, LookupError):
        good = False
    if not good:
        raise ValueError(f"{line[:60]!r} is no seal")
    return seal
