"""One WebSocket, and its half that reads: bytes in, messages to the commands. It holds nothing that grows.

The usual upgrade comes through ``transport/upgrade.py``, whole data frames take the fast lane of ``wire/framing.py``;
for the rest a websockets ``ServerProtocol`` is made when it is needed and let go of afterwards, so that an idle viewer
costs little memory.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from gifting.errors import GiftingError
from gifting.transport.commands import run_command
from gifting.transport.gateway import Gateway
from gifting.transport.handshake import Upgrade, accept, read_request, refuse
from gifting.transport.lobby import Address
from gifting.transport.outgoing import Outgoing
from gifting.transport.session import Session
from gifting.wire.close import CloseCode
from gifting.wire.codec import TEXT, UNDECODABLE
from gifting.wire.frame_parser import INVALID_DATA, PROTOCOL_ERROR
from gifting.wire.framing import CLOSE, measure, unmask

log = logging.getLogger(__name__)

FRAMES_AT_ONCE = 64
"""Frames of one connection taken before others get their turn: about a millisecond."""

_TEXT_FRAME = 0x81
_BINARY_FRAME = 0x82
_PONG_FRAME = 0x8A
_OPCODE = 0x0F
_CONTROL_MAX = 125
_HEAD_MAX = 14


class Connection(Outgoing):
    """Made for each upgrade. ``address`` is where it counts as a socket, if it does."""

    __slots__ = ("_address", "_gateway", "_tail", "held", "session")

    def __init__(self, gateway: Gateway, address: Address | None = None) -> None:
        super().__init__(gateway.loop, gateway.settings)
        self._gateway = gateway
        self._address = address
        self._tail = b""
        self.held = False
        self.session: Session | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._transport.set_write_buffer_limits(high=self._settings.write_buffer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self._parser = None
        self._tail = b""
        self._out = None
        if self.session is not None:
            self._gateway.throttle.forget(self)
            self._gateway.leave(self.session)
            self.session = None  # it holds this: else they would wait for the garbage collector
        self._gateway.lobby.gone(self._address)

    def pause_writing(self) -> None:
        """The socket is full: events go past this connection, and no more commands are read from it."""
        self.paused_at = self._loop.time()
        self._transport.pause_reading()
        if self.session is not None:
            self.session.hold()

    def resume_writing(self) -> None:
        self.paused_at = None
        self.heard_at = self._loop.time()
        if self.held:
            self._loop.call_soon(self.read_on)
        elif not self._transport.is_closing():
            self._transport.resume_reading()
        if self.session is not None:
            self.session.catch_up()

    def let_go(self) -> None:
        if self.session is not None:
            self.session.unsubscribe_all()

    def close(self, code: CloseCode, hint: str = "") -> None:
        if not self.closing:
            self._gateway.hub.counters.closes[code] += 1
        super().close(code, hint)

    def _part(self) -> None:
        if self._parser is not None:
            self._gateway.hub.counters.closes[self._parser.close_code] += 1
        super()._part()

    def eof_received(self) -> None:
        return None

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        self.pinged = False
        if self.held:
            self._tail += data  # the last of what was on its way
        elif not self.closing or (self._parser is not None and not self._parser.over):
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
            self._gateway.refusals.note(self._transport, error)
            self._turn_away(refuse(error))
        except Exception:
            log.exception("an upgrade failed")
            self._turn_away(refuse(GiftingError()))
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
        take, message_max = self.session.allowance.take, self._settings.message_max
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
            elif self._parser is None and first in (_TEXT_FRAME, _BINARY_FRAME):
                self._read_message(first & _OPCODE, unmask(data, mask, payload, end))
            elif first != _PONG_FRAME or end > payload + _CONTROL_MAX or self._parser is not None:
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
                self._loop.call_soon(self.read_on)

    def used_up(self, now: float) -> bool:
        """Whether the allowance has nothing for this connection at ``now``."""
        return self.session is not None and self.session.allowance.used_up(now)

    def read_on(self) -> None:
        """Go on with the tail, if nothing is in the way any more."""
        if self._transport.is_closing():
            self._tail = b""
        elif self.held and self.paused_at is None:
            self.held = False
            self.heard_at = self._loop.time()
            self._read_frames(self._tail)
            if not self.held and self.paused_at is None and not self._transport.is_closing():
                self._transport.resume_reading()

    def _read_odd(self, data: bytes) -> None:
        """One frame that the fast lane does not take: a control frame, a fragment, a violation; or after a close."""
        parser = self._parser or self._new_parser()
        if self.closing and (parser.over or data[0] & _OPCODE != CLOSE):
            return
        message = parser.receive(data)
        if message is not None and not self.closing:
            self._read_message(*message)
        self._after_parser(parser)

    def _read_violation(self, head: bytes, malformed: bool) -> None:
        parser = self._parser or self._new_parser()
        if malformed:
            parser.fail(PROTOCOL_ERROR, "a size in more bytes than it takes")
        else:
            parser.receive(head)  # which is all it needs to refuse it
        self._after_parser(parser)

    def _read_message(self, opcode: int, data: bytes) -> None:
        """One whole message; what the protocol has against it is said here."""
        session = self.session
        assert session is not None
        if opcode == TEXT and not self._check_text(data):
            return
        try:
            message = self.codec.decode(data)
        except UNDECODABLE as error:
            session.refuse(*self.codec.explain(data, error))
        else:
            run_command(self._gateway, session, message)

    def _check_text(self, data: bytes) -> bool:
        """Whether it is UTF-8; else the peer has broken the protocol."""
        try:
            data.decode()
        except UnicodeDecodeError as error:
            parser = self._parser or self._new_parser()
            parser.fail(INVALID_DATA, f"{error.reason} at position {error.start}")
            self._after_parser(parser)
            return False
        return True
