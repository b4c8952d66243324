"""When and how a client connects again: addresses, pauses, and what a refusal means."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response

from gifting.errors import (
    BadToken,
    Denied,
    Forbidden,
    GiftingError,
    MessageTooLarge,
    NotFound,
    Overloaded,
    RateLimited,
    TokenExpired,
    TokenRevoked,
    by_code,
)
from gifting.wire.close import CloseCode, may_reconnect

FIRST_PAUSE: Final = 0.25
"""Seconds that the first pause lasts at most."""

LONGEST_PAUSE: Final = 15.0
"""Seconds that any pause lasts at most."""

_HINT: Final = re.compile(r"retry in (\d+(?:\.\d+)?) s")
TOO_BIG: Final = 1009
"""The close code of WebSocket for a message that its reader does not take (RFC 6455, section 7.4.1)."""

SOCKET_PATH: Final = "/v1/ws"
_SCHEMES: Final = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_BY_STATUS: Final = {401: BadToken, 403: Forbidden, 404: NotFound, 429: RateLimited, 503: Overloaded}
_BY_CLOSE: Final = {CloseCode.TOKEN_EXPIRED: TokenExpired, CloseCode.TOKEN_REVOKED: TokenRevoked}


def backoff() -> Iterator[float]:
    """Seconds to pause before each next try: exponential, with full jitter, lest all come back at once."""
    longest = FIRST_PAUSE
    while True:
        yield random.uniform(0, longest)  # noqa: S311
        longest = min(longest * 2, LONGEST_PAUSE)


def hinted_pause(error: Exception | None) -> float:
    """Seconds that a closing server asked this client to wait, so that not all come back at once."""
    received = error.rcvd if isinstance(error, ConnectionClosed) else None
    found = _HINT.search(received.reason) if received is not None else None
    return min(float(found[1]), LONGEST_PAUSE) if found else 0.0


def socket_url(url: str) -> tuple[str, Literal[True] | None]:
    """The WebSocket address that ``url`` stands for, and whether the system's proxy applies to it.

    Raises:
        ValueError: an address of another kind.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is no ws://, wss://, http:// or https:// address.")
    path = parts.path if parts.path not in {"", "/"} else SOCKET_PATH
    address = urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))
    return address, None if parts.hostname in _LOOPBACK else True


def refusal(response: Response) -> GiftingError:
    """What an HTTP answer instead of a WebSocket means."""
    if (problem := read_problem(response.body or b"")) is not None:
        return problem
    error = _BY_STATUS.get(response.status_code, GiftingError)
    return error(f"The server answered HTTP {response.status_code}.")


def read_problem(body: bytes | bytearray) -> GiftingError | None:
    """The error that the body of an HTTP answer (RFC 9457) names; None if it is none of ours."""
    try:
        problem: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if isinstance(problem, dict) and isinstance(problem.get("code"), str):
        return error_from_reply(problem | {"message": problem.get("detail", "")})
    return None


def why_closed(code: int, reason: str) -> GiftingError:
    """The error behind a close code that forbids to connect again."""
    error = next((error for known, error in _BY_CLOSE.items() if known == code), Denied)
    return error(f"Closed with {code}: {reason}.")


def raise_final(error: ConnectionClosed) -> None:
    """Raises what to end with, where to connect again would not help: the same would happen again."""
    if error.rcvd is not None and not may_reconnect(error.rcvd.code):
        raise why_closed(error.rcvd.code, error.rcvd.reason) from None
    if error.sent is not None and error.sent.code == TOO_BIG and not error.rcvd_then_sent:
        raise MessageTooLarge("The server sent a message that is larger than any of its own.") from None


def too_large(error: Exception | None) -> bool:
    """Whether the server closed because a message was too large for it."""
    return isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code == TOO_BIG


def error_from_reply(told: Mapping[str, Any]) -> GiftingError:
    """The error that a reply tells of; its ``message`` ends with the help, which the class adds again."""
    code, message = str(told["code"]), str(told["message"])
    error = by_code(code, message.removesuffix(by_code(code).help).rstrip())
    error.until, error.cap, error.confirm = told.get("until", 0), told.get("cap", 0), told.get("confirm", "")
    if price := told.get("price"):
        error.price = price["amount"], price["currency"]
    return error
