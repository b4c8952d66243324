"""All peers: every :class:`Peer` in the files of ``peers/``."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Sequence
from importlib import import_module

from benchmarks.compare import peers
from benchmarks.compare.peer import Peer
from benchmarks.compare.results import PeerInfo

FIRST = ("gifting", "naive")


def all_peers() -> list[type[Peer]]:
    """This server first, then the naive stack, then the others by file. The servers' own ``*_app`` files are left out.

    Raises:
        ImportError: a file of a peer does not load; it must, whether or not the peer is installed.
    """
    modules = [module.name for module in pkgutil.iter_modules(peers.__path__) if not module.ispkg]
    names = [name for name in modules if not name.startswith("_") and not name.endswith("_app")]
    names.sort(key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    found: list[type[Peer]] = []
    for name in names:
        module = import_module(f"{peers.__name__}.{name}")
        found += [one for one in vars(module).values() if _is_peer(one, module.__name__)]
    return found


def _is_peer(one: object, module: str) -> bool:
    """Whether it is a peer of that file; what begins with ``_`` is what several configurations share."""
    if not isinstance(one, type) or not issubclass(one, Peer) or one.__module__ != module:
        return False
    return not one.__name__.startswith("_") and not inspect.isabstract(one)


def chosen(peers: Sequence[type[Peer]], wanted: Sequence[str]) -> list[type[Peer]]:
    """Those that are called one of the words, or else have it in their name or family; all if there are no words.

    Raises:
        ValueError: a word that fits none.
    """
    found: dict[type[Peer], None] = {}
    for word in wanted:
        fitting = [one for one in peers if word.lower() == one.name.lower()]
        fitting = fitting or [one for one in peers if word.lower() in f"{one.family} {one.name}".lower()]
        if not fitting:
            raise ValueError(f"No peer is called {word!r}. There are: {', '.join(one.name for one in peers)}.")
        found |= dict.fromkeys(fitting)
    return [one for one in peers if one in found] if wanted else list(peers)


def describe(peer: type[Peer]) -> PeerInfo:
    """What the results say of a peer. Blocks for a second or two."""
    return PeerInfo(
        name=peer.name,
        family=peer.family,
        version=peer.version(),
        install=peer.install,
        about=peer.about,
        replays=peer.replays,
    )
