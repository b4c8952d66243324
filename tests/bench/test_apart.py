"""Measuring stands apart: a server loads none of it, and what measures says what it needs and what it writes."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import subprocess
import sys
import zipfile
from pathlib import Path

import hatchling.build
import pytest
from rich.console import Console

from benchmarks.checkout import ROOT
from gifting.bench import native
from gifting.bench.calls import Calls
from gifting.bench.options import BenchOptions
from gifting.bench.render import explain, render
from gifting.bench.run import run_bench
from gifting.errors import MissingTool
from tests.support.server import SECRET, Server

ONLY_FOR_MEASURING = ("gifting.bench", "gifting.load", "hdrh", "psutil")


async def test_a_server_loads_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # names on stderr what is imported, in its workers too
    async with Server(tmp_path / "data") as server:
        await server.room("r1")
    imported = {line.rpartition("|")[2].strip() for line in (tmp_path / "server.log").read_text().splitlines()}
    assert "gifting.ledger.ledger" in imported
    assert {name for name in imported if name.startswith(ONLY_FOR_MEASURING)} == set()


def without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``gifting ARGUMENTS`` where a package is not installed."""
    code = f"import sys; sys.modules[{package!r}] = None; from gifting.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("package", ["hdrh", "psutil"])
def test_a_bench_without_its_extra_says_which(package: str) -> None:
    done = without(package, "bench", "--duration", "0.5")
    assert done.returncode == 2
    assert f"missing_extra: Measuring needs {package}" in done.stderr
    assert "pip install 'gifting[bench]'" in done.stderr


def test_a_demo_needs_no_extra() -> None:
    for package in ("hdrh", "psutil"):
        code = f"import sys; sys.modules[{package!r}] = None; import gifting.demo"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.skipif(not native.available(), reason="needs Linux and cc")
def test_the_floor_works_from_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / hatchling.build.build_wheel(str(tmp_path))) as wheel:
        wheel.extractall(tmp_path / "installed")
    command = [sys.executable, "-m", "gifting", "bench", "--floor", "--drain", "4", "--senders", "2", "--rate", "20"]
    command += ["--viewers", "2", "--duration", "0.5", "--warmup", "0"]
    env = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "floor: C send()" in done.stdout
    assert "4 viewers in C missed nothing" in done.stdout


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match=r"apt-get install gcc libc6-dev\. Install it"):
        native.compile_drive(tmp_path)


def test_there_is_no_fifth_websocket_client() -> None:
    """The client has websockets' parts, a page its browser's; the load makes upgrades in one place, for C too."""
    sources = [path for folder in ("gifting", "benchmarks") for path in (ROOT / folder).rglob("*.[pc]*")]
    makers = [path for path in sources if path.suffix in {".py", ".c"} and "Sec-WebSocket-Key: " in path.read_text()]
    assert [str(path.relative_to(ROOT)) for path in makers] == ["gifting/load/socket.py"]


# A server that is somebody's.


def bench(url: str, *flags: str, answer: str = "") -> tuple[int, str]:
    """``gifting bench --url``, in a terminal if it is to be answered there: its exit status and what it printed."""
    command = [sys.executable, "-m", "gifting", "bench", "--url", url, "--duration", "0.5", "--senders", "3", *flags]
    env = os.environ | {"GIFTING_SECRET": SECRET}
    ours, theirs = pty.openpty() if answer else (None, subprocess.DEVNULL)
    try:
        if ours is not None:
            os.write(ours, answer.encode())
        done = subprocess.run(
            command, cwd=ROOT, env=env, stdin=theirs, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, check=False
        )
    finally:
        for end in (ours, theirs):
            if end is not None and end >= 0:
                os.close(end)
    return done.returncode, done.stdout.decode()


async def test_nothing_is_written_into_a_server_before_somebody_has_said_yes() -> None:
    reached = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        status, said = await asyncio.to_thread(bench, url)
        assert status == 2
        assert f"not_confirmed: This writes into {url}: 1 rooms named bench-" in said
        assert "1,000,000,000 coins for each of 3 users named sender-" in said
        status, said = await asyncio.to_thread(bench, url, answer="n\n")
        assert (status, "not_confirmed: Nothing was written." in said) == (2, True), said
        assert not reached.is_set()
        await asyncio.to_thread(bench, url, answer="y\n")
        assert reached.is_set()
        reached.clear()
        _, said = await asyncio.to_thread(bench, url, "--yes")
        assert reached.is_set()
        assert "This writes into" not in said


# Why a gift costs what it costs.


async def test_a_bench_says_how_many_gifts_share_a_call() -> None:
    result = await run_bench(BenchOptions(senders=4, rate=50, viewers=4, duration=1, warmup=0.2))
    assert result.ledger_calls
    assert result.ledger_items
    said = explain(result)
    assert said.count(". ") == 0
    assert f"{result.ledger_calls / result.gifts:.2f} calls" in said
    console = Console(record=True, width=400, file=io.StringIO())
    render(result, console)
    assert said in console.export_text()


def test_calls_of_two_processes_are_not_subtracted() -> None:
    assert Calls(9, 3, "a").since(Calls(4, 1, "a")) == Calls(5, 2, "a")
    assert Calls(9, 3, "a").since(Calls(4, 1, "b")) is None
