"""How keys and calls are laid out on a cluster: kept with the data, since another layout would not find them."""

from __future__ import annotations

from hashlib import sha1
from typing import Final

from gifting.errors import ClusterLayout
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.keys import Keys

LAYOUT: Final = "layout"
"""Field of ``meta``: the format, and the digest of what the partitions' keys begin with."""

FORMAT: Final = 1
"""Of the keys, and of what ``debit`` hands to ``credit``: a version that changes either has another one."""


def layout_of(keys: Keys) -> str:
    digest = sha1(" ".join(keys.bases).encode(), usedforsecurity=False).hexdigest()[:12]
    return f"{FORMAT} {digest}"


async def agree_layout(redis: BinaryRedis, keys: Keys) -> None:
    """At a start: keep the layout if there is none yet.

    Raises:
        ClusterLayout: the data has another one.
        RedisError, OSError: it can't be asked.
    """
    own = layout_of(keys)
    await redis.hsetnx(keys.meta, LAYOUT, own)
    kept = (await redis.hget(keys.meta, LAYOUT)).decode()
    if kept != own:
        raise ClusterLayout(f"The data is laid out as {kept!r}, this version lays it out as {own!r}.")
