"""Calls of Redis other than commits: what their failures mean to whoever asked, and what a script refuses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from redis.exceptions import RedisError

from gifting import errors
from gifting.ledger import scripts
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.halt import Halt
from gifting.ledger.keys import Keys
from gifting.ledger.redis_errors import Fate, fate
from gifting.ledger.status import Status, refusal
from gifting.model.packing import pack

log = logging.getLogger(__name__)

REDIS_ERRORS: Final = (RedisError, OSError)
"""All that a call of redis-py raises."""

BOOKKEEPING: Final = (
    "claw_back",
    "creator_put",
    "gift_reverse",
    "grant",
    "order_put",
    "payout_put",
    "room_end",
    "sweep",
)
"""Scripts after whose failure, as after one of ``commit``, nothing more is written."""

HOUSEKEEPING: Final = ("creator_put", "person_put", "room_end", "room_open", "room_rules")
"""Scripts that change what a gift's room and host say to it."""

Unsure = type[errors.LedgerUnavailable | errors.OutcomeUnknown | errors.Unconfirmed]
"""What a failed call means where it may have been done all the same: LedgerUnavailable where that changes nothing,
OutcomeUnknown where it may be asked again with its key, Unconfirmed where it has none.
"""


def translate(error: Exception, unsure: Unsure = errors.LedgerUnavailable) -> errors.GiftingError:
    """What a failed call of Redis means to whoever asked for it."""
    became = fate(error)
    if became is Fate.NO_MEMORY:
        return errors.LedgerFull()
    if became in (Fate.FORGOTTEN, Fate.NOT_RUN):
        return errors.LedgerUnavailable()
    return unsure()


@contextmanager
def translated(unsure: Unsure = errors.LedgerUnavailable) -> Iterator[None]:
    """Within it a failed call of Redis raises what :func:`translate` says."""
    try:
        yield
    except REDIS_ERRORS as error:
        raise translate(error, unsure) from error


def check(status: int) -> None:
    """Raise what a script refused for."""
    if status != Status.OK:
        raise refusal(status)


class Calls:
    """Redis as the parts of the ledger use it.

    ``now`` gives the time as the scripts take it: '' lets Redis' own clock decide, so that nodes whose clocks differ
    agree; tests give a time in ms. ``changed`` is told the keys of what may now be other than gifts have found it.
    """

    def __init__(
        self,
        redis: BinaryRedis,
        keys: Keys,
        halt: Halt,
        now: Callable[[], str],
        changed: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self.redis = redis
        self.keys = keys
        self.halt = halt
        self.now = now
        self._changed = changed

    async def timed(
        self, name: str, keys: list[str], options: Any, *, unsure: Unsure = errors.LedgerUnavailable
    ) -> Any:
        """Run a script that takes the time and packed options; see :meth:`run`."""
        return await self.run(name, keys, self.now(), pack(options), unsure=unsure)

    async def run(
        self, name: str, keys: list[str], *args: bytes | str | int, unsure: Unsure = errors.LedgerUnavailable
    ) -> Any:
        """Run a script. Raises Unavailable, or ``unsure``; a script that fails half-way closes the books."""
        if name in BOOKKEEPING:
            self.halt.check()
        try:
            return await scripts.call(self.redis, name, keys, *args)
        except REDIS_ERRORS as error:
            if fate(error) is Fate.BROKEN:
                log.error("the script %s failed: %s", name, error)
                if name in BOOKKEEPING:
                    self.halt.pull(f"{name}: {error}")
            raise translate(error, unsure) from error
        finally:
            if name in HOUSEKEEPING:
                self._changed(keys)
