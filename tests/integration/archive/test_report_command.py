"""`gifting report` and `gifting settlements`, of an archive beside no server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from beancount import loader
from typer.testing import CliRunner

from gifting.archive.schema import items, make_partitions
from gifting.archive.settling import COLUMNS
from gifting.archive.store import open_store
from gifting.cli.app import app
from gifting.errors import BadSetting, NoArchive
from gifting.model.packing import pack
from gifting.model.periods import starts


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'a.db'}"


async def make(url: str) -> None:
    store = open_store(url)
    await store.upgrade()
    await store.close()


def test_what_was_settled_is_told(url: str, tmp_path: Path) -> None:
    asyncio.run(make(url))
    file = tmp_path / "settled.csv"
    file.write_text(f"{','.join(COLUMNS)}\nstripe,ch_1,o1,payment,1000,160,30,810,EUR,1764201600000,b1\n")
    run = CliRunner().invoke
    assert run(app, ["settlements", str(file), "--archive", url]).stdout == "1 new of 1\n"
    assert run(app, ["settlements", str(file), "--archive", url]).stdout == "0 new of 1\n"
    told = run(app, ["report", "tie-out", "--month", "2025-11", "--format", "json", "--archive", url]).stdout
    assert [(row["status"], row["net"]) for row in json.loads(told)] == [("only there", 810)]


async def buy(url: str) -> None:
    """Ann buys 100 coins for 10.00 €, in November 2025."""
    store = open_store(url)
    await store.upgrade()
    at = starts(202511)
    entry = pack(("purchase", at, b"k" * 16, "ann", "o1", 100, 20, 0, 1000, "EUR", "sandbox"))
    async with store.writing() as connection:
        await make_partitions(connection, items, [202511])
        await store.insert(connection, items, [(202511, 0, 1, f"{at}-0", entry, b"")])
    await store.close()


def test_each_format_tells_the_same(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(buy(url))
    run = CliRunner().invoke
    monkeypatch.setenv("GIFTING_ARCHIVE", url)
    november, december = (["--month", f"2025-{month}", "--data-dir", str(tmp_path)] for month in (11, 12))
    assert run(app, ["report", "deferred", *november, "--format", "csv"]).stdout.splitlines() == [
        "what,opening,sold,spent,refunded,breakage,closing",
        "paid coins,0,100,0,0,0,100",
        "bonus coins,0,20,0,0,0,20",
        "EUR,0,1000,0,0,0,1000",
    ]
    told = run(app, ["report", "deferred", *december, "--format", "csv", "--breakage-after", "30"]).stdout
    assert told.splitlines()[1:] == [
        "paid coins,100,0,0,0,100,0",
        "bonus coins,20,0,0,0,0,20",
        "EUR,1000,0,0,0,1000,0",
    ]
    rows = json.loads(run(app, ["report", "journal", *november, "--format", "json"]).stdout)
    assert {"when": "month", "account": "Liabilities:Deferred", "commodity": "EUR", "amount": -1000} in rows
    assert sum(row["amount"] for row in rows) == 0
    _, errors, _ = loader.load_string(run(app, ["report", "journal", *november, "--format", "beancount"]).stdout)
    assert not errors
    assert "EUR" in run(app, ["report", "unspent", *november]).stdout


def test_what_is_none_is_refused(url: str, tmp_path: Path) -> None:
    run = CliRunner().invoke
    wrong = (["nope", "--month", "2026-11"], ["debt", "--month", "11"])
    for flags in (*wrong, ["debt", "--month", "2026-11", "--format", "beancount"]):
        assert isinstance(run(app, ["report", *flags, "--archive", url]).exception, BadSetting)
    assert isinstance(
        run(app, ["report", "debt", "--month", "2026-11", "--data-dir", str(tmp_path)]).exception, NoArchive
    )
