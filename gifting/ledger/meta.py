"""What must be the same on all nodes: kept beside the data by the first that starts, and changed by command only.

=====================  ================================================================================================
``partitions``         where keys are; can't be changed
``dedupe_window``      a node that forgets sooner than others remember would open a used key, were it not for floors
``key_lead``           the same
``grant_window``       the same
``streak_window``      when a streak is over must not depend on who ends it
``diamonds_per_coin``  what a coin earns must not depend on who takes the gift
``salt``               of pseudonyms, in hexadecimal: who gives anonymously has the same name by all nodes
``archive``            id (UUID) of the archive that follows these books; the archiver keeps it here
``archive_refused``    why an archiver does not follow them, until one does again
``archive_lost``       events of rooms that were gone before they were archived
``moved``              when and where to the books were moved (:mod:`.moved`)
``arriving``           on a cluster, and alone: which books are moved here, until all of them have come
``layout``, ``born``   on a cluster: how keys are laid out; when all partitions had their first key. Neither changes
``changes``            the newest changes: a JSON list of [ms since 1970, setting, was, is], the oldest first
=====================  ================================================================================================
"""

from __future__ import annotations

import json
import secrets
from fractions import Fraction
from typing import Any, Final, NamedTuple

from gifting.config import Settings, table
from gifting.errors import BadSetting
from gifting.ledger.clock import in_ms
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.moved import require_here
from gifting.model.pseudonym import SALT_SIZE

SHARED: Final = ("partitions", "dedupe_window", "key_lead", "grant_window", "streak_window", "diamonds_per_coin")
FIXED: Final = "partitions"
CHANGES: Final = "changes"
SALT: Final = "salt"
ARCHIVE: Final = "archive"
REFUSED: Final = "archive_refused"
LOST: Final = "archive_lost"

CHANGES_MAX: Final = 100
"""Changes that are kept."""


class Change(NamedTuple):
    ms: int
    name: str
    was: str
    now: str


def written(settings: Settings) -> dict[str, str]:
    """The shared settings as they are kept: whole numbers without a point."""
    return {name: _write(getattr(settings, name)) for name in SHARED}


def _write(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def read_changes(found: dict[bytes, bytes]) -> list[Change]:
    return [Change(*row) for row in json.loads(found.get(CHANGES.encode(), b"[]"))]


class Meta:
    """The hash ``key``. Everything raises RedisError or OSError."""

    def __init__(self, redis: BinaryRedis, key: str, settings: Settings) -> None:
        self._redis = redis
        self._key = key
        self._settings = settings
        self.salt = b""
        """There from :meth:`agree` on."""

    async def agree(self) -> None:
        """At a start: keep the settings if there are none yet.

        Raises:
            BadSetting: they differ from those kept.
            BooksMoved, BooksArriving: the books are not here.
        """
        require_here(await self.read())
        pipe = self._redis.pipeline(transaction=True)
        for name, value in written(self._settings).items():
            pipe.hsetnx(self._key, name, value)
        pipe.hsetnx(self._key, SALT, secrets.token_hex(SALT_SIZE))
        *_, found = await pipe.hgetall(self._key).execute()
        require_here(found)  # since a moment ago
        salt = found[SALT.encode()]
        self.salt = bytes.fromhex(salt.decode())
        if difference := await self.difference():
            raise BadSetting(difference)

    async def difference(self) -> str:
        """How the settings of this process differ from those kept, and the way out; '' where they don't."""
        found = await self.read()
        return " ".join(
            _tell(name, kept, own)
            for name, own in written(self._settings).items()
            if (kept := found.get(name.encode(), own.encode()).decode()) != own and not _same(kept, own)
        )

    async def read(self) -> dict[bytes, bytes]:
        """What is kept; nothing where there is no data."""
        return dict(await self._redis.hgetall(self._key))

    async def change(self, name: str, value: str) -> Change:
        """Set a shared setting for all nodes, each of which must then be restarted with it.

        Raises:
            BadSetting: no shared setting, one that can't be changed, a value out of bounds, or data without any.
        """
        if name not in SHARED or name == FIXED:
            raise BadSetting(f"{name} can't be set here; {', '.join(SHARED[1:])} can.")
        now = written(_with(name, value))[name]
        found = await self.read()
        if name.encode() not in found:
            raise BadSetting("There is no data of gifting here.")
        change = Change(in_ms(await self._redis.time()), name, found[name.encode()].decode(), now)
        changes = [*read_changes(found), change][-CHANGES_MAX:]
        await self._redis.hset(self._key, mapping={name: now, CHANGES: json.dumps(changes)})
        return change


def _tell(name: str, kept: str, own: str) -> str:
    said = f"The data has {name} {kept}, the settings {own}."
    if name == FIXED:
        return f"{said} It can't be changed once data exists."
    flag = "--" + name.replace("_", "-")
    return f"{said} Start with {flag} {kept}, or change it for all nodes: gifting settings set {name} {own}."


def _same(kept: str, own: str) -> bool:
    """Whether two ways to write a value mean the same, as 1/2 and 0.5 do."""
    try:
        return Fraction(kept) == Fraction(own)
    except (ValueError, ZeroDivisionError):
        return False


def _with(name: str, value: str) -> Settings:
    """Settings with this one; checked against its bounds. Raises BadSetting."""
    kind = next(row.type for row in table() if row.name == name)
    try:
        return Settings(**{name: kind(value)})
    except ValueError:
        raise BadSetting(f"{name} is {value!r}; it must be a {kind.__name__}.") from None
