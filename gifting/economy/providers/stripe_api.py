"""How Stripe is asked, and how what it signs is known: the same for payments and for payouts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from stripe import (
    AuthenticationError,
    CardError,
    HTTPXClient,
    IdempotencyError,
    InvalidRequestError,
    PermissionError,
    SignatureVerificationError,
    StripeClient,
    StripeError,
    WebhookSignature,
)

from gifting.economy.providers.base import Reason, refused
from gifting.economy.providers.signature import check_age, read_header, signed_at
from gifting.errors import ProviderFailed

log = logging.getLogger(__name__)

NAME: Final = "stripe"

TIMEOUT: Final = 10.0
"""Seconds for one request; the library sends a failed one twice more, under the same idempotency key."""


def open_client(key: str, account: str = "", api: str = "") -> tuple[HTTPXClient, StripeClient]:
    """The connections, to be closed, and a client that acts for ``account``, '' for the key's own."""
    http = HTTPXClient(timeout=TIMEOUT)
    return http, StripeClient(
        key,
        stripe_account=account or None,
        base_addresses={"api": api} if api else {},
        max_network_retries=2,
        http_client=http,
    )


def is_live(key: str) -> bool:
    """Whether real money moves with a key."""
    return key.startswith(("sk_live_", "rk_live_"))


def read_secrets(setting: str) -> tuple[str, ...]:
    """Of a setting with secrets of an endpoint, comma-separated."""
    return tuple(filter(None, map(str.strip, setting.split(","))))


def is_signed(body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> bool:
    """Whether one of the secrets signed it, whenever. Raises BadWebhook where no signature can be read."""
    header = read_header(headers)
    return any(_is_by(body, header, secret) for secret in secrets)


def check_signed(body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_ms: int) -> None:
    """Raises BadWebhook unless it is signed by one of the secrets, and about now."""
    at = signed_at(read_header(headers))
    if not is_signed(body, headers, secrets):
        raise refused(Reason.UNSIGNED, "No signature is by a secret of this endpoint.")
    check_age(at, now_ms)  # the library takes what is signed for a time to come


def _is_by(body: bytes, header: str, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(body, header, secret, tolerance=None))
    except (SignatureVerificationError, UnicodeDecodeError):
        return False


@contextmanager
def no_is(refusal: type[ProviderFailed]) -> Iterator[None]:
    """Within it an error of Stripe is one of ours: a no is a ``refusal``, all else may go better the next time."""
    try:
        yield
    except (InvalidRequestError, CardError, IdempotencyError) as error:
        log.warning("Stripe said no: %s", error)
        raise refusal(f"Stripe said no ({error.code or type(error).__name__}).") from None
    except StripeError as error:
        if isinstance(error, AuthenticationError | PermissionError):
            log.error("Stripe does not take the key of this server: %s", error)
        raise ProviderFailed(f"Stripe did not answer ({type(error).__name__}).") from None
