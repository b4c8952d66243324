"""The frames that the fast lane does not take: control frames, fragments, violations. websockets' parser, bounded.

One is made when such a frame comes and let go of when nothing is open any more.
"""

from __future__ import annotations

import logging
from codecs import IncrementalDecoder, getincrementaldecoder
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from gifting.wire.framing import CLOSE

# websockets tells of every connection that ends; that is no news here.
_quiet = logging.getLogger("gifting.websocket")
_quiet.setLevel(logging.WARNING)

FRAGMENTS_MAX: Final = 64
"""Fragments of one message. Empty ones cost memory too, which no bound of bytes sees."""

PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009

_OPCODE: Final = 0x0F
_new_decoder: Final = getincrementaldecoder("utf-8")


class FrameParser:
    """The open end of one WebSocket's protocol: whole frames in, messages and answers out."""

    __slots__ = ("_decoder", "_fragments", "_protocol")

    def __init__(self, message_max: int) -> None:
        self._protocol = ServerProtocol(state=State.OPEN, max_size=message_max, logger=_quiet)
        self._fragments: list[Frame] | None = None
        self._decoder: IncrementalDecoder | None = None

    @property
    def closing(self) -> bool:
        """Whether a close frame was sent."""
        return self._protocol.state is not State.OPEN

    @property
    def close_code(self) -> int:
        """Of the close frame that was sent; 0 if none was."""
        sent = self._protocol.close_sent
        return sent.code if sent else 0

    @property
    def over(self) -> bool:
        """Whether all is said, so that the socket can be closed."""
        return self._protocol.eof_sent

    @property
    def failed(self) -> bool:
        """Whether it is over because of what the peer did, who does not know yet and may still be sending."""
        return self.over and self._protocol.close_rcvd is None

    @property
    def busy(self) -> bool:
        """Whether it holds something that the next frame needs."""
        return self.closing or self._fragments is not None

    def receive(self, data: bytes) -> tuple[int, bytes] | None:
        """Take one whole frame, or the head of one that is not allowed. The message that it ends: opcode, payload."""
        if data[0] & _OPCODE == CLOSE:
            self._protocol.current_size = None  # a close may come in the middle of a message
        self._protocol.receive_data(data)
        message = None
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                message = self._collect(event) or message
        return message

    def _collect(self, event: Frame) -> tuple[int, bytes] | None:
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._fragments = [event]
            self._decoder = _new_decoder() if event.opcode is Opcode.TEXT else None
        elif event.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments.append(event)
        else:
            return None
        if self._decoder is not None:
            try:
                self._decoder.decode(event.data, final=event.fin)
            except UnicodeDecodeError as error:
                self.fail(INVALID_DATA, f"{error.reason} at position {error.start}")
                return None
        if event.fin:
            fragments, self._fragments = self._fragments, None
            return fragments[0].opcode, b"".join(fragment.data for fragment in fragments)
        if len(self._fragments) >= FRAGMENTS_MAX:
            self.fail(TOO_BIG, f"more than {FRAGMENTS_MAX} fragments")
        return None

    def fail(self, code: int, reason: str) -> None:
        """The peer broke the protocol: say so and be over."""
        self._fragments = None
        self._protocol.fail(code, reason)

    def close(self, code: int, reason: str) -> None:
        """Begin to close; the peer's answer ends it."""
        self._fragments = None
        self._protocol.send_close(code, reason)

    def answers(self) -> bytes:
        """What is to be written."""
        return b"".join(data for data in self._protocol.data_to_send() if data != SEND_EOF)
