"""What was measured, and how it compares with what was measured before."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from benchmarks.micro import instructions, ratios

Method = Literal["instructions", "ratios"]

TOLERANCE: Final[dict[Method, float]] = {"instructions": 5.0, "ratios": 15.0}
"""Percent a case may get worse. Counts repeat, but what changes elsewhere moves hashes; ratios spread by some 5 %."""

LIBRARIES: Final = ("msgspec", "msgpack", "websockets", "redis", "hiredis", "uvloop")
"""Whose versions change the figures."""

UNITS: Final[dict[Method, str]] = {"instructions": "instructions/call", "ratios": "× reference"}


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One figure per case, smaller is better, and what they depend on."""

    method: Method
    cases: dict[str, float]
    made_with: dict[str, str]

    @classmethod
    def take(cls, method: Method, names: Sequence[str], scale: float) -> Measurement:
        """Measure now. Raises CountError."""
        measure = instructions.count if method == "instructions" else ratios.measure
        return cls(method=method, cases=measure(names, scale), made_with=made_with())

    @classmethod
    def read(cls, path: Path) -> Measurement:
        """Raises OSError, and msgspec.DecodeError for another kind of file."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")


def made_with() -> dict[str, str]:
    """Versions of all that a figure depends on besides the project itself."""
    own = {"python": f"{platform.python_implementation()} {platform.python_version()}", "machine": platform.machine()}
    return own | {name: version(name) for name in LIBRARIES}


def best_method() -> Method:
    return "instructions" if instructions.available() else "ratios"


class Row(NamedTuple):
    """A case beside its former self; ``change`` is in percent, None where one of the two is missing."""

    name: str
    now: float | None
    before: float | None
    change: float | None

    def worse_than(self, tolerance: float) -> bool:
        return self.change is not None and self.change > tolerance


def compare(now: Mapping[str, float], before: Mapping[str, float]) -> Iterator[Row]:
    """Every case of either side, in the order of the newer one."""
    for name in (*now, *(name for name in before if name not in now)):
        new, old = now.get(name), before.get(name)
        yield Row(name, new, old, (new / old - 1) * 100 if new is not None and old else None)
