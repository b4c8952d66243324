"""The project holds itself to its own rules: layers, and everything that must be documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import get_args

import pytest

from gifting import config, configdoc, errors
from gifting.api import asyncapi
from gifting.api.metrics import TABLE
from gifting.model import events
from gifting.transport.pending import PENDING_MAX
from gifting.wire.close import CloseCode
from gifting.wire.messages import MAX_COUNT, OPS
from tests.support.paths import ROOT

PACKAGE = ROOT / "gifting"

LAYERS = {
    "errors": 0, "config": 0, "configdoc": 0, "files": 0, "health": 0, "histogram": 0, "logs": 0, "model": 0,
    "rulebook": 0, "tasks": 0,
    "wire": 1,
    "ledger": 2, "hub": 2, "signing": 2,
    "economy": 3, "archive": 3,
    "transport": 4,
    "api": 5, "web": 5, "client": 5, "load": 5, "serving": 5, "adapters": 5,
    "node": 6, "workers": 6, "archiving": 6, "settlements": 6, "probe": 6, "running": 6, "demo": 6, "bench": 6,
    "cli": 7,
}  # fmt: skip
"""A package, or a module beside the packages, imports what has the same number or a lower one."""

KNOWN_BY = {
    "redis": {"ledger", "bench", "cli"},
    "uvicorn": {"transport", "serving"},
    "websockets": {"wire", "transport", "client"},
    "starlette": {"api", "web", "serving"},
    "fpdf": {"api"},
    "stripe": {"economy"},
    "sqlalchemy": {"archive"},
    "alembic": {"archive"},
    "psycopg": {"archive"},
    "aiosqlite": {"archive"},
}
"""What is talked to by libraries, and who does: the hub, for one, knows of none of it."""

LATER = {"adapters/"}
"""Packages to come, as the architecture names them."""


def module_at(path: Path) -> str:
    """A module's name; a package's is that of its ``__init__``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_at(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(nodes: Iterable[ast.AST]) -> set[str]:
    """The project's modules that are imported by some statements, for type checking too."""
    named = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            named |= inner & MODULES.keys() or {node.module}
    return named & MODULES.keys()


def statements(path: Path) -> Iterator[ast.stmt]:
    """Those that run, or are read by a type checker, when a module is imported."""
    todo: list[ast.stmt] = list(ast.parse(path.read_text()).body)
    while todo:
        yield (node := todo.pop())
        todo += getattr(node, "body", []) if isinstance(node, ast.If | ast.Try) else []


@pytest.mark.parametrize("path", MODULES.values(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_upper_layers_import_lower_ones_only(path: Path) -> None:
    package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if package in ("__init__", "__main__"):
        return
    imported = imports_of(ast.walk(ast.parse(path.read_text())))
    for other in {name.split(".")[1] for name in imported - {"gifting"}} - {package}:
        assert LAYERS[other] <= LAYERS[package], f"{package} imports {other}"
        assert {package, other} != {"ledger", "hub"}


@pytest.mark.parametrize("library", KNOWN_BY)
def test_a_library_is_known_by_few(library: str) -> None:
    imported = re.compile(rf"^ *(?:from|import) {library}\b", re.MULTILINE)
    paths = [path for path in MODULES.values() if imported.search(path.read_text())]
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in paths} <= KNOWN_BY[library]


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not for type checking either: who knows whom has a direction, in a package too."""
    graph = {name: imports_of(statements(path)) for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_settings_are_documented() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == configdoc.render()


def test_ops_errors_closes_and_metrics_are_documented() -> None:
    protocol = (ROOT / "docs" / "protocol.md").read_text()
    operations = (ROOT / "docs" / "operations.md").read_text()
    for name in (*OPS, *get_args(events.Logged), *get_args(events.State)):
        assert f"`{name}`" in protocol or f"`{name} {{" in protocol, name
    every: list[type[errors.GiftingError]] = [errors.GiftingError, *errors.all_errors()]
    for error in every:
        says = f"{error.status} | {'yes' if error.temporary else 'no'} | {error.help}"
        says = error.help if issubclass(error, errors.StartError) else says
        assert f"| `{error.code}` | {says} |" in protocol, error.code
        assert error.__name__ in (errors.__doc__ or ""), error
    for code in CloseCode:
        reason = "retry in N s" if code is CloseCode.SERVER_SHUTDOWN else code.reason
        assert f"| `{code.value}` | {reason} |" in protocol, code
    for row in TABLE:
        assert f"`{row.name}`" in operations, row.name


def test_every_message_is_documented_with_all_its_fields() -> None:
    """Those of AsyncAPI: what clients say, the replies, the events, and what these are made of."""
    made = asyncapi.document()
    protocol = (ROOT / "docs" / "protocol.md").read_text()
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", protocol))))
    assert {*OPS, *map(asyncapi.reply_name, OPS), "refusal", "events"} == made["components"]["messages"].keys()
    for name, schema in made["components"]["schemas"].items():
        assert set(schema["properties"]) <= named, name
        for tag in ("op", "type"):
            assert set(schema["properties"].get(tag, {}).get("enum", ())) <= named, name


def test_the_limits_are_as_documented() -> None:
    """Each row of the table names a setting and its default."""
    section = (ROOT / "docs" / "protocol.md").read_text().split("## Limits")[1].split("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| `(\w+)` \| ([\d.]+) \|", section, re.MULTILINE)
    usual = config.load({}, {})
    assert len(rows) == len(re.findall(r"^\| [^|]+ \| `", section, re.MULTILINE))
    assert {name: float(value) for name, value in rows} == {name: float(getattr(usual, name)) for name, _ in rows}
    assert f"At most {PENDING_MAX} commands" in section
    assert f"{MAX_COUNT:,} are sent" in section


def test_error_codes_are_unique() -> None:
    codes = [error.code for error in errors.all_errors()]
    assert len(codes) == len(set(codes))


def test_what_the_architecture_names_is_there() -> None:
    """Each file and folder, also of those that a package's path leaves out."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([\w./-]+(?:/|\.(?:py|lua|c|js|toml|yml|md)))`", text)) - {"lua/", *LATER}
    assert len(named) > 80
    for name in named:
        places = (PACKAGE / name, ROOT / name, PACKAGE / "ledger" / name, PACKAGE / "ledger" / "lua" / name)
        assert any(place.exists() for place in places), name
