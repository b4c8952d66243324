"""The README's "Send a gift", pasted into a shell beside a server and beside a demo."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gifting.running import Running, find_running
from tests.support.commands import environment
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

WITHIN = 60.0
USUAL = "127.0.0.1:8080"


def pasted() -> str:
    """All that is to be typed in that section, in order."""
    section = (ROOT / "README.md").read_text().partition("\n## Send a gift\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    return "".join(blocks)


@asynccontextmanager
async def running(folder: Path, *words: str) -> AsyncIterator[Running]:
    """``gifting serve`` or ``demo``, and the note by which it is found."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", *words, "--port", "0"),
        cwd=folder,
        env=environment(TMPDIR=str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(WITHIN):
            while not (found := find_running()):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        yield found[0]
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("server", [("serve",), ("demo", "--viewers", "2")], ids=lambda words: words[0])
async def test_it_runs_as_pasted(server: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("run", "server", "bin", "terminal"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    for name, words in (("gifting", "-m gifting "), ("python", "")):
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words}"$@"\n')
        script.chmod(0o755)
    async with running(tmp_path / "server", *server) as found:
        env = environment()
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", pasted().replace(USUAL, found.url.removeprefix("http://"))),
            cwd=tmp_path / "terminal",
            env=env | {"PATH": f"{tmp_path / 'bin'}:{env['PATH']}"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, complaints = await asyncio.wait_for(shell.communicate(), WITHIN)
    assert (shell.returncode, complaints.decode()) == (0, "")
    lines = out.decode().splitlines()
    assert lines[0] == f"lobby is open, hosted by mara: {found.url}/rooms/lobby"
    assert lines[1:3] == ["ann has 500 coins.", "ann sent 3 × spark to lobby; 497 coins are left."]
    assert lines[3].endswith("  ann sent 3 × Spark (3 coins)")
    assert any("'coins': 494" in line for line in lines[4:])
    assert lines[-1].startswith("gift {'type': 'gift'")
    assert next((tmp_path / "terminal").glob("*"), None) is None, "nothing was made where it was typed"
