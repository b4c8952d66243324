"""A script's call as Redis takes it on the wire: by its name, or with its text once Redis has forgotten it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from gifting.ledger import scripts
from gifting.ledger.resp import bulk, bulks

_ONE = b"$%d\r\n%b\r\n"


class ScriptCall:
    """Calls of one script in the partition whose keys begin with ``base``. All go to one master, which may have
    forgotten it.
    """

    def __init__(self, name: str, base: str) -> None:
        self.name, self.base = name, base
        self._by_name = bulk(b"EVALSHA") + bulk(scripts.sha(name, cluster=True).encode())
        self._by_text = bulk(b"EVAL") + bulk(scripts.source(name, cluster=True).encode())
        absent = scripts.never(base)
        self._absent, self._absent_count = bulks([*absent]), len(absent)
        self._loaded = True

    def pack(self, keys: bytes, keys_count: int, arguments: Sequence[bytes]) -> bytes:
        """The next call; ``keys`` are in the protocol already."""
        script = self._by_name if self._loaded else self._by_text
        self._loaded = True
        count = len(arguments)
        said = [part for argument in arguments for part in (len(argument), argument)]
        items = _ONE * count % tuple(said)
        return _head(keys_count + self._absent_count, count) % (script, keys + self._absent, items)

    def load_script(self) -> None:
        """Redis has forgotten it: the next call brings it along."""
        self._loaded = False


@lru_cache
def _head(keys_count: int, arguments_count: int) -> bytes:
    """What a call is made of. Three words go before its keys."""
    return b"*%d\r\n%%b%b%%b%%b" % (3 + keys_count + arguments_count, bulk(b"%d" % keys_count))
