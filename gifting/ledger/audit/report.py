"""What an audit says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

PROBLEMS_MAX: Final = 100
"""Problems that are told; the rest is only counted."""


class Problem(NamedTuple):
    """What did not hold: a stable name, and a sentence."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was looked at, and what did not hold; ``total`` counts all problems."""

    grants: int
    gifts: int
    events: int
    rooms: int
    users: int
    total: int
    problems: list[Problem]

    @property
    def clean(self) -> bool:
        return not self.total

    def lines(self) -> list[str]:
        """The report for people."""
        lines = [
            f"{self.grants} grants, {self.gifts} gifts, {self.users} users, {self.rooms} rooms, "
            f"{self.events} logged events"
        ]
        lines += [f"{name}: {sentence}" for name, sentence in self.problems]
        return [*lines, "clean" if self.clean else f"{self.total} discrepancies"]


@dataclass(slots=True)
class Findings:
    """A report while it is made."""

    grants: int = 0
    gifts: int = 0
    events: int = 0
    rooms: int = 0
    users: int = 0
    total: int = 0
    problems: list[Problem] = field(default_factory=list)

    def found(self, name: str, sentence: str) -> None:
        self.total += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(name, sentence))

    def differ(self, name: str, what: str, expected: Mapping[str, int], actual: Mapping[str, int]) -> None:
        """Compare two books; what is missing is 0."""
        for key in sorted(expected.keys() | actual.keys()):
            said, kept = expected.get(key, 0), actual.get(key, 0)
            if said != kept:
                self.found(name, f"{what} of {key}: {said} by the ledger, Redis has {kept}.")

    def report(self) -> AuditReport:
        counts: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return AuditReport(**counts)
