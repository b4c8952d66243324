"""A commit call as Redis takes it, and the chain that keeps calls in flight in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from secrets import token_hex
from typing import Final

from gifting.config import Settings
from gifting.ledger import scripts
from gifting.ledger.commit import PendingCommit, pack_batch
from gifting.ledger.resp import bulk
from gifting.model.packing import pack

NOT_IN_TURN: Final = b""
"""The reply to a call that has not run because the one before it has not."""

_EVALSHA: Final = bulk(b"EVALSHA") + bulk(scripts.sha("commit").encode())
_EVAL: Final = bulk(b"EVAL") + bulk(scripts.source("commit").encode())
_NONE: Final = bulk(b"")
_ARGUMENTS: Final = 9
"""The time, the options, five of the batch, and the numbers of the call before it and its own."""
_BATCH: Final = 5 * b"$%d\r\n%b\r\n"


def commit_options(settings: Settings, commission: int) -> bytes:
    """What the script takes of the settings; ``commission`` of hosts who have none of their own, in basis points."""
    windows = (settings.dedupe_window, settings.key_lead, settings.streak_window)
    in_ms = (round(seconds * 1000) for seconds in windows)
    return pack((*in_ms, *settings.diamond_rate(), settings.log_keep, commission))


class CommitCalls:
    """Commit calls of one process, one after another: Redis runs and answers them in that order.

    If Redis turns one away (it has forgotten the script, it is busy), the next one may run all the same. So a call that
    is written beside another names it, and the script runs only if that one has run to its end. It finds out under a
    key of its own that begins with ``chain``. Numbers are not used again, on a new connection neither.

    ``options`` are what the script takes, ``now`` its time.
    """

    def __init__(self, chain: str, options: bytes, now: Callable[[], str]) -> None:
        self._chain = bulk(f"{chain}:{token_hex(8)}".encode())
        self._number = 0
        self._options = bulk(options)
        self._now = now
        self._loaded = True
        self.linked = False
        """Whether the last call can be named by the next."""

    def use(self, options: bytes) -> None:
        """Other options, from the next call on."""
        self._options = bulk(options)

    def pack(self, batch: Sequence[PendingCommit], *, link: bool, beside: bool) -> bytes:
        """The next call. ``link`` lets one be written beside it; one that is written ``beside`` another is linked."""
        packed = pack_batch(batch)
        keys, count = packed.keys, packed.keys_count
        after = number = _NONE
        if link:
            keys, count = keys + self._chain, count + 1
            after = self._name() if beside else _NONE
            self._number += 1
            number = self._name()
        self.linked = link
        script = _EVALSHA if self._loaded else _EVAL
        self._loaded = True
        start, keys_count = _head(count)
        now = self._now()
        time = bulk(now.encode()) if now else _NONE
        kinds, places, heads, terms, values = packed.arguments
        said = (len(kinds), kinds, len(places), places, len(heads), heads, len(terms), terms, len(values), values)
        items = _BATCH % said
        return b"".join((start, script, keys_count, keys, time, self._options, items, after, number))

    def _name(self) -> bytes:
        """The number of the last call, as an argument."""
        return bulk(b"%d" % self._number)

    def load_script(self) -> None:
        """Redis has forgotten the script: the next call brings it along."""
        self._loaded = False


@lru_cache
def _head(keys_count: int) -> tuple[bytes, bytes]:
    """What a call of so many keys begins with, and their number as an argument. Three words go before them."""
    return b"*%d\r\n" % (3 + keys_count + _ARGUMENTS), bulk(b"%d" % keys_count)
