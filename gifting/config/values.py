"""Settings that are text and mean more: secrets, the diamond rate, an address."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from gifting.errors import BadSetting

SECRET_MIN: Final = 32
"""Bytes of a secret."""

SECRETS_MAX: Final = 8
"""Secrets at once."""

_PUBLIC_URL: Final = r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?(/[\w./~-]*)?"
_USUAL_PORTS: Final = {"http": ":80", "https": ":443"}


def read_secrets(text: str) -> tuple[str, ...]:
    """One secret a line, or several between commas.

    A comma separates only where what is between is long enough for a secret: one that has a comma in it stays one.

    Raises:
        BadSetting: there is none, one is too short, or there are too many.
    """
    found: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        pieces = [piece.strip() for piece in line.split(",")]
        found += pieces if all(len(piece.encode()) >= SECRET_MIN for piece in pieces) else [line]
    if not found or any(len(secret.encode()) < SECRET_MIN for secret in found):
        raise BadSetting(f"secret: every one must have {SECRET_MIN} bytes or more.")
    if len(set(found)) > SECRETS_MAX:
        raise BadSetting(f"secret: there may be {SECRETS_MAX} at once.")
    return tuple(dict.fromkeys(found))


def read_rate(text: str) -> tuple[int, int]:
    """Milli-diamonds per coin as (numerator, denominator), from diamonds per coin. Raises BadSetting."""
    try:
        rate = Fraction(text) * 1000
    except (ValueError, ZeroDivisionError):
        raise BadSetting(f"diamonds_per_coin is {text!r}; write it as 1/2 or 0.5.") from None
    if not 0 < rate <= 1_000_000 or rate.denominator > 1_000_000:
        raise BadSetting(f"diamonds_per_coin is {text!r}; it must be above 0 and at most 1000.")
    return rate.numerator, rate.denominator


def read_origin(url: str) -> str:
    """The origin of a public address as browsers say it. Raises BadSetting."""
    found = re.fullmatch(_PUBLIC_URL, url.lower())
    if found is None:
        raise BadSetting(f"public_url is {url!r}; write it as https://gifts.example.org.")
    scheme, host, port = found[1], found[2], found[3] or ""
    return f"{scheme}://{host}{'' if port == _USUAL_PORTS[scheme] else port}"
