"""The half of a connection that writes: replies, pings, and the end."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import Final

from gifting.config import Settings
from gifting.transport.farewell import FAREWELL
from gifting.transport.handover import Upgraded
from gifting.wire.close import CloseCode
from gifting.wire.codec import JSON, Codec
from gifting.wire.frame_parser import FrameParser
from gifting.wire.framing import PING, frame

CLOSE_TIMEOUT: Final = 5.0
"""Seconds for a peer to answer a close frame."""

_PING: Final = frame(PING, b"")


class Outgoing(Upgraded):
    """``heard_at`` is when the peer last said something, ``paused_at`` since when the socket is full, None if not;
    both in seconds of the loop's clock. Once ``closing``, nothing that the peer says is done any more.
    """

    __slots__ = (
        "_loop",
        "_out",
        "_parser",
        "_settings",
        "_transport",
        "closing",
        "codec",
        "heard_at",
        "paused_at",
        "pinged",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, settings: Settings) -> None:
        self.codec: Codec = JSON
        self.heard_at = loop.time()
        self.paused_at: float | None = None
        self.pinged = False
        self.closing = False
        self._loop = loop
        self._settings = settings
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._parser: FrameParser | None = None
        self._out: list[bytes] | None = None

    def send(self, message: bytes) -> None:
        """Messages to this one alone leave in one write, all of one pass of the loop."""
        if self.closing:
            return
        data = frame(self.codec.opcode, message)
        if self._out is None:
            self._loop.call_soon(self.flush)
            self._out = [data]
        else:
            self._out.append(data)

    def gather(self) -> None:
        """Have what is sent from now on wait for :meth:`flush`, which must follow."""
        if self._out is None:
            self._out = []

    def flush(self) -> None:
        if self._out is not None and not self._transport.is_closing():
            out, self._out = self._out, None
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def send_frames(self, data: bytes) -> None:
        """Frames for this one alone, at once: in one write with what waits, and behind it."""
        if self._out is None:
            self._transport.write(data)
        else:
            self._out.append(data)
            self.flush()

    @property
    def write_frame(self) -> Callable[[bytes], None]:
        """Writes a frame that is shared with others: the transport's own method, since this is done most of all."""
        return self._transport.write

    def ping(self) -> None:
        self.pinged = True
        self._transport.write(_PING)

    # The end.

    def close(self, code: CloseCode, hint: str = "") -> None:
        """Begin to close; the peer has :data:`CLOSE_TIMEOUT` seconds to agree. Its buffer, if full, is dropped."""
        if self.closing:
            return
        self.flush()
        self.closing = True
        self.let_go()
        parser = self._parser or self._new_parser()
        parser.close(code, hint or code.reason)
        self._transport.write(parser.answers())
        if self.paused_at is not None:
            self._transport.resume_reading()
        self._loop.call_later(CLOSE_TIMEOUT, self.abort)

    @abstractmethod
    def let_go(self) -> None:
        """Nothing is given to this one any more."""

    def abort(self) -> None:
        self._transport.abort()

    # What the fast lane does not do.

    def _new_parser(self) -> FrameParser:
        self._parser = FrameParser(self._settings.message_max)
        return self._parser

    def _after_parser(self, parser: FrameParser) -> None:
        written = parser.answers()
        if written and not self._transport.is_closing():
            self.flush()
            self._transport.write(written)
        self.closing = self.closing or parser.closing
        if parser.failed:
            self._part()
        elif parser.over:
            self._transport.close()
        elif not parser.busy:
            self._parser = None

    def _part(self) -> None:
        """All is said, but to close at once would cut off the last of it, for the peer is still sending."""
        if self._transport.is_closing() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self.let_go()
        self._transport.write_eof()
        self._loop.call_later(FAREWELL, self.abort)
