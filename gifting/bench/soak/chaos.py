"""Faults at random moments, one after another, and proof after each that both nodes take money again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from statistics import median
from typing import Final

from gifting.bench.server import Server
from gifting.bench.soak.faults import Breakage, Kind
from gifting.bench.soak.options import Faults
from gifting.bench.soak.probe import Probe

PAUSE_S: Final = 0.2
"""Mean pause between two faults, from the recovery to the next."""


class Chaos:
    """Faults, and what became of the two nodes after each.

    ``recovery`` has of each kind the seconds from the end of each fault until both nodes worked again.
    """

    def __init__(self, nodes: list[Server], breakage: Breakage) -> None:
        self._breakage = breakage
        self._rng = random.Random()  # noqa: S311
        self.probes = [Probe(node, f"probe-{number}") for number, node in enumerate(nodes)]
        self.recovery: defaultdict[str, list[float]] = defaultdict(list)
        self.problems = breakage.problems

    async def run(self, end: float) -> None:
        """One fault after another until ``end`` (monotonic seconds); then all is well again.

        Raises:
            StartError: a node did not come back.
        """
        deck: list[Kind] = []
        try:
            while time.monotonic() < end:
                await asyncio.sleep(self._rng.expovariate(1 / PAUSE_S))
                if not deck:
                    deck = self._deal()
                kind = deck.pop()
                await kind.do()
                await self._recover(kind.name)
        finally:
            await self._breakage.heal()

    @property
    def total(self) -> int:
        """Faults so far."""
        return sum(map(len, self.recovery.values()))

    def report(self) -> list[Faults]:
        """Each kind that came, by name."""
        return [
            Faults(kind=kind, times=len(took), median_ms=median(took) * 1e3, longest_ms=max(took) * 1e3)
            for kind, took in sorted(self.recovery.items())
        ]

    def _deal(self) -> list[Kind]:
        """A round, in any order; the first round has each once, so that short runs meet many."""
        deck = [kind for kind in self._breakage.kinds() for _ in range(kind.weight if self.recovery else 1)]
        self._rng.shuffle(deck)
        return deck

    async def _recover(self, name: str) -> None:
        begun = time.monotonic()
        problems = await asyncio.gather(*(probe.wait_until_well() for probe in self.probes))
        self.recovery[name].append(time.monotonic() - begun)
        self.problems += [f"After {name!r}: {problem}" for problem in problems if problem]
