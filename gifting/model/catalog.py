"""The gifts one can send: a TOML file, checked as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from gifting.errors import BadCatalog, UnknownGift
from gifting.model.events import Tier, encode_gift
from gifting.model.tomlfile import TomlFile, read_toml

STREAKABLE_UP_TO: Final = 99
"""Coins up to which a gift is streakable unless the catalog says otherwise."""

MAX_GIFTS: Final = 1000
MAX_PRICE: Final = 1_000_000
"""Coins."""


class Gift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One gift. ``coins`` is its price; ``art`` an emoji that is drawn where there is no ``image``."""

    id: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9_-]{0,39}\Z")]
    name: Annotated[str, Meta(min_length=1, max_length=40)]
    coins: Annotated[int, Meta(ge=1, le=MAX_PRICE)]
    tier: Tier
    streakable: bool = False
    art: Annotated[str, Meta(max_length=16)] = "🎁"
    image: Annotated[str, Meta(max_length=300)] = ""

    def public(self) -> dict[str, Any]:
        """The gift as clients see it."""
        return {
            "id": self.id,
            "name": self.name,
            "coins": self.coins,
            "tier": self.tier,
            "streakable": self.streakable,
            "image": self.image,
        }


class Catalog:
    """All gifts by id. Lookup raises :class:`UnknownGift`."""

    def __init__(self, gifts: list[Gift]) -> None:
        self._gifts = {gift.id: gift for gift in gifts}
        self._wire = {gift.id: encode_gift(gift.public()) for gift in gifts}

    def __iter__(self) -> Iterator[Gift]:
        return iter(self._gifts.values())

    def __contains__(self, gift_id: str) -> bool:
        return gift_id in self._gifts

    def __getitem__(self, gift_id: str) -> Gift:
        try:
            return self._gifts[gift_id]
        except KeyError:
            raise UnknownGift(f"There is no gift {gift_id!r}.") from None

    def wire(self, gift_id: str) -> bytes:
        """The field ``gift`` of this gift's events, as wire bytes."""
        return self._wire[gift_id]


def load_catalog(path: str = "") -> Catalog:
    """Read the catalog at ``path``, or the package's own.

    Raises:
        BadCatalog: with the file, the line and the reason.
    """
    return read_catalog(read_toml(path, "catalog.toml", BadCatalog))


def parse_catalog(text: str, name: str) -> Catalog:
    """The catalog in ``text``; ``name`` is for errors."""
    return read_catalog(TomlFile(text, name, BadCatalog))


def read_catalog(file: TomlFile) -> Catalog:
    """All ``[[gift]]`` of a file. Raises BadCatalog."""
    gifts = file.tables("gift", Gift, MAX_GIFTS)
    file.once("gift", [gift.id for gift in gifts])
    return Catalog([_complete(gift, table) for gift, table in zip(gifts, file.document["gift"], strict=True)])


def _complete(gift: Gift, table: dict[str, Any]) -> Gift:
    """With what follows from the rest where the file does not say it."""
    streakable = table.get("streakable", gift.coins <= STREAKABLE_UP_TO)
    return msgspec.structs.replace(gift, streakable=streakable, image=gift.image or f"/gifts/{gift.id}.svg")
