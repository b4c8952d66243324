"""What an audit says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from gifting.ledger.audit.causes import Group, Problem, group

KEPT_MAX: Final = 1000
"""Problems of each name that are kept, to tell what follows from what; the rest is only counted."""


@dataclass(slots=True)
class Crossed:
    """Between partitions of a cluster, in coins: all ``debited`` and ``credited``; ``under_way``, in outboxes; credited
    ``between`` the cuts of their two partitions, less those debited there; and ``fenced``, credited without a debit.
    """

    debited: int = 0
    credited: int = 0
    under_way: int = 0
    gifts: int = 0
    """Under way."""
    between: int = 0
    fenced: int = 0
    fenced_gifts: int = 0
    fenced_diamonds: int = 0
    fences: list[str] = field(default_factory=list)

    @property
    def open(self) -> int:
        """What is debited and nowhere else; or, below 0, more than was debited."""
        return self.debited + self.fenced - self.credited - self.under_way - self.between

    def lines(self) -> list[str]:
        told = [f"{self.gifts} gifts under way between partitions, {self.under_way} coins"]
        if self.fenced_gifts:
            earned = f"{self.fenced} coins and {self.fenced_diamonds} milli-diamonds"
            told.append(f"{self.fenced_gifts} gifts credited without a debit, and fenced: {earned}")
        return [*told, *(f"fenced: {one}" for one in self.fences)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What was looked at, and what did not hold, by cause; ``total`` counts all problems, also those not kept.

    ``keys`` are those kept to know a gift or grant again, ``doubts`` those of them whose script broke off.
    ``crossed`` is there on a cluster only.
    """

    grants: int
    gifts: int
    orders: int
    users: int
    rooms: int
    events: int
    keys: int
    doubts: int
    total: int
    problems: list[Problem]
    groups: list[Group]
    crossed: Crossed | None = None

    @property
    def clean(self) -> bool:
        return not self.total

    @property
    def causes(self) -> int:
        """Problems that follow from no other."""
        return sum(group.count for group in self.groups)

    def lines(self) -> list[str]:
        """The report for people."""
        lines = [", ".join(f"{count} {_SHOWN[name]}" for name, count in self.counts().items())]
        lines += self.crossed.lines() if self.crossed else []
        for one in self.groups:
            lines += _told(one, "")
            for following in one.follows:
                lines += _told(following, "  ")
        return [*lines, self._verdict()]

    def counts(self) -> dict[str, int]:
        """What was looked at."""
        return {name: getattr(self, name) for name in _SHOWN}

    def _verdict(self) -> str:
        if self.clean:
            return "clean"
        told = "1 discrepancy" if self.causes == 1 else f"{self.causes} discrepancies"
        if follow := self.total - self.causes:
            told += f", and {follow} that follow{'s' * (follow == 1)} from {'it' if self.causes == 1 else 'them'}"
        return told

    def as_json(self) -> dict[str, Any]:
        """The report for programs; docs/operations.md describes it."""
        told = {
            "clean": self.clean,
            "counts": self.counts(),
            "discrepancies": self.causes,
            "following": self.total - self.causes,
            "groups": [one.as_json() for one in self.groups],
        }
        return told | ({"crossed": asdict(self.crossed)} if self.crossed else {})


_SHOWN: Final = {
    "grants": "grants",
    "gifts": "gifts",
    "orders": "orders",
    "users": "users",
    "rooms": "rooms",
    "events": "logged events",
    "keys": "kept keys",
    "doubts": "of them in doubt",
}


def _told(one: Group, margin: str) -> Iterator[str]:
    for sentence in one.examples:
        yield f"{margin}{one.name}: {sentence}"
    if more := one.count - len(one.examples):
        yield f"{margin}{one.name}: ... and {more} more"


@dataclass(slots=True)
class Findings:
    """A report while it is made."""

    grants: int = 0
    gifts: int = 0
    orders: int = 0
    users: int = 0
    rooms: int = 0
    events: int = 0
    keys: int = 0
    doubts: int = 0
    problems: list[Problem] = field(default_factory=list)
    crossed: Crossed | None = None
    _found: Counter[str] = field(default_factory=Counter)

    def found(self, name: str, sentence: str, *about: str, shakes: Iterable[str] = ()) -> None:
        """Note what does not hold: what it is about, and what else is then wrong too, as tags of ``about.py``."""
        self._found[name] += 1
        if self._found[name] <= KEPT_MAX:
            self.problems.append(Problem(name, sentence, about, tuple(shakes)))

    def differ(
        self,
        name: str,
        what: str,
        expected: Mapping[str, int],
        actual: Mapping[str, int],
        about: Callable[[str], str],
        shakes: Callable[[str], Iterable[str]] = lambda _: (),
    ) -> None:
        """Compare two books; what is missing is 0. ``about`` and ``shakes`` give tags for an account that differs."""
        for key in sorted(expected.keys() | actual.keys()):
            said, kept = expected.get(key, 0), actual.get(key, 0)
            if said != kept:
                sentence = f"{what} of {key}: {said} by the ledger, Redis has {kept}."
                self.found(name, sentence, about(key), shakes=shakes(key))

    def forget(self) -> set[str]:
        """All that was found, and counted; returns the names."""
        names = set(self._found)
        for counted in _SHOWN:
            setattr(self, counted, 0)
        self.problems.clear()
        self._found.clear()
        return names

    def report(self) -> AuditReport:
        counts = {name: getattr(self, name) for name in _SHOWN}
        groups = group(self.problems, self._found)
        return AuditReport(
            **counts, total=self._found.total(), problems=self.problems, groups=groups, crossed=self.crossed
        )
