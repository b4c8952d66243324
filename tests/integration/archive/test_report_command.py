"""`gifting report` and `gifting settlements`, of an archive beside no server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from beancount import loader
from redis.asyncio import Redis
from typer.testing import CliRunner

from gifting import config
from gifting.archive.archiver import Archiver
from gifting.archive.schema import items, make_partitions
from gifting.archive.settling import COLUMNS
from gifting.archive.store import open_store
from gifting.cli.app import app
from gifting.economy.providers.registry import Parts
from gifting.economy.providers.sandbox import checkout as checkouts
from gifting.economy.providers.sandbox.cards import CARDS
from gifting.economy.providers.sandbox.provider import Sandbox
from gifting.errors import BadSetting, GiftingError, NoArchive
from gifting.ledger.clock import in_ms
from gifting.model.packing import pack
from gifting.model.periods import month_of, show_period, starts
from gifting.model.prices import load_prices
from tests.support.orders import anyone, draft, paid
from tests.support.world import a_world


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


async def test_what_the_sandbox_settled_matches_the_books(redis_client: Redis, redis_url: str, url: str) -> None:
    run = CliRunner().invoke
    async with a_world(redis_url, like_interval=0) as world:
        orders, settings = world.ledger.orders, config.load({}, environ={})
        order = await orders.open(draft("ann", world.key()), anyone)
        sandbox = Sandbox(Parts(settings, world.ledger, lambda: ["s"], lambda: load_prices("", ["DE"])))
        await sandbox.create(order, "https://here.example")
        checkout = checkouts.checkout_id(order.id)
        bought = await sandbox.change(checkout, lambda known, now: checkouts.pay(known, CARDS[0].number, now))
        month = show_period(month_of(bought.paid_at))
        await orders.apply(paid(order))
        now = in_ms(await world.redis.time())
        store = open_store(url)
        await store.upgrade()
        archiver = Archiver(world.redis, world.ledger.keys, "gifting", store)
        while await archiver.round():
            pass
        await store.close()
        flags = ["settlements", "--provider", "sandbox", "--since", month, "--archive", url, "--redis", redis_url]
        told = [(await asyncio.to_thread(run, app, flags)).stdout for _ in range(2)]
    assert told == ["1 new of 1\n", "0 new of 1\n"]
    month = show_period(month_of(now))
    flags = ["report", "tie-out", "--month", month, "--format", "csv", "--archive", url]
    tied = await asyncio.to_thread(run, app, flags)
    assert tied.stdout.splitlines()[1] == f"{order.id},EUR,matched,1000,1000,EUR,,1000,0,29,971"
    for wrong in (["--provider", "apple"], ["--provider", "nobody"], [], ["--provider", "stripe", "--since", "1"]):
        failed = await asyncio.to_thread(run, app, ["settlements", *wrong, "--archive", url, "--redis", redis_url])
        assert isinstance(failed.exception, GiftingError)


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
