"""A script's call as Redis takes it on the wire: by its name, or with its text once Redis has forgotten it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from gifting.ledger import scripts
from gifting.ledger.resp import bulk

_ONE = b"$%d\r\n%b\r\n"


class ScriptCall:
    """Calls of one script. All of a partition's go to one master, which may have forgotten it."""

    def __init__(self, name: str) -> None:
        self._by_name = bulk(b"EVALSHA") + bulk(scripts.sha(name).encode())
        self._by_text = bulk(b"EVAL") + bulk(scripts.source(name).encode())
        self._loaded = True

    def pack(self, keys: bytes, keys_count: int, arguments: Sequence[bytes]) -> bytes:
        """The next call; ``keys`` are in the protocol already."""
        script = self._by_name if self._loaded else self._by_text
        self._loaded = True
        count = len(arguments)
        said = [part for argument in arguments for part in (len(argument), argument)]
        return _head(keys_count, count) % (script, keys, _ONE * count % tuple(said))

    def load_script(self) -> None:
        """Redis has forgotten it: the next call brings it along."""
        self._loaded = False


@lru_cache
def _head(keys_count: int, arguments_count: int) -> bytes:
    """What a call is made of. Three words go before its keys."""
    return b"*%d\r\n%%b%b%%b%%b" % (3 + keys_count + arguments_count, bulk(b"%d" % keys_count))
