"""One WebSocket: bytes in, messages to the commands, frames out. It holds nothing that grows.

The usual upgrade comes through ``transport/upgrade.py``, whole data frames take the fast lane of ``wire/framing.py``;
for the rest a websockets ``ServerProtocol`` is made when it is needed and let go of afterwards, so that an idle viewer
costs little memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from gifting.errors import GiftingError
from gifting.transport.commands import run_command
from gifting.transport.farewell import FAREWELL
from gifting.transport.gateway import Gateway
from gifting.transport.handover import Upgraded
from gifting.transport.handshake import Upgrade, accept, read_request, refuse
from gifting.transport.lobby import Address
from gifting.transport.session import Session
from gifting.wire.close import CloseCode
from gifting.wire.codec import JSON, TEXT, UNDECODABLE, Codec
from gifting.wire.engine import INVALID_DATA, PROTOCOL_ERROR, Engine
from gifting.wire.framing import CLOSE, PING, frame, measure, unmask
from gifting.wire.replies import refusal

CLOSE_TIMEOUT = 5.0
"""Seconds for a peer to answer a close frame."""

FRAMES_AT_ONCE = 64
"""Frames of one connection taken before others get their turn: about a millisecond."""

_TEXT_FRAME = 0x81
_BINARY_FRAME = 0x82
_PONG_FRAME = 0x8A
_OPCODE = 0x0F
_CONTROL_MAX = 125
_HEAD_MAX = 14
_PING = frame(PING, b"")


class Connection(Upgraded):
    """Made for each upgrade. ``address`` is where it counts as a socket, if it does."""

    __slots__ = (
        "_address",
        "_engine",
        "_gateway",
        "_out",
        "_tail",
        "_transport",
        "closing",
        "codec",
        "heard_at",
        "held",
        "paused_at",
        "pinged",
        "session",
    )

    def __init__(self, gateway: Gateway, address: Address | None = None) -> None:
        self._gateway = gateway
        self._address = address
        self.session: Session | None = None
        self.codec: Codec = JSON
        self.heard_at = gateway.time()
        self.paused_at: float | None = None
        self.pinged = False
        self.closing = False
        self.held = False
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._engine: Engine | None = None
        self._tail = b""
        self._out: list[bytes] | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._transport.set_write_buffer_limits(high=self._gateway.settings.write_buffer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self._engine = None
        self._tail = b""
        self._out = None
        if self.session is not None:
            self._gateway.throttle.forget(self)
            self._gateway.leave(self.session)
        self._gateway.lobby.gone(self._address)

    def pause_writing(self) -> None:
        """The socket is full: events go past this connection, and no more commands are read from it."""
        self.paused_at = self._gateway.time()
        self._transport.pause_reading()
        if self.session is not None:
            self.session.hold()

    def resume_writing(self) -> None:
        self.paused_at = None
        self.heard_at = self._gateway.time()
        if self.held:
            self._gateway.loop.call_soon(self.read_on)
        elif not self._transport.is_closing():
            self._transport.resume_reading()
        if self.session is not None:
            self.session.catch_up()

    def eof_received(self) -> None:
        return None

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._gateway.time()
        self.pinged = False
        if self.held:
            self._tail += data  # the last of what was on its way
        elif not self.closing or (self._engine is not None and not self._engine.over):
            self._read_frames(self._tail + data if self._tail else data)
        elif self.session is not None and not self.session.allowance.take(self.heard_at, len(data)):
            self._transport.pause_reading()  # for good

    # The upgrade.

    def open(self, upgrade: Upgrade) -> None:
        """Become a WebSocket, or say why not."""
        try:
            request = read_request(upgrade, self._gateway.origins)
            self.codec = request.codec
            self.session = self._gateway.enter(self, request.token, in_url=request.in_url)
        except GiftingError as error:
            self._turn_away(refuse(error))
        else:
            self._transport.write(accept(upgrade.key, request.subprotocol))
            if upgrade.rest:
                self.data_received(upgrade.rest)

    def _turn_away(self, answer: bytes) -> None:
        self.closing = True
        self._transport.write(answer)
        self._transport.close()

    # Frames in.

    def _read_frames(self, data: bytes) -> None:
        """Take whole frames, as many as the allowance pays for and one pass may; the rest waits, and the peer too."""
        assert self.session is not None
        start, size, now, left = 0, len(data), self.heard_at, FRAMES_AT_ONCE
        take, message_max = self.session.allowance.take, self._gateway.settings.message_max
        while start < size:
            mask, payload, end = measure(data, start)
            sound = mask < payload and end <= payload + message_max
            if not end or (sound and end > size):
                if not start and not take(now):  # a frame in many pieces costs as many
                    self._hold(throttled=True)
                break
            if not left or self.paused_at is not None or not take(now, (end if sound else size) - start):
                self._hold(throttled=left > 0)
                break
            left -= 1
            first = data[start]
            if not sound:
                self._read_violation(data[start : start + _HEAD_MAX], malformed=end < 0)
                end = size
            elif self._engine is None and first in (_TEXT_FRAME, _BINARY_FRAME):
                self._read_message(first & _OPCODE, unmask(data, mask, payload, end))
            elif first != _PONG_FRAME or end > payload + _CONTROL_MAX or self._engine is not None:
                self._read_odd(data[start:end])
            start = end
        self._tail = data[start:]

    def _hold(self, throttled: bool) -> None:
        """Read no more for now; what is here waits in the tail."""
        self.held = True
        if not self._transport.is_closing():
            self._transport.pause_reading()
        if self.paused_at is None:
            if throttled:
                self._gateway.throttle.hold(self)
            else:
                self._gateway.loop.call_soon(self.read_on)

    def used_up(self, now: float) -> bool:
        """Whether the allowance has nothing for this connection at ``now``."""
        return self.session is not None and self.session.allowance.used_up(now)

    def read_on(self) -> None:
        """Go on with the tail, if nothing is in the way any more."""
        if self._transport.is_closing():
            self._tail = b""
        elif self.held and self.paused_at is None:
            self.held = False
            self.heard_at = self._gateway.time()
            self._read_frames(self._tail)
            if not self.held and self.paused_at is None and not self._transport.is_closing():
                self._transport.resume_reading()

    def _read_odd(self, data: bytes) -> None:
        """One frame that the fast lane does not take: a control frame, a fragment, a violation; or after a close."""
        engine = self._engine or self._new_engine()
        if self.closing and (engine.over or data[0] & _OPCODE != CLOSE):
            return
        message = engine.receive(data)
        if message is not None and not self.closing:
            self._read_message(*message)
        self._after_engine(engine)

    def _read_violation(self, head: bytes, malformed: bool) -> None:
        engine = self._engine or self._new_engine()
        if malformed:
            engine.fail(PROTOCOL_ERROR, "a size in more bytes than it takes")
        else:
            engine.receive(head)  # which is all it needs to refuse it
        self._after_engine(engine)

    def _new_engine(self) -> Engine:
        self._engine = Engine(self._gateway.settings.message_max)
        return self._engine

    def _after_engine(self, engine: Engine) -> None:
        written = engine.answers()
        if written and not self._transport.is_closing():
            self.flush()
            self._transport.write(written)
        self.closing = self.closing or engine.closing
        if engine.failed:
            self._part()
        elif engine.over:
            self._transport.close()
        elif not engine.busy:
            self._engine = None

    def _read_message(self, opcode: int, data: bytes) -> None:
        """One whole message; what the protocol has against it is said here."""
        if opcode == TEXT and not self._check_text(data):
            return
        try:
            message = self.codec.decode(data)
        except UNDECODABLE as error:
            self.send(self.codec.encode(refusal(*self.codec.explain(data, error))))
        else:
            assert self.session is not None
            run_command(self._gateway, self.session, message)

    def _check_text(self, data: bytes) -> bool:
        """Whether it is UTF-8; else the peer has broken the protocol."""
        try:
            data.decode()
        except UnicodeDecodeError as error:
            engine = self._engine or self._new_engine()
            engine.fail(INVALID_DATA, f"{error.reason} at position {error.start}")
            self._after_engine(engine)
            return False
        return True

    # Out.

    def send(self, message: bytes) -> None:
        """Messages to this one alone leave in one write, all of one pass of the loop."""
        if self.closing:
            return
        data = frame(self.codec.opcode, message)
        if self._out is None:
            self._gateway.loop.call_soon(self.flush)
            self._out = [data]
        else:
            self._out.append(data)

    def flush(self) -> None:
        if self._out is not None and not self._transport.is_closing():
            out, self._out = self._out, None
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    @property
    def write_frame(self) -> Callable[[bytes], None]:
        """Writes a frame that is shared with others: the transport's own method, since this is done most of all."""
        return self._transport.write

    def ping(self) -> None:
        self.pinged = True
        self._transport.write(_PING)

    def close(self, code: CloseCode, hint: str = "") -> None:
        """Begin to close; the peer has :data:`CLOSE_TIMEOUT` seconds to agree. Its buffer, if full, is dropped."""
        if self.closing:
            return
        self.flush()
        self.closing = True
        self._unsubscribe()
        engine = self._engine or self._new_engine()
        engine.close(code, hint or code.reason)
        self._transport.write(engine.answers())
        if self.paused_at is not None:
            self._transport.resume_reading()
        self._gateway.loop.call_later(CLOSE_TIMEOUT, self.abort)

    def _unsubscribe(self) -> None:
        if self.session is not None:
            self.session.unsubscribe_all()

    def _part(self) -> None:
        """All is said, but to close at once would cut off the last of it, for the peer is still sending."""
        if self._transport.is_closing() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._unsubscribe()
        self._transport.write_eof()
        self._gateway.loop.call_later(FAREWELL, self.abort)

    def abort(self) -> None:
        self._transport.abort()
