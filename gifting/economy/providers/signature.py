"""Stripe's scheme of signing webhooks, by which the sandbox signs too: ``t=SECONDS,v1=HMAC-SHA256 of "t.body"``. Pure.

Its own time is checked here and in both directions: the official library takes any time that is ahead.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from gifting.economy.providers.base import WEBHOOK_AGE, Reason, refused

HEADER: Final = "stripe-signature"

HEADER_MAX: Final = 2048
"""Characters of the header: a dozen signatures, as there are while secrets are rolled."""

TIME_DIGITS: Final = 12


def sign(body: bytes, secret: str, at: int) -> str:
    """The header of a webhook that is sent ``at`` (seconds since 1970)."""
    return f"t={at},v1={_mac(body, secret, str(at))}"


def verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_ms: int) -> None:
    """Raises BadWebhook unless it is signed by one of the secrets, and within :data:`WEBHOOK_AGE` of now."""
    header = read_header(headers)
    at = signed_at(header)
    given = [part[3:] for part in header.split(",") if part.startswith("v1=")]
    made = [_mac(body, secret, at) for secret in secrets]
    if not any(hmac.compare_digest(one.encode(), other.encode()) for one in given for other in made):
        raise refused(Reason.UNSIGNED, "No signature is by a secret of this server.")
    check_age(at, now_ms)


def read_header(headers: Mapping[str, str]) -> str:
    """The signature's header. Raises BadWebhook if there is none, or it is none."""
    header = headers.get(HEADER, "")
    if not header or len(header) > HEADER_MAX or not header.isascii():
        raise refused(Reason.UNSIGNED, "There is no header Stripe-Signature.")
    return header


def signed_at(header: str) -> str:
    """The time that is signed, in digits: the first that is named. Raises BadWebhook."""
    at = next((part[2:] for part in header.split(",") if part.startswith("t=")), "")
    if not (at.isdigit() and len(at) <= TIME_DIGITS):  # a later one would be looked at, and the first be signed
        raise refused(Reason.UNSIGNED, "The header Stripe-Signature names no time.")
    return at


def check_age(at: str, now_ms: int) -> None:
    """Raises BadWebhook for what was signed too long ago, or for later."""
    if abs(now_ms - int(at) * 1000) > WEBHOOK_AGE:
        raise refused(Reason.STALE, f"It was signed at {at}, and it is {now_ms // 1000} now.")


def _mac(body: bytes, secret: str, at: str) -> str:
    return hmac.new(secret.encode(), at.encode() + b"." + body, sha256).hexdigest()
