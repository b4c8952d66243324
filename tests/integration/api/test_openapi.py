"""What /openapi.json promises is what a server does: schemathesis finds nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.server import Server

pytestmark = pytest.mark.slow

CONFIG = ROOT / "tests" / "support" / "schemathesis.toml"
EXAMPLES = 20
SEED = 7


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    async with Server(
        tmp_path / "data", redis_url, message_rate=10_000, message_burst=10_000, providers="sandbox"
    ) as server:
        for room in ("r1", "r2", "r3"):
            await server.room(room)
        await server.operator.grant_each(["op"], 1_000_000)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"),
            *(f"{server.url}/openapi.json", "--max-examples", str(EXAMPLES), "--seed", str(SEED)),
            *("--continue-on-failure", "--generation-database", "none"),
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        assert b"only 401/403" not in said, "it did not get in"
        assert "Traceback" not in (tmp_path / "server.log").read_text()
