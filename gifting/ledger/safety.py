"""An acknowledged gift is only as safe as Redis keeps it: what in its settings can lose one."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from redis.exceptions import RedisError, ResponseError

from gifting.errors import BadSetting
from gifting.health import Health
from gifting.ledger.connect import BinaryRedis

log = logging.getLogger(__name__)

WANTED: Final = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}
CHECK_EVERY: Final = 10.0
"""Seconds between two looks: settings can be changed at run time, and a failover brings another Redis."""


async def find_risk(redis: BinaryRedis) -> str:
    """What can lose acknowledged gifts, and how to set it; '' where nothing can. Raises what redis-py raises."""
    try:
        found = await redis.config_get(*WANTED)
    except ResponseError:
        wanted = ", ".join(f"{name} {value}" for name, value in WANTED.items())
        return f"Redis does not tell its settings (CONFIG GET is refused); it must have {wanted}."
    wrong = {name: found.get(name, "unknown") for name, value in WANTED.items() if found.get(name) != value}
    if not wrong:
        return ""
    names = ", ".join(f"{name} {value}" for name, value in wrong.items())
    wanted = ", ".join(f"{name} {WANTED[name]}" for name in wrong)
    return f"Redis has {names}, so acknowledged gifts can be lost; set {wanted}."


async def require_safe(redis: BinaryRedis, *, allow_unsafe: bool) -> None:
    """Refuse a Redis that can lose acknowledged gifts, or only warn of it where that is allowed.

    Raises:
        BadSetting: it can, or it does not tell.
        RedisError, OSError: it can't be asked.
    """
    risk = await find_risk(redis)
    if risk and not allow_unsafe:
        raise BadSetting(f"{risk} Or take the risk with --allow-unsafe-redis.")
    if risk:
        log.warning("%s", risk)


async def watch_safety(redis: BinaryRedis, health: Health) -> None:
    """For ever: not ready while Redis is set up to lose acknowledged gifts, though it was not at the start."""
    while True:
        await asyncio.sleep(CHECK_EVERY)
        try:
            risk = await find_risk(redis)
        except (RedisError, OSError):
            continue  # that it can't be reached is said by the feed
        if risk:
            health.fail("redis", risk)
        else:
            health.mend("redis")
