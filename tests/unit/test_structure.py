"""The project holds itself to its own rules: layers, and everything that must be documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from gifting import configdoc, errors
from gifting.api.metrics import TABLE
from gifting.api.openapi import document
from gifting.model import events
from gifting.wire.close import CloseCode
from gifting.wire.messages import OPS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gifting"

LAYERS = {
    "errors": 0, "config": 0, "configdoc": 0, "files": 0, "health": 0, "model": 0, "tasks": 0,
    "wire": 1,
    "ledger": 2, "hub": 2, "keys": 2,
    "economy": 3, "archive": 3,
    "transport": 4,
    "api": 5, "web": 5, "client": 5, "load": 5, "serving": 5, "adapters": 5,
    "node": 6, "workers": 6, "probe": 6, "running": 6, "demo": 6, "bench": 6,
    "cli": 7,
}  # fmt: skip
"""A package, or a module beside the packages, imports what has the same number or a lower one."""


def imports_of(path: Path) -> set[str]:
    """The packages, and modules beside them, that a module imports; type-checking imports too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gifting."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "gifting":
            found |= {alias.name for alias in node.names if alias.name in LAYERS}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_upper_layers_import_lower_ones_only(path: Path) -> None:
    package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if package in ("__init__", "__main__"):
        return
    for other in imports_of(path) - {package}:
        assert LAYERS[other] <= LAYERS[package], f"{package} imports {other}"
        assert {package, other} != {"ledger", "hub"}


def test_settings_are_documented() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == configdoc.render()


def test_ops_errors_closes_and_metrics_are_documented() -> None:
    protocol = (ROOT / "docs" / "protocol.md").read_text()
    operations = (ROOT / "docs" / "operations.md").read_text()
    for name in (*OPS, *get_args(events.Logged), *get_args(events.State)):
        assert f"`{name}`" in protocol or f"`{name} {{" in protocol, name
    for error in errors.all_errors():
        says = f"{error.status} | {'yes' if error.temporary else 'no'} | {error.help}"
        says = error.help if issubclass(error, errors.StartError) else says
        assert f"| `{error.code}` | {says} |" in protocol, error.code
        assert error.__name__ in (errors.__doc__ or ""), error
    for code in CloseCode:
        assert f"`{code.value}`" in protocol, code
    for row in TABLE:
        assert f"`{row.name}`" in operations, row.name


def test_openapi_names_every_schema_it_uses() -> None:
    made = document()
    text = str(made["paths"]) + str(made["components"])
    for name in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert name in made["components"]["schemas"]


def test_error_codes_are_unique() -> None:
    codes = [error.code for error in errors.all_errors()]
    assert len(codes) == len(set(codes))
