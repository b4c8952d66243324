"""One HTTP request, byte for byte."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.support.server import Server


class Answer:
    def __init__(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
        self.body: Any = json.loads(body) if body else None


async def ask(server: Server, method: str, path: str, body: bytes = b"", token: str | None = None) -> Answer:
    """One request, byte for byte."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    bearer = server.token("op", "operator") if token is None else token
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {bearer}\r\n"
    writer.write(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    async with asyncio.timeout(20):
        raw = await reader.read()
    writer.close()
    return Answer(raw)
