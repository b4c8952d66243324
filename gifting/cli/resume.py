"""``gifting resume``: after a halt."""

from __future__ import annotations

from gifting.cli.options import DataOption, PrefixOption, RedisOption
from gifting.cli.target import data_beside
from gifting.logs import log_command


def resume(redis: RedisOption = None, data_dir: DataOption = None, key_prefix: PrefixOption = None) -> None:
    """Open the books again after a halt. `gifting audit` says first whether they hold. Then restart every node."""
    from gifting.cli.data import with_redis
    from gifting.ledger.connect import BinaryRedis, keys_of
    from gifting.ledger.halt import open_books

    async def opened(client: BinaryRedis) -> str:
        return await open_books(client, keys_of(client, settings.key_prefix, settings.partitions).meta)

    settings = data_beside({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix})
    why = with_redis(settings, opened)
    if why:
        log_command(settings, "resumed", {"halted": why})
    print(f"The books are open again; restart every node. They were closed at {why}" if why else "No halt is noted.")
