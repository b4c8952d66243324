"""`gifting audit` from outside: its exit status, what it prints, and what it leaves alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gifting.errors import BadSetting
from gifting.ledger.audit import find_books
from gifting.ledger.embedded import EmbeddedRedis
from tests.support.accounts import add_to_account
from tests.support.engine import Engine
from tests.support.keys import session_keys
from tests.support.tampering import World, a_full_world

pytestmark = pytest.mark.slow

CLEAN, DISCREPANCIES, CANT_AUDIT = 0, 1, 2


@pytest.fixture
async def world(redis_url: str, redis_client: Any) -> AsyncIterator[World]:
    async with a_full_world(redis_url) as world:
        yield world


async def run_audit(*flags: str, **environ: str) -> tuple[int, str, str]:
    """Its exit status, what it printed, and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "audit", *flags),
        env={name: value for name, value in os.environ.items() if not name.startswith("GIFTING_")} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaints = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), complaints.decode()


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """All that is in a directory: size and time of the last change."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in (folder, *folder.rglob("*"))}


@pytest.mark.attack
@pytest.mark.parametrize("made", ["", "data", "data/appendonlydir"])
async def test_a_directory_without_data_is_refused_and_left_alone(tmp_path: Path, made: str) -> None:
    (tmp_path / made).mkdir(parents=True, exist_ok=True)
    before = listing(tmp_path)
    status, said, complaints = await run_audit("--data-dir", str(tmp_path / "data"))
    assert (status, said) == (CANT_AUDIT, "")
    assert f"no_data: There is no data of a server in {tmp_path / 'data'}, which " in complaints
    assert listing(tmp_path) == before


@pytest.mark.attack
async def test_a_data_directory_that_holds_no_books_is_refused(tmp_path: Path) -> None:
    embedded = EmbeddedRedis(tmp_path / "data")
    await embedded.start()
    await embedded.stop()
    status, said, complaints = await run_audit("--data-dir", str(tmp_path / "data"))
    assert (status, said) == (CANT_AUDIT, "")
    assert f"{tmp_path / 'data'} has no books under the prefix gifting" in complaints
    assert "There are none under another prefix either." in complaints


@pytest.mark.attack
async def test_a_prefix_that_holds_nothing_is_refused_and_others_are_named(world: World, redis_url: str) -> None:
    meta = session_keys(1).meta.removeprefix("gifting")
    await world.redis.hset(f"a*b{meta}", "partitions", "4")
    status, said, complaints = await run_audit("--redis", redis_url, "--key-prefix", "gift")
    assert (status, said) == (CANT_AUDIT, "")
    assert f"no books under the prefix gift: there is no gift{meta}." in complaints
    assert "There are books under a*b, gifting." in complaints


@pytest.mark.attack
async def test_the_partitions_are_those_of_the_data(world: World, redis_url: str) -> None:
    status, said, _ = await run_audit("--redis", redis_url, GIFTING_PARTITIONS="2")
    assert (status, said.splitlines()[-1]) == (CLEAN, "clean")
    assert said.startswith("4 grants, 15 gifts, 0 orders, 5 users, 3 rooms, ")


@pytest.mark.attack
@pytest.mark.parametrize("partitions", ["0", "257", "x"])
async def test_a_number_of_partitions_that_is_none_is_refused(redis_client: Any, partitions: str) -> None:
    meta = session_keys(16).meta
    await redis_client.hset(meta, "partitions", partitions)
    with pytest.raises(BadSetting, match=f"Redis has '{partitions}' partitions by {meta}"):
        await find_books(redis_client, "gifting", "Redis")


async def test_discrepancies_are_told_as_text_and_as_json(world: World, redis_url: str) -> None:
    await add_to_account(world.redis, world.base("ann"), "ann", coins=1)
    status, said, _ = await run_audit("--redis", redis_url)
    assert status == DISCREPANCIES
    told = [line.split(":")[0] for line in said.splitlines()[1:]]
    if Engine.cluster:
        assert told.pop(0) == "0 gifts under way between partitions, 0 coins"
    assert told == ["balance_differs", "  conservation_broken", "1 discrepancy, and 1 that follows from it"]
    status, said, _ = await run_audit("--redis", redis_url, "--json")
    report = json.loads(said)
    assert (status, report["clean"], report["discrepancies"], report["following"]) == (DISCREPANCIES, False, 1, 1)
    assert [(group["name"], group["count"]) for group in report["groups"]] == [("balance_differs", 1)]
    assert report["groups"][0]["follows"][0]["name"] == "conservation_broken"
    assert report["counts"]["gifts"] == 15


async def test_a_redis_that_is_not_there_is_no_discrepancy(tmp_path: Path) -> None:
    status, said, complaints = await run_audit("--redis", f"unix://{tmp_path}/redis.sock")
    assert (status, said) == (CANT_AUDIT, "")
    assert "no_redis: Redis can't be used" in complaints


async def test_data_of_another_type_is_no_discrepancy(world: World, redis_url: str) -> None:
    await world.redis.set(f"{world.base('x')}:coins", "x")
    status, said, complaints = await run_audit("--redis", redis_url)
    assert (status, said) == (CANT_AUDIT, "")
    assert "WRONGTYPE" in complaints
    assert "Traceback" not in complaints


async def test_a_password_is_not_told(redis_url: str, redis_client: Any) -> None:
    url = redis_url.replace("unix://", "unix://default:secret@")
    _, _, complaints = await run_audit("--redis", url)
    assert "secret" not in complaints
