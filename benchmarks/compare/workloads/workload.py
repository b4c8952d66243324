"""What a workload is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.compare.options import Options
from benchmarks.compare.peer import Peer


@dataclass(frozen=True)
class Outcome:
    """One case: what was measured, and what was wrong."""

    case: str
    figures: dict[str, float]
    problem: str = ""


class Workload(ABC):
    """The same work for every peer."""

    name: ClassVar[str]
    title: ClassVar[str]

    def suits(self, peer: type[Peer]) -> bool:
        """Whether the peer can do this at all."""
        return True

    @abstractmethod
    def seconds(self, options: Options) -> float:
        """About how long it takes per peer."""

    @abstractmethod
    def run(self, program: Path, peer: Peer, options: Options) -> AsyncGenerator[Outcome]:
        """Start the peer, load it, measure.

        Raises:
            PeerError: it did not start, or refused what it should have taken.
        """
