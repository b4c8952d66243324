"""The repository as a package: what is locked fits what is asked for, and a wheel has all that it needs."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path

import hatchling.build
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = {
    "requirements.lock": PROJECT["dependencies"],
    "requirements-dev.lock": [*PROJECT["dependencies"], *EXTRAS["embedded"], *EXTRAS["dev"], *EXTRAS["bench"]],
}


def pins(lock: str) -> dict[str, str]:
    """The version of each package that a lock has."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_satisfies_what_the_project_asks_for(lock: str) -> None:
    locked = pins(lock)
    for wanted in map(Requirement, LOCKS[lock]):
        if wanted.name == PROJECT["name"]:  # one extra has another
            continue
        version = locked.get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted.name} is not in {lock}: run .ci/lock"
        assert wanted.specifier.contains(version), f"{lock} has {wanted.name} {version}, not {wanted.specifier}"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(lock)) > 0
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_what_is_tested_is_what_is_shipped() -> None:
    tested = pins("requirements-dev.lock")
    assert all(tested[name] == version for name, version in pins("requirements.lock").items())


def test_a_wheel_has_the_licence_the_types_and_all_that_is_no_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / hatchling.build.build_wheel(str(tmp_path))) as wheel:
        names = set(wheel.namelist())
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert "gifting/py.typed" in names
    package = ROOT / "gifting"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT)) for path in files} <= names


def test_recipes_name_files_and_tests_that_there_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"`((?:gifting|docs|deploy|tests)/[\w./-]+\.\w+)`", text):
        assert path.endswith("NAME.lua") or (ROOT / path).is_file(), path
    defined = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in defined, name
    for module in re.findall(r"python -m (gifting[\w.]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
