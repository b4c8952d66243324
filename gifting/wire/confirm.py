"""Confirmations: what a gift that has to be confirmed is refused with, and what makes the same gift go through. Pure.

A confirmation is remembered by nobody: it is a MAC over what it is for. It is bound to the gift's key, under which one
gift is charged once, so however many are given and said again, one at most is spent. Any node with the secret knows it.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from gifting.model.packing import pack

GOOD_FOR_MS: Final = 300_000
"""How long a confirmation is good; no longer than its key."""

CONFIRMATION: Final = r"\A[A-Za-z0-9_-]{32}\Z"

_TIME_SIZE: Final = 6
_MAC_SIZE: Final = 18


class Confirmed(Struct, frozen=True):
    """What is confirmed: a user's gift by its key (16 bytes), its content's digest, and what it costs."""

    user: str
    key: bytes
    digest: bytes
    coins: int


def make_confirmation(secret: str, what: Confirmed, until: int) -> str:
    """A confirmation that is good until then, in ms since 1970."""
    ends = until.to_bytes(_TIME_SIZE, "big")
    return urlsafe_b64encode(ends + _mac(secret, what, ends)).decode()


def confirms(secrets: Iterable[str], confirmation: str, what: Confirmed, now: int) -> bool:
    """Whether it is one, by one of these secrets, for just that, and still good. Of any text."""
    try:
        raw = urlsafe_b64decode(confirmation)
    except ValueError:
        return False
    ends, mac = raw[:_TIME_SIZE], raw[_TIME_SIZE:]
    return now < int.from_bytes(ends, "big") and any(
        hmac.compare_digest(mac, _mac(secret, what, ends)) for secret in secrets
    )


def _mac(secret: str, what: Confirmed, ends: bytes) -> bytes:
    key = blake2b(secret.encode(), person=b"gifting confirm").digest()
    said = pack((what.user, what.key, what.digest, what.coins, ends))
    return blake2b(said, digest_size=_MAC_SIZE, key=key).digest()
