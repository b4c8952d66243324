"""Which providers are in use: those that the settings name, each a module with a function ``make``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final, NamedTuple

from gifting.config import Settings
from gifting.economy.providers.base import Provider
from gifting.errors import BadSetting, MissingExtra
from gifting.ledger.ledger import Ledger
from gifting.model.prices import Prices

KNOWN: Final = ("sandbox", "stripe", "apple", "google")

PLAY: Final = "sandbox"
"""The one with which no real money moves."""


class Parts(NamedTuple):
    """What a provider, or a payer, is made of. ``secrets`` gives those of the server, of which the first signs, and
    ``prices`` those that hold now.
    """

    settings: Settings
    ledger: Ledger
    secrets: Callable[[], Sequence[str]]
    prices: Callable[[], Prices]


def provider_names(settings: Settings) -> tuple[str, ...]:
    """Those in use; the sandbox only where nothing is said and the Redis is private. Raises BadSetting."""
    names = tuple(dict.fromkeys(filter(None, map(str.strip, settings.providers.split(",")))))
    if strange := sorted(set(names) - {*KNOWN, "none"}):
        raise BadSetting(f"providers has {', '.join(strange)}; there are {', '.join(KNOWN)}, and none.")
    if names:
        return tuple(name for name in names if name != "none")
    return () if settings.redis else (PLAY,)


def make_providers(parts: Parts) -> Mapping[str, Provider]:
    """By name. Raises BadSetting where one lacks a setting, and MissingExtra where its library is not installed."""
    return {name: make_provider(name, parts) for name in provider_names(parts.settings)}


def make_provider(name: str, parts: Parts) -> Provider:
    """One of :data:`KNOWN`. Raises BadSetting, and MissingExtra."""
    try:
        module = import_module(f"gifting.economy.providers.{name}")
    except ImportError as error:
        raise MissingExtra(f"The provider {name} needs {error.name}: pip install 'gifting[{name}]'.") from None
    provider: Provider = module.make(parts)
    return provider
