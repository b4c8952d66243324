"""WebSocket close codes. 4000–4499: connect again, with backoff and jitter; 4500–4999: something must change first."""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """The code is sent with its name, in words, as the reason; a server that stops says how long to wait instead."""

    SERVER_SHUTDOWN = 4000
    TOO_SLOW = 4001
    RESYNC = 4002
    PING_TIMEOUT = 4003
    TOO_FAST = 4004
    TOKEN_EXPIRED = 4501
    TOKEN_REVOKED = 4502

    @property
    def reason(self) -> str:
        return self.name.lower().replace("_", " ")


def may_reconnect(code: int) -> bool:
    """Whether a client that was closed with ``code`` should connect again as it is."""
    return not 4500 <= code <= 4999
