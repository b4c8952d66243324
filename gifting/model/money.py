"""The money rules, as pure functions: amounts, diamonds, keys. Lua does the same."""

from __future__ import annotations

import hashlib
import re
from fractions import Fraction
from typing import Final

from gifting.errors import BadKey

MAX_AMOUNT: Final = 2**53 - 1
"""Largest amount of coins or milli-diamonds: what a double keeps exact, since Lua counts in doubles."""


BASIS: Final = 10_000
"""Basis points in a whole."""


def diamonds_for(coins: int, rate: tuple[int, int], carry: int) -> tuple[int, int]:
    """Milli-diamonds for ``coins`` at ``rate`` (numerator, denominator), and the remainder for the next gift."""
    numerator, denominator = rate
    return divmod(coins * numerator + carry, denominator)


def effective_rate(rate: tuple[int, int], commission: int) -> tuple[int, int]:
    """Milli-diamonds per coin once a commission (basis points) is off ``rate``: numerator and denominator, reduced."""
    if not commission:
        return rate
    left = Fraction(*rate) * Fraction(BASIS - commission, BASIS)
    return left.numerator, left.denominator


KEY: Final = r"\A[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}\Z"
"""A UUIDv7 (RFC 9562, section 5.7) in its 36-character form."""

_is_key: Final = re.compile(KEY).match


def parse_key(text: str) -> bytes:
    """The 16 bytes of a gift's key, a :data:`KEY`.

    Raises:
        BadKey: anything else.
    """
    if _is_key(text) is None:
        raise BadKey(f"{text[:40]!r} is no UUIDv7.")
    return bytes.fromhex(text.replace("-", ""))


def key_time(key: bytes) -> int:
    """When a key was made: ms since 1970, by its maker's clock."""
    return int.from_bytes(key[:6], "big")


def make_key(now_ms: int, random: bytes) -> str:
    """A UUIDv7 from a time and 10 random bytes."""
    tail = bytes((0x70 | random[0] & 0x0F, random[1], 0x80 | random[2] & 0x3F)) + random[3:10]
    digits = (now_ms.to_bytes(6, "big") + tail).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


DIGEST_SIZE: Final = 8
"""Bytes of a content's digest, which stand before the result that is kept under a key."""


def content_digest(*content: str) -> bytes:
    """The bytes that tell whether a key comes back with the same content."""
    return hashlib.blake2b("\n".join(content).encode(), digest_size=DIGEST_SIZE).digest()
