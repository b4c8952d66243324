"""uvicorn's HTTP protocol behind bounds.

Who is here needs no token, so all is bounded before it is parsed: heads and bodies in bytes and in time, and requests
that are sent before the last is answered.
"""

from __future__ import annotations

from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gifting.errors import BadMessage, GiftingError, HeadTooLarge, MessageTooLarge, RateLimited, RequestTimeout
from gifting.transport.farewell import turn_away
from gifting.transport.handover import Upgrading, hand_over
from gifting.transport.handshake import Upgrade, parse_upgrade
from gifting.transport.lobby import Address, Lobby

BODY_SLACK: Final = 65_536
"""Bytes a body may have beyond ``message_max``, so that whoever sends too much can be told so by the endpoint."""

PIPELINE_MAX: Final = 16
"""Requests of one connection that may wait for the answer to another."""

_HEAD_EXTRA: Final = 14
_HEADER_EXTRA: Final = 4
"""Bytes of a head beside its method and address, and of a header beside its name and value."""


class Http(HttpToolsProtocol):
    """Made for a socket that did not begin with an upgrade. ``deadline`` is that of its first head."""

    def __init__(
        self, lobby: Lobby, upgrading: Upgrading, address: Address | None, deadline: float | None, **uvicorn: Any
    ) -> None:
        super().__init__(**uvicorn)
        self.deadline = deadline
        self._lobby = lobby
        self._upgrading = upgrading
        self._address = address
        self._settings = lobby.settings
        self._answering: RequestResponseCycle | None = None
        self._in_body = False
        self._ended = False
        self._size = 0

    def _expect(self, seconds: float | None) -> None:
        self.deadline = None if seconds is None else self._lobby.time() + seconds

    # What the transport calls.

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_answering()
        super().connection_lost(exc)
        self._lobby.leave(self, self._address)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self.deadline is None:
            self._expect(self._settings.head_timeout)
        self._parse(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect(self._settings.slow_timeout)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._expect(None)

    # Parsing, a bounded piece at a time.

    def _parse(self, data: bytes) -> None:
        step = self._settings.head_max
        for start in range(0, len(data), step):
            if self.parser is None:  # this is over
                return
            piece = data[start : start + step]
            self._ended = False
            try:
                self.parser.feed_data(piece)
                self._count(len(piece))
            except httptools.HttpParserUpgrade as upgrade:
                self._upgrade(data[start + upgrade.args[0] :])
            except httptools.HttpParserError as error:
                cause = error.__context__
                self._turn_away(cause if isinstance(cause, GiftingError) else BadMessage("This is not HTTP/1.1."))
            except GiftingError as error:
                self._turn_away(error)

    def _count(self, size: int) -> None:
        """``size`` bytes were parsed. What is not of a body is of a head, one that is complete or not."""
        if self._ended:
            self._size = 0
        elif not self._in_body:
            self._size += size
            if self._size > self._settings.head_max:
                raise HeadTooLarge

    def on_headers_complete(self) -> None:
        size = _HEAD_EXTRA + len(self.parser.get_method()) + len(self.url)
        size += sum(len(name) + len(value) + _HEADER_EXTRA for name, value in self.headers)
        if size > self._settings.head_max:
            raise HeadTooLarge(f"The head has {size} bytes; it may have {self._settings.head_max}.")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            raise BadMessage("A request has one header Host.")
        if len(self.pipeline) >= PIPELINE_MAX:
            raise RateLimited("Too many requests wait for an answer.")
        self._size, self._in_body = 0, True
        self._expect(self._settings.head_timeout)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._settings.message_max + BODY_SLACK:
            raise MessageTooLarge(f"The body may have {self._settings.message_max} bytes.")
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._ended, self._in_body = True, False
        self._expect(None)
        super().on_message_complete()

    # Becoming a WebSocket.

    def _should_upgrade(self) -> bool:
        return any(name == b"upgrade" and value.strip().lower() == b"websocket" for name, value in self.headers)

    def _upgrade(self, rest: bytes) -> None:
        """The parser has read the head of a request for an upgrade, of some kind; ``rest`` came behind it."""
        if not self._should_upgrade():  # but to something else
            # It is answered as if it had not asked, and nothing after it can be understood.
            self.flow.pause_reading()
            self.cycle.keep_alive = False
            self.parser = None  # type: ignore[assignment]
            return
        if self._answering is not None and not self._answering.response_complete:
            self._refuse(BadMessage("There is still a request to be answered."))
            return
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]
        version, method = self.parser.get_http_version(), self.parser.get_method().decode("latin-1")
        try:
            upgrade = parse_upgrade(method, self.url.decode("latin-1"), version, headers, rest)
        except GiftingError as error:
            self._refuse(error)
        else:
            self._hand_over(upgrade)

    def _refuse(self, error: GiftingError) -> None:
        self._lobby.refusals.note(self.transport, error)
        self._turn_away(error)

    def _hand_over(self, upgrade: Upgrade) -> None:
        self._let_go()
        hand_over(self._lobby, self._upgrading, self, self._address, self.transport, upgrade)

    def _let_go(self) -> None:
        """The socket is somebody else's from now on."""
        self.connections.discard(self)
        self.pipeline.clear()
        self.flow.resume_writing()
        # The parser holds this object and is held by it: else they would wait for the garbage collector.
        self.parser = None  # type: ignore[assignment]

    # Turning away.

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _turn_away(self, error: GiftingError) -> None:
        """Answer with an error, unless another answer has begun, and take nothing more."""
        begun = self._stop_answering()
        if begun or self.transport.is_closing():
            self.parser = None  # type: ignore[assignment]
            self.transport.close()
        else:
            self._let_go()
            turn_away(self._lobby, self, self._address, self.transport, error)

    def _stop_answering(self) -> bool:
        """Whether an answer has begun, which now is not ended."""
        if self._answering is None or self._answering.response_complete:
            return False
        self._answering.disconnected = True
        self._answering.waiting_for_100_continue = False  # it must not be asked for its body now
        self._answering.message_event.set()
        return self._answering.response_started

    def expire(self) -> None:
        """The deadline has passed."""
        if self.flow.write_paused:
            self.transport.abort()
        elif self.flow.read_paused:
            self._expect(self._settings.head_timeout)  # it is not the client's fault
        else:
            self._turn_away(RequestTimeout())
