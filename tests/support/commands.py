"""``gifting`` as somebody types it: in a directory, with an environment that has no settings in it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import NamedTuple

from tests.support.paths import ROOT

WITHIN = 60.0


class Done(NamedTuple):
    """What a command did."""

    status: int
    out: str
    complaints: str


def environment(**environ: str) -> dict[str, str]:
    """This one's, without settings, with the package on the path."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIFTING_")}
    return plain | {"PYTHONPATH": str(ROOT)} | environ


async def start_command(*words: str, cwd: Path, **environ: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", *words),
        cwd=cwd,
        env=environment(**environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run_command(*words: str, cwd: Path, **environ: str) -> Done:
    process = await start_command(*words, cwd=cwd, **environ)
    out, complaints = await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), complaints.decode())
