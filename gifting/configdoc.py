"""docs/configuration.md, from the table of settings: ``python -m gifting.configdoc > docs/configuration.md``."""

from __future__ import annotations

from gifting.config import SECRETS, Setting, table


def render() -> str:
    rows = ["# Configuration", "", "Flags win over the environment, which wins over the default.", ""]
    rows += ["| flag | environment | default | bounds | |", "|---|---|---|---|---|"]
    for row in table():
        flag = f"`{row.flag}`" if row.name not in SECRETS else "(environment only)"
        rows.append(f"| {flag} | `{row.env}` | `{row.default!r}` | {_bounds(row)} | {row.help} |")
    return "\n".join(rows) + "\n"


def _bounds(row: Setting) -> str:
    """In digits, as one would write them."""
    bounds = {"from": row.least, "to": row.most}
    return " ".join(f"{word} {bound:.15g}" for word, bound in bounds.items() if bound is not None)


if __name__ == "__main__":
    print(render(), end="")
