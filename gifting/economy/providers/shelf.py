"""What the provider of a store needs of the server: our orders, which product each package is, and its settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple

from gifting.config import Settings
from gifting.economy.providers.registry import Parts
from gifting.errors import BadSetting, UnknownPackage
from gifting.model.orders import Order

FILE_MAX: Final = 64 * 1024
"""Bytes of a file with a key or certificates."""


class Shelf(NamedTuple):
    """
    Args:
        order: the one that an id, or a reference (``google:GPA.…``), leads to.
        sells: whether a product id of this store is one of a package.
        product: a package's product id in this store; '' if it is not sold there, or no package.
    """

    order: Callable[[str], Awaitable[Order | None]]
    sells: Callable[[str], bool]
    product: Callable[[str], str]


def shelf_of(store: Literal["apple", "google"], parts: Parts) -> Shelf:
    """By the ledger's orders, and the prices that hold when it is asked."""

    def sells(product: str) -> bool:
        try:
            return bool(parts.prices().product(store, product))
        except UnknownPackage:
            return False

    def product(package: str) -> str:
        found = parts.prices().packages.get(package)
        return getattr(found, store) if found else ""

    return Shelf(parts.ledger.orders.find, sells, product)


def needed(provider: str, settings: Settings, *names: str) -> None:
    """Raises BadSetting for those that are not set."""
    if missing := [name for name in names if not getattr(settings, name)]:
        raise BadSetting(f"The provider {provider} needs {', '.join(missing)}.")


def read_file(setting: str, path: str) -> bytes:
    """A small file that a setting names. Raises BadSetting."""
    try:
        with Path(path).open("rb") as file:
            return file.read(FILE_MAX)
    except OSError as error:
        raise BadSetting(f"{setting} is {path}: {error.strerror}.") from None
