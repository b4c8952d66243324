"""``gifting bench``: a server under load, measured and audited."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gifting.bench.options import BenchOptions, BenchResult
from gifting.bench.render import render
from gifting.bench.run import GRANT, run_bench
from gifting.bench.soak import SoakOptions, SoakResult, parse_duration, run_soak
from gifting.bench.soak.render import render_soak
from gifting.errors import GiftingError
from gifting.load.fleet import LoadError

__all__ = [
    "BenchOptions",
    "BenchResult",
    "SoakOptions",
    "SoakResult",
    "parse_duration",
    "run",
    "run_bench",
    "run_soak",
    "writes",
]


def run(options: BenchOptions | SoakOptions) -> int:
    """Run a bench or a soak and print it; for the command line.

    Returns:
        0: measured and audited. 1: the audit found a problem. 2: it could not be run. 130: interrupted.
    """
    console = Console()
    try:
        result = asyncio.run(_run_with_progress(options))
    except (GiftingError, LoadError, OSError, ValueError) as error:
        console.print(f"gifting bench: {error}", style="red", markup=False)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    if isinstance(result, SoakResult):
        render_soak(result, console)
    else:
        render(result, console)
    if options.json:
        Path(options.json).write_bytes(to_json(result))
    return 0 if result.audit.passed else 1


def writes(options: BenchOptions) -> str:
    """What a bench leaves in the server it loads, in a sentence."""
    return (
        f"{options.rooms:,} rooms named bench-…, {GRANT:,} coins for each of {options.senders:,} users named sender-…, "
        f"and as many gifts as are taken in {options.warmup + options.duration:g} s."
    )


def to_json(result: BenchResult | SoakResult) -> bytes:
    """The result without the secret."""
    document = msgspec.to_builtins(result)
    document["options"].pop("secret", None)
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


async def _run_with_progress(options: BenchOptions | SoakOptions) -> BenchResult | SoakResult:
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        _end_in_order()

        def show(text: str, done: float) -> None:
            progress.update(task, description=text, completed=done)

        return await (run_soak(options, show) if isinstance(options, SoakOptions) else run_bench(options, show))


def _end_in_order() -> None:
    """Let SIGTERM and SIGHUP do as Ctrl-C does: the server and the load are sessions of their own and would stay."""
    running = asyncio.current_task()
    assert running is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
