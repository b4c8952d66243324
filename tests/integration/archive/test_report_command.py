"""`gifting report` and `gifting settlements`, of an archive beside no server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gifting.archive.settling import COLUMNS
from gifting.archive.store import open_store
from gifting.cli.app import app
from gifting.errors import BadSetting, NoArchive


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'a.db'}"


async def make(url: str) -> None:
    store = open_store(url)
    await store.upgrade()
    await store.close()


def test_what_was_settled_is_told(url: str, tmp_path: Path) -> None:
    import asyncio

    asyncio.run(make(url))
    file = tmp_path / "settled.csv"
    file.write_text(f"{','.join(COLUMNS)}\nstripe,ch_1,o1,payment,1000,160,30,810,EUR,1764201600000,b1\n")
    run = CliRunner().invoke
    assert run(app, ["settlements", str(file), "--archive", url]).stdout == "1 new of 1\n"
    assert run(app, ["settlements", str(file), "--archive", url]).stdout == "0 new of 1\n"
    told = run(app, ["report", "tie-out", "--month", "2025-11", "--format", "json", "--archive", url]).stdout
    assert [(row["status"], row["net"]) for row in json.loads(told)] == [("only there", 810)]


def test_what_is_none_is_refused(url: str, tmp_path: Path) -> None:
    run = CliRunner().invoke
    for flags in (["nope", "--month", "2026-11"], ["debt", "--month", "11"]):
        assert isinstance(run(app, ["report", *flags, "--archive", url]).exception, BadSetting)
    assert isinstance(
        run(app, ["report", "debt", "--month", "2026-11", "--data-dir", str(tmp_path)]).exception, NoArchive
    )
