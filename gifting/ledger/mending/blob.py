"""A blob (``lua/include/outbox.lua``) made anew of debits as the ledger has them. Pure.

What it is worth is exact. What the room was shown with it is known as far as somebody else knows it: the message is
lost, a name and a picture are those of the room, a gift's look that of the catalog. It counts in no streak.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gifting.ledger.audit.pairs import Epochs
from gifting.ledger.entries import Debit
from gifting.ledger.gifts import gift_digest
from gifting.model import events, pseudonym
from gifting.model.catalog import Catalog
from gifting.model.money import DIGEST_SIZE, key_time
from gifting.model.packing import pack


class Face(NamedTuple):
    """What else is known of a gift: what is stored under its key, and of its room the host's name and the sender's
    profile, as wire bytes; b"" where it is not known.
    """

    record: bytes
    host_name: bytes
    profile: bytes


class Maker:
    """``salt``: of pseudonyms; ``catalog``: of what is sold now."""

    def __init__(self, salt: bytes, catalog: Catalog) -> None:
        self._salt = salt
        self._catalog = catalog

    def blob(self, source: int, number: int, epochs: Epochs, gifts: Iterable[tuple[Debit, Face]]) -> bytes:
        """The gifts of a number, in their order."""
        rooms: dict[tuple[str, str], int] = {}
        targets: dict[bytes, int] = {}
        values = []
        for debit, face in gifts:
            room = rooms.setdefault((debit.room, debit.host), len(rooms) + 1)
            about = events.encode_about(_host(debit, face), self._gift(debit))
            target = pack((room, debit.room, debit.host, debit.gift, 0, about))[1:]
            values.append(self._values(targets.setdefault(target, len(targets) + 1), debit, face))
        return pack((source, number, epochs, list(rooms), b"".join(targets), b"".join(values)))

    def _values(self, target: int, debit: Debit, face: Face) -> bytes:
        digest = face.record[:DIGEST_SIZE]
        shown = self._shown(debit, digest)
        profile = (shown and events.encode_user(pseudonym.profile(shown))) or face.profile or _bare(debit.user)
        sent = events.encode_sent(debit.gifts, debit.coins, None)
        known = target, debit.user, debit.key, key_time(debit.key), digest, debit.gifts, debit.coins
        return pack((*known, profile, sent, 0, shown or False))[1:]

    def _shown(self, debit: Debit, digest: bytes) -> str:
        """A pseudonym, unless the key stands for a gift that was given without one, which is certain then."""
        if digest == gift_digest(debit.user, debit.room, debit.gift, debit.gifts, None, ""):
            return ""
        return pseudonym.pseudonym(self._salt, debit.room, debit.user)

    def _gift(self, debit: Debit) -> bytes:
        """At the price that was paid."""
        known = self._catalog[debit.gift].public() if debit.gift in self._catalog else _unknown(debit.gift)
        return events.encode_gift(known | {"coins": debit.coins // debit.gifts, "streakable": False})


def _host(debit: Debit, face: Face) -> bytes:
    return events.encode_host({"id": debit.host, "name": face.host_name.decode() or debit.host})


def _bare(user: str) -> bytes:
    return events.encode_user({"id": user, "name": user, "picture": "", "level": 0})


def _unknown(gift: str) -> dict[str, object]:
    return {"id": gift, "name": gift, "tier": "small", "image": ""}
