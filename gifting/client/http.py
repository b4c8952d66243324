"""One HTTP request on a connection of its own."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gifting.errors import NoServer

ANSWER_MAX: Final = 1 << 24
"""Largest answer that is read, in bytes."""

CONNECT_WITHIN: Final = 10.0
"""Seconds that a connection may take to be made."""

_PORTS: Final = {"http": 80, "https": 443}


async def exchange(url: str, method: str, path: str, token: str, body: bytes) -> tuple[int, bytes]:
    """Ask the server at ``url`` (``http://`` or ``https://``, perhaps with a path before all others).

    Returns:
        The status and the body of its answer.

    Raises:
        NoServer: it can't be reached, so nothing was sent.
        OSError: what was sent may have arrived.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise NoServer(f"{url!r} is no http:// or https:// address.")
    # HTTP/1.0: the answer ends with the connection and is never chunked.
    head = (
        f"{method} {parts.path.rstrip('/')}{path} HTTP/1.0\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await _connect(parts)
    try:
        writer.write(head.encode() + body)
        answer = await _read_all(reader)
        await writer.drain()
    finally:
        writer.close()
    return _split(answer)


async def _connect(parts: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            return await asyncio.open_connection(parts.hostname, parts.port or _PORTS[parts.scheme], ssl=secure)
    except (OSError, TimeoutError, ValueError) as error:
        raise NoServer(f"{parts.scheme}://{parts.netloc} can't be reached: {error or 'no answer'}.") from None


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    pieces, size = [], 0
    while piece := await reader.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_MAX:
            raise ConnectionAbortedError(f"The answer is larger than {ANSWER_MAX} bytes.")
    return b"".join(pieces)


def _split(answer: bytes) -> tuple[int, bytes]:
    head, found, body = answer.partition(b"\r\n\r\n")
    status = head[9:12]
    if not (found and head.startswith(b"HTTP/") and status.isdigit()):
        raise ConnectionResetError("The connection was lost before the answer was there.")
    return int(status), body
