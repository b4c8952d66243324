"""The head of a usual upgrade request."""

from __future__ import annotations

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEADERS = (
    "Host: 127.0.0.1:8080",
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Key: {KEY}",
    "Sec-WebSocket-Version: 13",
)


def request(*headers: str, first: str = "GET /v1/ws?token=x HTTP/1.1") -> bytes:
    return "\r\n".join((first, *headers, "", "")).encode("latin-1")
