"""``gifting bench``: a server under load, measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gifting import config
from gifting.errors import BadSetting, MissingExtra, NotConfirmed

if TYPE_CHECKING:
    from gifting.bench import SoakOptions

NO_OPTIONS = frozenset({"full", "soak", "slope_max", "faults", "yes"})
"""Flags that are no option of a bench."""

SOAK_FLAGS = frozenset({"senders", "viewers", "rooms", "rate", "json"})
"""Flags of a bench that mean something to a soak too."""


def bench(
    url: Annotated[str, typer.Option(help="Server to load; GIFTING_SECRET must be its secret. Empty: start one.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="With --url: don't ask before anything is written there.")] = False,
    data_dir: Annotated[str, typer.Option(help="Data directory of the server at --url, to audit it.")] = "",
    senders: Annotated[int, typer.Option(help="Connections that send gifts.")] = 50,
    in_flight: Annotated[int, typer.Option(help="Gifts each sender keeps waiting, without --rate.")] = 8,
    viewers: Annotated[int, typer.Option(help="Connections that listen and check everything.")] = 100,
    drain: Annotated[int, typer.Option(help="More viewers, in C, that only count. Needs cc.")] = 0,
    rooms: Annotated[int, typer.Option(help="Rooms they are spread over.")] = 1,
    rate: Annotated[float, typer.Option(help="Gifts/s in all, at fixed times.")] = 0.0,
    full: Annotated[bool, typer.Option("--max", help="As fast as replies come (the default).")] = False,
    duration: Annotated[float, typer.Option(help="Seconds measured.")] = 10.0,
    warmup: Annotated[float, typer.Option(help="Seconds of load before that.")] = 2.0,
    lane: Annotated[str, typer.Option(help="all or live.")] = "all",
    idle: Annotated[int, typer.Option(help="First measure memory for this many idle viewers.")] = 0,
    slow_reader: Annotated[float, typer.Option(help="Seconds for which one more viewer reads nothing.")] = 0.0,
    floor: Annotated[bool, typer.Option(help="Measure the kernel's floor too, in C.")] = False,
    processes: Annotated[int, typer.Option(help="Load processes of each kind; 0: by cores.")] = 0,
    workers: Annotated[int, typer.Option(help="Server processes.")] = 1,
    json: Annotated[str, typer.Option(help="Write the result to this file.")] = "",
    soak: Annotated[str, typer.Option(help="90s, 10m, 1h: churn on two nodes for so long, in 4 rooms.")] = "",
    slope_max: Annotated[float | None, typer.Option(help="With --soak: MiB/h a node may grow.")] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="With --soak: what can fail fails at random moments.")
    ] = False,
) -> None:
    """Measure: a server under load from other processes, then audited."""
    given = {name: value for name, value in locals().items() if name not in NO_OPTIONS}
    if full and (rate or soak):
        raise BadSetting("--max goes with neither --rate nor --soak.")
    with extra_needed():
        from gifting import bench as benching
    if soak:
        sys.exit(benching.run(soak_options(soak, slope_max, given, faults=faults)))
    if slope_max is not None or faults:
        raise BadSetting("--slope-max and --faults go with --soak.")
    options = benching.BenchOptions(**given, secret=(*config.load().secrets, "")[0])
    if url and not yes:
        confirm(url, benching.writes(options))
    sys.exit(benching.run(options))


@contextmanager
def extra_needed() -> Iterator[None]:
    """What is imported within needs more packages than a server. Raises :class:`MissingExtra` where they are not."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "gifting").startswith("gifting"):
            raise
        raise MissingExtra(f"Measuring needs {error.name}: pip install 'gifting[bench]'.") from error


def confirm(url: str, writes: str) -> None:
    """Ask before a server that is somebody's gets coins and rooms. Raises :class:`NotConfirmed` without a yes."""
    said = f"This writes into {url}: {writes} None of it can be taken back."
    if not sys.stdin.isatty():
        raise NotConfirmed(said)
    if not typer.confirm(f"{said} Go on?", default=False):
        raise NotConfirmed


def soak_options(soak: str, slope_max: float | None, given: dict[str, Any], *, faults: bool = False) -> SoakOptions:
    """What was said, with a soak's own defaults for the rest. Raises BadSetting for a flag that means nothing to it."""
    from gifting import bench as benching

    usual = {one.name: one.default for one in fields(benching.BenchOptions)}
    said = {name: value for name, value in given.items() if value != usual[name]}
    if strange := sorted(said.keys() - SOAK_FLAGS):
        raise BadSetting(f"--soak takes no {', '.join('--' + name.replace('_', '-') for name in strange)}.")
    return benching.SoakOptions(seconds=benching.parse_duration(soak), slope_max=slope_max, faults=faults, **said)
