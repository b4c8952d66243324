"""The demo as a newcomer meets it: it starts, shows where to look, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from gifting.demo.leftovers import clear_leftovers
from gifting.ledger.embedded.server import SOCKET_PATH_MAX
from tests.support.commands import environment

pytestmark = pytest.mark.slow

START_WITHIN = 30.0
STOP_WITHIN = 30.0
MAIN = "import sys; from gifting.cli import main; sys.exit(main())"
"""What the command that pip installs does."""

COMMAND = (sys.executable, "-c", MAIN, "demo", "--port", "0", "--viewers", "5")
ROWS = 24
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


async def start_demo(tmp_path: Path, *flags: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(*COMMAND, *flags),
        env=environment(TMPDIR=str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path.parent / f"{tmp_path.name}-notes")),
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
            links += re.findall(r"^  (?:overlay|watch) +(http://\S+)$", line.decode().rstrip())
    return links


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def until_gone(processes: list[psutil.Process], folder: Path) -> None:
    async with asyncio.timeout(STOP_WITHIN):
        while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes) or left_in(folder):
            await asyncio.sleep(0.05)


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
    async with asyncio.timeout(3 * START_WITHIN):
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


class Terminal:
    """A demo in a terminal of ``columns`` × 24."""

    def __init__(self, tmp_path: Path, columns: int) -> None:
        self._own, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        notes = str(tmp_path.parent / f"{tmp_path.name}-notes")
        env = environment(TMPDIR=str(tmp_path), XDG_RUNTIME_DIR=notes, TERM="xterm-256color")
        env = {name: value for name, value in env.items() if name not in {"COLUMNS", "LINES", "NO_COLOR", "CI"}}

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            COMMAND,
            env=env,
            stdin=other,
            stdout=other,
            stderr=other,
            preexec_fn=take_terminal,  # noqa: PLW1509
        )
        os.close(other)
        self.text = ""

    def read(self, seconds: float) -> bool:
        """Some output, if there is any within ``seconds``; False at its end."""
        if not select.select([self._own], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._own, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def until(self, words: str) -> None:
        end = time.monotonic() + START_WITHIN
        while words not in self.text:
            assert self.read(0.1), self.text
            assert time.monotonic() < end, self.text

    def press_ctrl_c(self) -> None:
        os.write(self._own, b"\x03")

    def end(self) -> int:
        """Read all, and wait for the end; the exit status."""
        end = time.monotonic() + STOP_WITHIN
        while self.read(0.1) and self.process.poll() is None:
            assert time.monotonic() < end, self.text
        return self.process.wait(STOP_WITHIN)

    def close(self) -> None:
        os.close(self._own)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def terminal(tmp_path: Path, columns: int = 80) -> Iterator[Terminal]:
    made = Terminal(tmp_path, columns)
    try:
        yield made
    finally:
        made.close()


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
