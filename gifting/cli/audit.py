"""``gifting audit``: prove the books."""

from __future__ import annotations

import sys
import traceback
from json import dumps
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from gifting import config
from gifting.cli.beside import data_beside
from gifting.errors import GiftingError, NoRedis

if TYPE_CHECKING:
    from gifting.ledger.audit import AuditReport


def audit(
    redis: Annotated[str | None, typer.Option(help="URL of the Redis to audit.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="The data directory to audit, live or stopped.")] = None,
    key_prefix: Annotated[str | None, typer.Option(help="First part of the keys to audit.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Prove the books: rebuild every balance from the ledger. Exit status 0: clean; 1: what differs is told by cause;
    2: there was nothing that could be audited."""
    import uvloop
    from redis.exceptions import RedisError

    settings = data_beside({"redis": redis, "data_dir": data_dir, "key_prefix": key_prefix})
    try:
        report = uvloop.run(_audit(settings))
    except (RedisError, OSError) as error:
        raise NoRedis(f"The audit could not read Redis: {error}.") from None
    except GiftingError:
        raise
    except Exception:  # a bug of ours says nothing about the books, as status 1 would
        traceback.print_exc()
        sys.exit(2)
    for line in [dumps(report.as_json(), indent=2)] if json else report.lines():
        print(line)
    sys.exit(0 if report.clean else 1)


async def _audit(settings: config.Settings) -> AuditReport:
    from gifting.cli.data import TIMEOUT, redis_of_data
    from gifting.ledger.audit import audit as run_audit
    from gifting.ledger.audit import find_books
    from gifting.ledger.connect import connect

    async with redis_of_data(settings) as url:
        client = connect(url, TIMEOUT)
        place = _without_password(settings.redis) if settings.redis else f"The data directory {settings.data_path}"
        try:
            return await run_audit(client, await find_books(client, settings.key_prefix, place))
        finally:
            await client.aclose()


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
