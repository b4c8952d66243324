"""Which payout providers are in use: those that the settings name, each a module with a function ``make``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from gifting.config import Settings
from gifting.economy.payers.base import Payer
from gifting.economy.providers.registry import PLAY, Parts
from gifting.errors import BadSetting, MissingExtra

KNOWN: Final = (PLAY, "stripe")


def payer_names(settings: Settings) -> tuple[str, ...]:
    """Those in use; the sandbox only where nothing is said and the Redis is private. Raises BadSetting."""
    names = tuple(dict.fromkeys(filter(None, map(str.strip, settings.payers.split(",")))))
    if strange := sorted(set(names) - {*KNOWN, "none"}):
        raise BadSetting(f"payers has {', '.join(strange)}; there are {', '.join(KNOWN)}, and none.")
    if names:
        return tuple(name for name in names if name != "none")
    return () if settings.redis else (PLAY,)


def make_payers(parts: Parts) -> Mapping[str, Payer]:
    """By name. Raises BadSetting where one lacks a setting, and MissingExtra where its library is not installed."""
    return {name: _make(name, parts) for name in payer_names(parts.settings)}


def _make(name: str, parts: Parts) -> Payer:
    try:
        module = import_module(f"gifting.economy.payers.{name}")
    except ImportError as error:
        raise MissingExtra(f"The payer {name} needs {error.name}: pip install 'gifting[{name}]'.") from None
    payer: Payer = module.make(parts)
    return payer
