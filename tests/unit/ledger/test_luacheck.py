"""luacheck finds nothing: no name that is not there, none that is not used, none that hides another."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gifting.ledger import scripts
from tests.support.paths import ROOT

LUA = Path(scripts.__file__).with_name("lua")
INCLUDES = sorted(path.stem for path in LUA.glob("include/*.lua"))

pytestmark = pytest.mark.skipif(shutil.which("luacheck") is None, reason="no luacheck (Debian: lua-check)")


def luacheck(folder: Path, sources: dict[str, str], *flags: str) -> str:
    """What it finds in these sources; '' if nothing."""
    for name, source in sources.items():
        (folder / f"{name}.lua").write_text(source, encoding="utf-8")
    command = ["luacheck", "--config", str(ROOT / ".luacheckrc"), "--no-color", "--codes", "-q", str(folder), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_scripts_are_clean(tmp_path: Path) -> None:
    texts = {name: (LUA / f"{name}.lua").read_text(encoding="utf-8") for name in scripts.NAMES}
    assert luacheck(tmp_path, {name: scripts.resolve(text) for name, text in texts.items()}) == ""


def test_every_include_includes_what_it_uses(tmp_path: Path) -> None:
    """By itself it has functions that nobody uses, so only names that are not there count."""
    sources = {name: scripts.resolve(f"-- @include {name}\n") for name in INCLUDES}
    assert luacheck(tmp_path, sources, "--only", "1") == ""


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("return hash.get(h)", "W113"),
        ("local unused = 1", "W211"),
        ("os.exit()", "W113"),
        ("total = 1", "W111"),
        ("local a = 1; local function f() local a = 2; return a end; return a + f()", "W431"),
        ("return )", "E011"),
    ],
)
def test_it_finds_what_is_wrong(tmp_path: Path, code: str, found: str) -> None:
    assert found in luacheck(tmp_path, {"wrong": code + "\n"})
