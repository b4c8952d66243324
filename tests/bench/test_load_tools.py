"""The k6 script and the Locust file, run by those where they are installed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.server import SECRET, Server

K6, LOCUST = shutil.which("k6"), shutil.which("locust")


async def run(*command: str) -> tuple[int, str]:
    """A command's exit status and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, "GIFTING_SECRET": SECRET, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", redis_url) as running:
        yield running


def test_all_that_the_k6_script_imports_is_there() -> None:
    for script in (ROOT / "benchmarks" / "k6").glob("*.js"):
        for path in re.findall(r'(?:from|import) "(\.[^"]+)";', script.read_text()):
            assert (script.parent / path).is_file(), f"{script.name} imports {path}"


@pytest.mark.skipif(not K6, reason="k6 is not installed")
async def test_k6_sends_gifts_that_are_charged_once(server: Server) -> None:
    given = {"URL": server.url, "DURATION": 2, "SENDERS": 2, "RATE": 4, "VIEWERS": 3, "ROOMS": 2}
    flags = [flag for name, value in given.items() for flag in ("-e", f"{name}={value}")]
    status, said = await run(
        "k6", "run", "--quiet", "--address", "", "--no-usage-report", *flags, "benchmarks/k6/gifts.js"
    )
    assert status == 0, said
    shown = re.search(r"events_shown\.+: (\d+)", said)
    assert shown is not None, said
    assert int(shown[1]) > 0


@pytest.mark.skipif(not LOCUST, reason="Locust is not installed")
async def test_locust_sends_gifts_that_are_charged_once(server: Server) -> None:
    flags = ("--headless", "--only-summary", "-H", server.url, "-u", "6", "-r", "6", "-t", "3s")
    status, said = await run("locust", "-f", "benchmarks/locust/locustfile.py", *flags)
    assert status == 0, said
    for name in ("connect", "join", "send_gift", "delivery"):
        told = re.search(rf"WS +{name} +(\d+) +0\(", said)
        assert told is not None, said
        assert int(told[1]) > 0
