"""``gifting partitions``: what is between the partitions of a cluster, and how they come there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gifting import config
from gifting.cli.asking import ask
from gifting.cli.moving import move
from gifting.cli.options import DataOption, PrefixOption, RedisOption
from gifting.cli.target import data_beside
from gifting.errors import ArchiveNeeded, BadSetting, NoRedis
from gifting.logs import log_command

if TYPE_CHECKING:
    from gifting.ledger.keys import Keys
    from gifting.ledger.mending.gaps import Gap
    from gifting.ledger.mending.mender import Mender

app = typer.Typer(no_args_is_help=True, add_completion=False)

YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask before it is credited.")]
ArchiveOption = Annotated[
    str | None, typer.Option("--archive", help="Of these books; by default, that of the settings. For what is trimmed.")
]


@app.callback()
def partitions() -> None:
    """What is between the partitions of a Redis Cluster, and how they come there."""


app.command()(move)


@app.command()
def mend(
    redis: RedisOption = None,
    data_dir: DataOption = None,
    key_prefix: PrefixOption = None,
    archive: ArchiveOption = None,
    yes: YesOption = False,
) -> None:
    """Credit gifts that a partition has lost again and no outbox has, from the ledger: it names them, and asks before.
    With the same settings as the servers, which may run. Again changes nothing."""
    import uvloop
    from redis.exceptions import RedisError

    from gifting.ledger.cluster.address import is_cluster

    settings = data_beside({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix, "archive": archive})
    if not is_cluster(settings.redis):
        raise BadSetting("Only what is on a Redis Cluster is in partitions apart: name it with --redis.")
    try:
        uvloop.run(_mend(settings, yes=yes))
    except (RedisError, OSError) as error:
        raise NoRedis(f"The cluster can't be used: {error}. What was credited stays so; run it again.") from None


async def _mend(settings: config.Settings, *, yes: bool) -> None:
    from gifting.ledger.mending.mender import mender
    from gifting.rulebook import read_rules

    rules = read_rules(settings)
    commission = rules.creators.usual.commission
    async with mender(settings.redis, settings, rules.catalog, commission) as one:
        gaps = await _find(one, settings)
        for line in _lines(one.keys, gaps):
            print(line)
        if not gaps:
            return
        if not yes:
            _confirm(sum(len(gap.gifts()) for gap in gaps), commission)
        credited = sum([await one.mend(gap) for gap in gaps])
    log_command(settings, "mended", {"pairs": len(gaps), "gifts": credited})
    print(f"{credited} gifts are credited.")


async def _find(mender: Mender, settings: config.Settings) -> list[Gap]:
    """With the archive of the books, where it is needed, and known."""
    from gifting.archive.ledger_items import ledger_items
    from gifting.ledger.meta import ARCHIVE

    try:
        return await mender.find()
    except ArchiveNeeded:
        archive = await mender.redis.hget(mender.keys.meta, ARCHIVE)
        if archive is None or not (url := settings.archive_url()):
            raise
        async with ledger_items(url, mender.keys, archive.decode()) as items:
            return await mender.find(items.back)


def _lines(keys: Keys, gaps: Sequence[Gap]) -> Iterator[str]:
    """What is to be credited, gift by gift."""
    if not gaps:
        yield "Nothing is missing between partitions."
    for gap in gaps:
        gifts = gap.gifts()
        numbers = ", ".join(f"{first} to {last}" for first, last in gap.missing)
        worth = f"{len(gifts)} gifts, {sum(gift.coins for gift in gifts)} coins"
        yield f"{keys.bases[gap.source]} to {keys.bases[gap.destination]}, numbers {numbers}: {worth}"
        for gift in gifts:
            at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(gift.ts // 1000))
            what = f"{gift.gifts} {gift.gift}, {gift.coins} coins, of {gift.user} to {gift.host} in {gift.room}"
            yield f"  {at} {gift.key.hex()} {what}"


def _confirm(gifts: int, commission: int) -> None:
    """Raises NotConfirmed without a yes."""
    rate = f"less {commission / 100:g} % of hosts without terms of their own" if commission else "nothing is taken off"
    ask(f"These {gifts} gifts are credited to their hosts ({rate}).")
