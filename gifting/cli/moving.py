"""``gifting partitions move``: from one Redis to a Redis Cluster."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gifting import config
from gifting.cli.asking import ask
from gifting.cli.options import DataOption, PrefixOption
from gifting.cli.target import data_beside
from gifting.errors import BadSetting, NoRedis
from gifting.logs import log_command

if TYPE_CHECKING:
    from gifting.ledger.moving.crossing import Tally

FromOption = Annotated[
    str | None, typer.Option("--from", help="URL of the one Redis that has the books; by default, a data directory.")
]
ClusterOption = Annotated[str | None, typer.Option("--redis", help="URL of the cluster: redis+cluster://…")]
YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask before the old ledger is halted.")]

PROGRESS_EVERY: Final = 2.0
"""Seconds between two lines about how far it is."""


def move(
    source: FromOption = None,
    data_dir: DataOption = None,
    redis: ClusterOption = None,
    key_prefix: PrefixOption = None,
    yes: YesOption = False,
) -> None:
    """Move the books of one Redis, or of a data directory, to a Redis Cluster that has none. Stop servers and archivers
    before; the old books stay as they are, halted, and marked as moved. Run it again if it was stopped: it goes on."""
    import uvloop
    from redis.exceptions import RedisError

    from gifting.cli.data import redis_of_data

    there = config.load({"redis": redis, "key_prefix": key_prefix})
    if not there.on_cluster:
        raise BadSetting("Books are moved to a Redis Cluster: name it with --redis redis+cluster://…")
    of_one = {"redis": source or "", "durability": config.Settings.durability}  # whatever the new servers have
    here = data_beside({"data_dir": data_dir, "key_prefix": key_prefix, **of_one})

    async def moved() -> None:
        async with redis_of_data(here) as url:
            await _move(url, there, yes=yes)

    try:
        uvloop.run(moved())
    except (RedisError, OSError) as error:
        raise NoRedis(f"It can't go on: {error}. What is copied stays so; run it again.") from None


async def _move(url: str, settings: config.Settings, *, yes: bool) -> None:
    from gifting.ledger.moving.mover import mover

    async with mover(url, settings) as one:
        if not await one.find():
            print("These books were moved there already.")
            return
        if not yes:
            keys = await one.count()
            ask(f"Some {keys:,} keys are moved. The old ledger is halted now, and nobody starts on it afterwards.")
        tally = await one.move(_Progress().tell)
    log_command(settings, "moved", {"keys": tally.keys, "bytes": tally.size})
    compared = f"{_show(tally)}, each key compared with its copy" if tally.keys else "all had come before"
    print(f"The books are on the cluster: {compared}. The old ones are closed.")
    print("Now run `gifting audit` with that --redis, and start servers and archivers with it.")


def _show(tally: Tally) -> str:
    return f"{tally.keys:,} keys, {tally.size / 1e6:,.1f} MB"


class _Progress:
    """Says on stderr how far a move is, a line at a time."""

    def __init__(self) -> None:
        self._begun = self._said = time.monotonic()

    def tell(self, crossing: int, tally: Tally) -> None:
        now = time.monotonic()
        if now - self._said < PROGRESS_EVERY:
            return
        self._said = now
        did = f"{_show(tally)} compared, {tally.written:,} keys written"
        print(f"crossing {crossing}: {did}, {now - self._begun:,.0f} s since the beginning", file=sys.stderr)
