"""The demo as a newcomer meets it: it starts, shows where to look, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from gifting.demo.leftovers import clear_leftovers
from gifting.ledger.embedded.server import SOCKET_PATH_MAX
from tests.support.commands import environment
from tests.support.demo import (
    ROWS,
    START_WITHIN,
    STOP_WITHIN,
    left_in,
    read_links,
    start_demo,
    terminal,
    until_gone,
)

pytestmark = pytest.mark.slow

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


async def test_ctrl_c_leaves_nothing_running_and_nothing_behind(tmp_path: Path) -> None:
    process = await start_demo(tmp_path)
    links = await read_links(process)
    async with httpx.AsyncClient(trust_env=False) as web:
        for link in links:
            page = await web.get(link, follow_redirects=True)
            assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
    family = psutil.Process(process.pid).children(recursive=True)
    assert sorted(one.name() for one in family) == ["redis-server", "sh"]
    process.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(process.communicate(), STOP_WITHIN)
    assert process.returncode == 0
    assert output.decode().rstrip().endswith("Stopped; nothing is left running.")
    assert not any(one.is_running() for one in family)
    assert left_in(tmp_path) == []


async def test_short_links_are_for_who_sits_at_this_machine(tmp_path: Path) -> None:
    process = await start_demo(tmp_path)
    links = await read_links(process)
    assert max(map(len, links)) < 45
    paths = [httpx.URL(link).path for link in links]
    assert paths == ["/d/harbour", "/d/harbour-obs", "/d/kitchen", "/d/kitchen-obs"]
    async with httpx.AsyncClient(trust_env=False, base_url=links[0][: -len(paths[0])]) as web:
        answer = await web.get("/d/harbour")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("../rooms/harbour-lights#token=ey")
        assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
        assert (await web.get("/d/kitchen-obs")).headers["location"].startswith("../overlay#token=ey")
        front = (await web.get("/")).text
        assert all(f'href="{path[1:]}"' in front for path in paths)
        for name in ("localhost", "localhost:8080", "[::1]", "[::1]:8080", "127.0.0.1"):
            assert (await web.get("/d/harbour", headers={"Host": name})).status_code == 303
        strangers = [{"Host": name} for name in ("evil.example", "localhost.evil.example", "[", "[::1", "::", "x]:[")]
        for headers in (*strangers, {"X-Forwarded-For": "192.0.2.7"}):
            assert (await web.get("/d/harbour", headers=headers)).status_code == 404
            assert "/harbour" not in (await web.get("/", headers=headers)).text
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), STOP_WITHIN) == 0


async def test_who_runs_out_of_coins_buys_some_in_the_sandbox(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = await start_demo(tmp_path, "--data-dir", str(data))
    assert process.stdout is not None
    async with asyncio.timeout(1.5 * START_WITHIN):
        line = ""
        while not re.search(r" [1-9]\d* purchases, [1-9][\d,]* coins for \d+\.\d\d USD, ", line):
            line = (await process.stdout.readline()).decode()
            assert line, "it has ended"
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), STOP_WITHIN)
    assert process.returncode == 0
    assert line.rstrip().endswith(" no errors")
    audit = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "audit", "--data-dir", str(data)), stdout=asyncio.subprocess.PIPE
    )
    report, _ = await audit.communicate()
    assert audit.returncode == 0, report.decode()
    assert re.search(r"[1-9]\d* orders", report.decode())


async def test_kept_data_passes_the_audit(tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = await start_demo(tmp_path, "--seconds", "3", "--data-dir", str(data))
    output, _ = await asyncio.wait_for(process.communicate(), START_WITHIN + STOP_WITHIN)
    assert process.returncode == 0, output.decode()
    assert output.decode().splitlines()[-2].endswith(" no errors")
    audit = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "audit", "--data-dir", str(data)), stdout=asyncio.subprocess.PIPE
    )
    report, _ = await audit.communicate()
    assert audit.returncode == 0, report.decode()


async def test_without_a_terminal_it_says_a_line_a_second(tmp_path: Path) -> None:
    process = await start_demo(tmp_path, "--seconds", "4")
    output, _ = await asyncio.wait_for(process.communicate(), START_WITHIN + STOP_WITHIN)
    assert "\x1b" not in output.decode()
    lines = re.findall(r"^\d\d:\d\d:\d\d [\d,]+ gifts, \d+ \+ \d+ watching, ", output.decode(), re.MULTILINE)
    assert 2 <= len(lines) <= 4


@pytest.mark.parametrize("flag", ["--viewers=0", "--seconds=-1", "--port=70000"])
async def test_what_can_not_be_is_said_in_a_line(tmp_path: Path, flag: str) -> None:
    process = await start_demo(tmp_path, flag)
    output, _ = await asyncio.wait_for(process.communicate(), START_WITHIN)
    assert process.returncode == 2
    assert b"Traceback" not in output


@pytest.mark.parametrize("command", ["demo", "serve"])
async def test_where_the_port_is_taken_another_is_offered(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gifting", command, "--port", str(port)),
            cwd=tmp_path,
            env=environment(TMPDIR=str(tmp_path)),
            stderr=asyncio.subprocess.PIPE,
        )
        _, complaints = await asyncio.wait_for(process.communicate(), START_WITHIN)
    assert process.returncode == 2
    assert complaints.decode().startswith(
        f"gifting: bad_setting: Can't listen on 127.0.0.1:{port}: Address already in use. --port 0 picks a free one."
    )
    assert left_in(tmp_path) == []


# Killed.


@pytest.mark.attack
async def test_killed_it_leaves_no_redis_and_no_directory(tmp_path: Path) -> None:
    process = await start_demo(tmp_path)
    await read_links(process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    await process.wait()
    await until_gone(family, tmp_path)


@pytest.mark.attack
async def test_killed_it_ends_the_redis_of_kept_data_in_order(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    process = await start_demo(tmp_path / "tmp", "--data-dir", str(tmp_path / "data"))
    await read_links(process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    await process.wait()
    await until_gone(family, tmp_path / "tmp")
    assert "bye bye" in (tmp_path / "data" / "redis.log").read_text()


@pytest.fixture
def nearly_too_long() -> Iterator[Path]:
    """Where a demo's directory is too long for a socket, which so has one of its own that is just short enough."""
    least = len("/tmp/12345678/t/gifting-12345678/redis.sock")
    with tempfile.TemporaryDirectory(prefix="x" * (SOCKET_PATH_MAX - least), dir="/tmp") as folder:
        (Path(folder) / "t").mkdir()
        yield Path(folder) / "t"


@pytest.mark.attack
async def test_what_was_killed_with_its_guard_is_cleared_at_the_next_start(
    nearly_too_long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = nearly_too_long
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    process, running = await start_demo(folder), await start_demo(folder)
    await asyncio.gather(read_links(process), read_links(running))
    family = psutil.Process(process.pid).children(recursive=True)
    (guard,) = (one for one in family if one.name() == "sh")
    guard.kill()
    process.kill()
    await process.wait()
    assert len(left_in(folder)) == 4
    await asyncio.to_thread(clear_leftovers)
    assert len(left_in(folder)) == 2, "those of the other demo, which runs"
    running.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(running.wait(), STOP_WITHIN) == 0
    await until_gone(family, folder)


# In a terminal.


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_it_fits_a_terminal(tmp_path: Path, columns: int) -> None:
    with terminal(tmp_path, columns) as demo:
        demo.until("gifts/s")
        demo.press_ctrl_c()
        assert demo.end() == 0, demo.text
    frames = re.split(r"(?:\x1b\[2K|\x1b\[1A)+", demo.text)
    head, table = CONTROL.sub("", frames[0]), CONTROL.sub("", frames[-1])
    lines = [line.rstrip("\r") for line in (head + table).split("\n")]
    assert all(len(line) <= columns for line in lines), lines
    assert len(lines) < ROWS
    assert len(re.findall(r"^  (?:watch|overlay)  +http://127\.0\.0\.1:\d+/d/[a-z-]+\r?$", head, re.MULTILINE)) == 4
    assert "harbour-lights" in table
    assert "Ctrl-C stops it." in table
    assert "no errors" in table.replace("\r\n", " ")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("after", [0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 0.8, 1.3])
def test_ctrl_c_is_quiet_from_the_start(tmp_path: Path, after: float) -> None:
    with terminal(tmp_path) as demo:
        began = time.monotonic()
        while time.monotonic() < began + after:
            demo.read(began + after - time.monotonic())
        demo.press_ctrl_c()
        status = demo.end()
    if "gifting" in demo.text or "Traceback" not in demo.text:  # else Python itself was just starting
        assert status in {0, 130, -signal.SIGINT}, (status, demo.text)
        assert "Traceback" not in demo.text
        assert "rror" not in demo.text.replace("no errors", ""), demo.text
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(demo.process.pid).children(recursive=True) == []
    assert left_in(tmp_path) == []
