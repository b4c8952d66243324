"""A TOML file that is checked as it is read: what is wrong is said with the file, the line and the reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gifting.errors import GiftingError

T = TypeVar("T")


def read_toml(path: str, usual: str, error: type[GiftingError]) -> TomlFile:
    """The file at ``path``, or the package's own ``usual`` one. Raises ``error``."""
    if not path:
        return TomlFile(resources.files("gifting.model").joinpath(usual).read_text(encoding="utf-8"), usual, error)
    try:
        return TomlFile(Path(path).read_text(encoding="utf-8"), path, error)
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{path}: {problem}.") from None


class TomlFile:
    """The tables in ``text``, and ``document`` as TOML has it.

    ``name`` is the file as errors name it, and ``error`` is what is raised.
    """

    def __init__(self, text: str, name: str, error: type[GiftingError]) -> None:
        self.name = name
        self._error = error
        self._lines = [line.split("#")[0].strip() for line in text.splitlines()]
        try:
            self.document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            raise error(f"{name}: {problem}.") from None

    def only(self, *heads: str) -> None:
        """Raises where the file has anything but these at its top."""
        for stray in self.document.keys() - set(heads):
            line = self._find(0, len(self._lines), re.compile(rf"(\[+{stray}\b.*|{stray} *=.*)"))
            raise self._error(f"{self.name}, line {line + 1}: {stray!r} means nothing here.")

    def table(self, head: str, kind: type[T]) -> T | None:
        """``[head]``; None if there is none."""
        return self._convert(head, 0, self.document[head], kind) if head in self.document else None

    def tables(self, head: str, kind: type[T], most: int, least: int = 1) -> list[T]:
        """All ``[[head]]``."""
        tables = self.document.get(head, [])
        if not isinstance(tables, list) or len(tables) < least:
            raise self._error(f"{self.name}, line 1: there is no [[{head}]].")
        if len(tables) > most:
            raise self._error(f"{self.name}: more than {most} of [[{head}]].")
        return [self._convert(head, number, table, kind) for number, table in enumerate(tables)]

    def _convert(self, head: str, number: int, table: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(table, kind)
        except msgspec.ValidationError as problem:
            raise self.wrong(head, number, _path(str(problem)), f"{problem}") from None

    def once(self, head: str, names: Sequence[str], field: str = "id") -> None:
        """Raises where two of ``[[head]]`` have one name in ``field``; those that have none are left out."""
        for number, name in enumerate(names):
            if name and name in names[:number]:
                raise self.wrong(head, number, [field], f"the {field} {name!r} is there twice")

    def wrong(self, head: str, number: int, path: Sequence[str | int], why: str) -> GiftingError:
        """What is wrong in the ``number``-th table ``head``; ``path`` leads to the field in it."""
        return self._error(f"{self.name}, line {self._line_of(head, number, path)}: {why}.")

    def _line_of(self, head: str, number: int, path: Sequence[str | int]) -> int:
        """The line that ``path`` leads to, as far as it can be followed."""
        start, end = self._block(head, number, 0, len(self._lines))
        for place, name in enumerate(path):
            if isinstance(name, int):
                continue
            index = path[place + 1] if place + 1 < len(path) else 0
            inner = self._block(f"{head}.{name}", index if isinstance(index, int) else 0, start, end)
            if inner[0] >= 0:
                head, (start, end) = f"{head}.{name}", inner
            elif (line := self._find(start, end, re.compile(rf'"?{re.escape(name)}"? *=.*'))) >= 0:
                return line + 1
        return max(start, 0) + 1

    def _block(self, head: str, number: int, start: int, end: int) -> tuple[int, int]:
        """From where to where the ``number``-th table ``head`` goes between two lines; from -1 if there is none."""
        heads = [at for at in range(max(start, 0), end) if self._lines[at] in {f"[[{head}]]", f"[{head}]"}]
        if number >= len(heads):
            return -1, end
        return heads[number], heads[number + 1] if number + 1 < len(heads) else end

    def _find(self, start: int, end: int, what: re.Pattern[str]) -> int:
        return next((at for at in range(max(start, 0), end) if what.fullmatch(self._lines[at])), -1)


def _path(problem: str) -> list[str | int]:
    """Where msgspec says that the problem is: names and places in arrays."""
    return list(_steps(problem))


def _steps(problem: str) -> Iterator[str | int]:
    for name, place in re.findall(r"\.(\w+)|\[(\d+)\]", problem.rpartition("`$")[2] if "`$" in problem else ""):
        yield name or int(place)
    if stray := re.search(r"unknown field `(\w+)`", problem):
        yield stray[1]
