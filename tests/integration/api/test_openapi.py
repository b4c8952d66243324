"""What /openapi.json promises is what a server does: schemathesis finds nothing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gifting.archive.archiver import Archiver
from gifting.archive.store import open_store
from gifting.economy.providers.sandbox.cards import CARDS
from gifting.ledger.audit import find_books
from tests.support.keys import new_key
from tests.support.paths import ROOT
from tests.support.server import Server

pytestmark = pytest.mark.slow

CONFIG = ROOT / "tests" / "support" / "schemathesis.toml"
FAST: dict[str, Any] = {"message_rate": 10_000, "message_burst": 10_000}
EXAMPLES = 20
SEED = 7


async def schemathesis(server: Server, folder: Path, *options: str, **env: str) -> None:
    """Run it over what the server says of itself; it finds nothing."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / CONFIG.name), "run"),
        *(f"{server.url}/openapi.json", "--max-examples", str(EXAMPLES), "--seed", str(SEED)),
        *("--continue-on-failure", "--generation-database", "none", *options),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b"only 401/403" not in said, "it did not get in"
    assert "Traceback" not in (folder / "server.log").read_text()


@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    (tmp_path / CONFIG.name).write_text(CONFIG.read_text())
    async with Server(tmp_path / "data", redis_url, **FAST) as server:
        for room in ("r1", "r2", "r3"):
            await server.room(room)
        await server.operator.grant_each(["op"], 1_000_000)
        await schemathesis(server, tmp_path)


@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing_of_what_an_archive_tells(
    tmp_path: Path, redis_url: str, redis_client: Any
) -> None:
    """None of it is refused for want of one, and what is of the form that the schema says is taken."""
    config, archive = CONFIG.read_text(), f"sqlite:///{tmp_path / 'archive.db'}"
    (tmp_path / CONFIG.name).write_text(config.replace('"404", ', ""))
    async with Server(tmp_path / "data", redis_url, archive=archive, providers="sandbox", **FAST) as server:
        await server.operator.grant_each(["ann", "op"], 1_000)
        store = open_store(archive)
        archiver = Archiver(redis_client, await find_books(redis_client, "gifting", "Redis"), "gifting", store)
        while await archiver.round():
            pass
        await store.close()
        paths = r"/(history|earnings|statements/|admin/ledger|admin/acts)"
        await schemathesis(server, tmp_path, "--include-path-regex", paths)


@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing_as_a_buyer(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    """Who has an order that is open and one that is paid, which half of what is asked is about."""
    async with Server(tmp_path / "data", redis_url, providers="sandbox", **FAST) as server:
        buyer = server.caller("ann", "viewer", region="DE", age=30)
        await buyer.call("PUT", "/v1/users/ann/limits", {"purchases": {"day": None}})
        orders = [
            await buyer.call("POST", "/v1/purchases", {"package": name, "provider": "sandbox", "key": new_key()})
            for name in ("coins-70", "coins-350")
        ]
        checkouts = [order["url"].rpartition("/")[2] for order in orders]
        await buyer.call("POST", f"/v1/sandbox/checkouts/{checkouts[0]}/pay", {"card": CARDS[0].number})
        known = {'["an-order"]': [order["id"] for order in orders], '["a-checkout"]': checkouts}
        config = CONFIG.read_text()
        for there, made in known.items():
            config = config.replace(there, json.dumps(made))
        (tmp_path / CONFIG.name).write_text(config)
        paths = r"^/v1/(purchases|sandbox|webhooks|packages)"
        await schemathesis(server, tmp_path, "--include-path-regex", paths, GIFTING_TEST_BUYER="ann")
