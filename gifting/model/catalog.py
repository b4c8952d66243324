"""The gifts one can send: a TOML file, checked as it is read."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from gifting.errors import BadCatalog, UnknownGift
from gifting.model.events import Tier, encode_gift

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
    if path:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadCatalog(f"{path}: {error}.") from None
    else:
        text = resources.files("gifting.model").joinpath("catalog.toml").read_text(encoding="utf-8")
    return parse_catalog(text, path or "catalog.toml")


def parse_catalog(text: str, name: str) -> Catalog:
    """The catalog in ``text``; ``name`` is for errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadCatalog(f"{name}: {error}.") from None
    tables = document.get("gift")
    if not isinstance(tables, list) or not tables:
        raise BadCatalog(f"{name}, line 1: there is no [[gift]].")
    if len(tables) > MAX_GIFTS:
        raise BadCatalog(f"{name}: more than {MAX_GIFTS} gifts.")
    gifts: list[Gift] = []
    seen: set[str] = set()
    for number, table in enumerate(tables):
        try:
            gift = _read_gift(table)
        except msgspec.ValidationError as error:
            raise BadCatalog(f"{name}, line {_line_of(text, number, str(error))}: {error}.") from None
        if gift.id in seen:
            raise BadCatalog(f"{name}, line {_line_of(text, number, '$.id')}: the id {gift.id!r} is there twice.")
        seen.add(gift.id)
        gifts.append(gift)
    return Catalog(gifts)


def _read_gift(table: dict[str, Any]) -> Gift:
    gift = msgspec.convert(table, Gift)
    streakable = table.get("streakable", gift.coins <= STREAKABLE_UP_TO)
    return msgspec.structs.replace(gift, streakable=streakable, image=gift.image or f"/gifts/{gift.id}.svg")


def _line_of(text: str, number: int, error: str) -> int:
    """The line that ``error`` is about: of the field it names in the ``number``-th gift, else of that gift's head."""
    lines = text.splitlines()
    heads = [index for index, line in enumerate(lines) if line.split("#")[0].strip() == "[[gift]]"]
    if number >= len(heads):
        return 1
    field = error.rpartition("$.")[2].rstrip("`") if "$." in error else error.rpartition("field `")[2].rstrip("`")
    end = heads[number + 1] if number + 1 < len(heads) else len(lines)
    for index in range(heads[number], end):
        if lines[index].partition("=")[0].strip() == field:
            return index + 1
    return heads[number] + 1
