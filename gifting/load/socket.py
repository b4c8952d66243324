"""A WebSocket connection with as little Python per frame as can be: the server is on the same machine."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import Iterable
from typing import Final

from gifting.errors import GiftingError
from gifting.load.plan import Target
from gifting.wire.framing import FIN

READ: Final = 16_384
"""Bytes taken per read. Small, so that most of a large frame can be discarded without being copied."""

DISCARD_FROM: Final = 32_768
"""What is left of a frame nobody looks at is discarded inside the kernel from this many bytes up."""

HEAD_MAX: Final = 16_384
"""Longest answer to the upgrade, in bytes."""

BINARY_FRAME: Final = FIN | 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
NO_CLOSE_CODE: Final = 1006

_SINK: Final = bytearray(1 << 20)


def masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame, masked with zeros: the server's work is the same, the generator's is none."""
    size = len(payload)
    if size < 126:
        return bytes((FIN | opcode, 0x80 | size, 0, 0, 0, 0)) + payload
    return bytes((FIN | opcode, 0x80 | 126)) + size.to_bytes(2, "big") + b"\0\0\0\0" + payload


def upgrade(target: Target, token: str) -> bytes:
    """The request with which a viewer's or a sender's connection begins."""
    protocol = ("Sec-WebSocket-Protocol", "gifting.v1.msgpack")
    headers = [protocol, ("Authorization", f"Bearer {token}")]
    return upgrade_request(target.host, target.port, target.path, headers)


def upgrade_request(host: str, port: int, path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """The request that opens a WebSocket: without extensions, so without compression; ``headers`` come on top."""
    key = base64.b64encode(os.urandom(16)).decode()
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    ).encode()


class Socket:
    """One connection. Subclasses say what a message means.

    :meth:`open` returns once the server has agreed; from then on :meth:`message` gets every whole message,
    :meth:`fed` is called after all that arrived together, and :meth:`lost` once at the end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sock: socket.socket | None = None
        self._rest = b""
        self._skip = 0
        self._unsent = b""
        self.is_open = False

    async def open(self, target: Target, token: str, *, receive_buffer: int = 0) -> None:
        """Connect and upgrade.

        Raises:
            OSError: it can't be reached.
            GiftingError: the server answered something else than a WebSocket.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await self._loop.sock_connect(sock, (target.host, target.port))
            await self._loop.sock_sendall(sock, upgrade(target, token))
            head, rest = await self._read_head(sock)
        except BaseException:
            sock.close()
            raise
        if not head.startswith(b"HTTP/1.1 101"):
            sock.close()
            raise GiftingError(f"The server answered {head.splitlines()[0][:100].decode('latin-1')}.")
        self._sock, self._rest, self._skip, self._unsent, self.is_open = sock, b"", 0, b"", True
        self._loop.add_reader(sock.fileno(), self._readable)
        if rest:
            self._feed(rest)

    async def _read_head(self, sock: socket.socket) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            more = await self._loop.sock_recv(sock, READ)
            if not more or len(data) > HEAD_MAX:
                raise ConnectionResetError("The server hung up during the upgrade.")
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest

    def message(self, data: bytes, start: int, end: int) -> None:
        """A whole message is ``data[start:end]``."""

    def can_skip(self, data: bytes, start: int, size: int) -> bool:
        """Whether a message of ``size`` bytes, of which only the start is here, need not be looked at."""
        return False

    def skipped(self) -> None:
        """The message that :meth:`can_skip` agreed to has arrived."""

    def fed(self) -> None:
        """All messages that arrived together have been handed over."""

    def lost(self, code: int) -> None:
        """The connection is gone; ``code`` is the server's close code, or 1006."""

    def write(self, data: bytes) -> None:
        """Send now what the kernel takes, the rest when it can."""
        if self._sock is None:
            return
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close(NO_CLOSE_CODE)
            return
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def _writable(self) -> None:
        if self._sock is not None:
            self._loop.remove_writer(self._sock.fileno())
            data, self._unsent = self._unsent, b""
            self.write(data)

    def pause(self) -> None:
        """Stop reading."""
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())

    def resume(self) -> None:
        """Read again."""
        if self._sock is not None:
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def close(self, code: int = 1000) -> None:
        """Hang up."""
        if self._sock is not None:
            sock, self._sock, self.is_open = self._sock, None, False
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            sock.close()
            self.lost(code)

    def _readable(self) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            if self._skip >= DISCARD_FROM:
                # On Linux this copies nothing; elsewhere the sink takes it.
                size = sock.recv_into(_SINK, min(self._skip, len(_SINK)), socket.MSG_TRUNC)
                self._skip -= size
                if size and not self._skip:
                    self.skipped()
            else:
                data = sock.recv(READ)
                size = len(data)
                self._feed(data)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            size = 0
        if not size:
            self.close(NO_CLOSE_CODE)

    def _feed(self, data: bytes) -> None:
        if skip := self._skip:
            if len(data) < skip:
                self._skip -= len(data)
                return
            data, self._skip = data[skip:], 0
            self.skipped()
        if self._rest:
            data = self._rest + data
        self._rest = data[self._take_frames(data) :]
        if self.is_open:
            self.fed()

    def _take_frames(self, data: bytes) -> int:
        """Hand over the whole frames in ``data``; returns where the rest starts."""
        position, arrived = 0, len(data)
        while arrived - position >= 2 and self.is_open:
            size, start = data[position + 1], position + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if start > arrived:
                    break
                size = int.from_bytes(data[position + 2 : start], "big")
            end = start + size
            if end > arrived:
                if data[position] == BINARY_FRAME and self.can_skip(data, start, size):
                    self._skip = end - arrived
                    return arrived
                break
            if data[position] == BINARY_FRAME:
                self.message(data, start, end)
            else:
                self._control(data[position] & 0xF, data[start:end])
            position = end
        return position

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.write(masked(PONG, payload))
        elif opcode == CLOSE:
            self.write(masked(CLOSE, payload))
            self.close(int.from_bytes(payload[:2], "big") or NO_CLOSE_CODE)
