"""All that is under the keys of books, in plain values, which are the same where they were moved to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from gifting.ledger.keys import Keys
from gifting.ledger.moving.names import FIRST_EPOCH

TAG = re.compile(rb"\{p(\d+)[^}]*\}")
IN_THE_FIRST = re.compile(rb"^(gifting:)\{\d+\}(:cases(:.*)?)$", re.DOTALL)
ELSEWHERE = re.compile(rb"\}:(meta|line|waited|chain:.*)$")
STREAM = ("last-generated-id", "entries-added", "max-deleted-entry-id")


def bare(value: Any) -> Any:
    """Without what tags are called."""
    if isinstance(value, bytes):
        return TAG.sub(rb"{\1}", value)
    if isinstance(value, list | tuple):
        return [bare(one) for one in value]
    if isinstance(value, dict):
        return {bare(name): bare(one) for name, one in value.items()}
    return value


async def content(redis: Any, key: bytes) -> Any:
    kind = (await redis.type(key)).decode()
    if kind == "stream":
        told = await redis.xinfo_stream(key)
        return kind, await redis.xrange(key), [told[name] for name in STREAM]
    reads: dict[str, Callable[[], Any]] = {
        "hash": lambda: redis.hgetall(key),
        "zset": lambda: redis.zrange(key, 0, -1, withscores=True),
        "string": lambda: redis.get(key),
    }
    return kind, await reads[kind]()


async def plain(redis: Any, keys: Keys) -> dict[bytes, Any]:
    """By name, what each key is and until when; support cases as where all are in one place."""
    found: dict[bytes, Any] = {}
    for key in sorted({key async for key in redis.scan_iter(match="gifting:*", count=1000)}):
        name = IN_THE_FIRST.sub(rb"\1{00}\2", bare(key))
        if ELSEWHERE.search(key):
            continue
        value = (*bare(await content(redis, key)), await redis.pexpiretime(key))
        if name.endswith(b"}:cases") and name in found:
            value = (value[0], found[name][1] | value[1], value[2])
        found[name] = value
    return found


def with_epochs(found: dict[bytes, Any]) -> dict[bytes, Any]:
    """What of this is said otherwise on a cluster: rooms know in which of its histories they are."""
    return {name: _with_epochs(value) if is_room(name) else value for name, value in found.items()}


def is_room(name: bytes) -> bool:
    return re.search(rb"\}:room:[^/]+$", name) is not None


def _with_epochs(value: Any) -> Any:
    kind, fields, until = value
    return kind, fields | FIRST_EPOCH, until


def tags_in(found: Iterable[Any]) -> set[bytes]:
    """Tags of one Redis that are named anywhere, as what :func:`plain` is made of has them."""
    return {tag for one in found for tag in re.findall(rb"\{p\d+\}", repr(one).encode())}
