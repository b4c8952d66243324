"""docs/configuration.md, from the table of settings: ``python -m gifting.configdoc > docs/configuration.md``."""

from __future__ import annotations

from gifting.config import SECRETS, table


def render() -> str:
    rows = ["# Configuration", "", "Flags win over the environment, which wins over the default.", ""]
    rows += ["| flag | environment | default | |", "|---|---|---|---|"]
    for row in table():
        flag = f"`{row.flag}`" if row.name not in SECRETS else "(environment only)"
        rows.append(f"| {flag} | `{row.env}` | `{row.default!r}` | {row.help} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(render(), end="")
