"""docs/configuration.md, from the table of settings: ``python -m gifting.configdoc > docs/configuration.md``."""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter

from gifting.config import SECRETS, Setting, table


def render() -> str:
    rows = ["# Configuration", "", "Flags win over the environment, which wins over the default."]
    for section, settings in groupby(table(), key=attrgetter("section")):
        rows += ["", f"## {section}", "", "| flag | environment | default | bounds | |", "|---|---|---|---|---|"]
        rows += map(_row, settings)
    return "\n".join(rows) + "\n"


def _row(row: Setting) -> str:
    flags = " ".join(f"`{flag}`" for flag in (row.flag, row.unflag) if flag)
    flag = flags if row.name not in SECRETS else "(environment only)"
    return f"| {flag} | `{row.env}` | `{row.default!r}` | {_bounds(row)} | {row.help} |"


def _bounds(row: Setting) -> str:
    """In digits, as one would write them."""
    bounds = {"from": row.least, "to": row.most}
    return " ".join(f"{word} {_digits(bound)}" for word, bound in bounds.items() if bound is not None)


def _digits(bound: float) -> str:
    return f"{bound:.0f}" if bound == int(bound) else f"{bound}"


if __name__ == "__main__":
    print(render(), end="")
