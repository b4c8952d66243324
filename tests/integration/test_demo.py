"""The demo as a newcomer meets it: it starts, shows where to look, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

pytestmark = pytest.mark.slow

START_WITHIN = 30.0
STOP_WITHIN = 30.0


async def start_demo(tmp_path: Path, *flags: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "demo", "--port", "0", "--viewers", "5", *flags),
        env={**os.environ, "COLUMNS": "80", "TMPDIR": str(tmp_path)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )


async def read_links(process: asyncio.subprocess.Process) -> list[str]:
    """The four addresses, an overlay and a room page of each room."""
    assert process.stdout is not None
    links: list[str] = []
    async with asyncio.timeout(START_WITHIN):
        while len(links) < 4:
            line = await process.stdout.readline()
            assert line, f"the demo ended with {await process.wait()}"
            links += re.findall(r"^  (?:overlay|room) +(http://\S+)$", line.decode().rstrip())
    return links


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_ctrl_c_leaves_nothing_running_and_nothing_behind(tmp_path: Path) -> None:
    process = await start_demo(tmp_path)
    links = await read_links(process)
    for link in links:
        with await asyncio.to_thread(urlopen, link) as page:
            assert page.status == 200
    family = psutil.Process(process.pid).children(recursive=True)
    assert [one.name() for one in family] == ["redis-server"]
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), STOP_WITHIN)
    assert process.returncode == 0
    assert output.decode().rstrip().endswith("stopped; nothing is left running.")
    assert not any(one.is_running() for one in family)
    assert left_in(tmp_path) == []


async def test_kept_data_passes_the_audit(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = await start_demo(tmp_path, "--seconds", "3", "--data-dir", str(data))
    output, _ = await asyncio.wait_for(process.communicate(), START_WITHIN + STOP_WITHIN)
    assert process.returncode == 0, output.decode()
    row = [line for line in output.decode().splitlines() if line.startswith("│")][-1]
    assert row.split("│")[-2].strip() == "none", "the table's last column counts errors"
    audit = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "audit", "--data-dir", str(data)), stdout=asyncio.subprocess.PIPE
    )
    report, _ = await audit.communicate()
    assert audit.returncode == 0, report.decode()


@pytest.mark.parametrize("flag", ["--viewers=0", "--seconds=-1", "--port=70000"])
async def test_what_can_not_be_is_said_in_a_line(tmp_path: Path, flag: str) -> None:
    process = await start_demo(tmp_path, flag)
    output, _ = await asyncio.wait_for(process.communicate(), START_WITHIN)
    assert process.returncode == 2
    assert b"Traceback" not in output
