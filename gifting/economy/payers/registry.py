"""Which payout providers are in use: those that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gifting.config import Settings
from gifting.economy.payers.base import Payer
from gifting.economy.payers.sandbox import Sandbox
from gifting.errors import BadSetting
from gifting.ledger.ledger import Ledger

KNOWN: Final = {"sandbox": Sandbox}


def payer_names(settings: Settings) -> tuple[str, ...]:
    """Those in use; the sandbox only where nothing is said and the Redis is private. Raises BadSetting."""
    names = tuple(dict.fromkeys(filter(None, map(str.strip, settings.payers.split(",")))))
    if strange := sorted(set(names) - {*KNOWN, "none"}):
        raise BadSetting(f"payers has {', '.join(strange)}; there are {', '.join(KNOWN)}, and none.")
    if names:
        return tuple(name for name in names if name != "none")
    return () if settings.redis else ("sandbox",)


def make_payers(settings: Settings, ledger: Ledger) -> Mapping[str, Payer]:
    """By name. Raises BadSetting."""
    return {name: KNOWN[name](ledger) for name in payer_names(settings)}
