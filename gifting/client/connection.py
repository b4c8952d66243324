"""A connection that is made again whenever it breaks, and the calls on it."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from gifting.client.inbox import Inbox, Room, of_user
from gifting.client.pending import Call, Outcome, Pending
from gifting.client.reconnect import (
    backoff,
    error_from_reply,
    hinted_pause,
    raise_final,
    refusal,
    socket_url,
    too_large,
)
from gifting.errors import Denied, GiftingError, OutcomeUnknown
from gifting.model.packing import unpack
from gifting.wire.codec import MSGPACK

FRAME_MAX: Final = 16 << 20
"""Largest message taken from the server, in bytes: four times what any server may be set to send."""

STABLE_AFTER: Final = 5.0
"""A connection that lived this many seconds starts the backoff anew."""


class ClosedError(ConnectionError):
    """By the client's own ``close``."""


class Connection:
    """Connects, resumes every room where it was, and reads.

    Args:
        url, token: as the client got them.
        inbox: where events go.
        reply_timeout: seconds to wait for one reply.
        deadline: seconds after which :meth:`request_until_known` stops trying.
    """

    def __init__(self, url: str, token: str, inbox: Inbox, *, reply_timeout: float, deadline: float) -> None:
        self.url, self._proxy = socket_url(url)
        self.token = token
        self.rooms: dict[str, Room] = {}
        self.clock_lead_ms = 0
        self.last_error: Exception | None = None
        self._inbox = inbox
        self._reply_timeout = reply_timeout
        self.deadline = deadline
        self._pending = Pending()
        self._socket: ClientConnection | None = None
        self._ended: Exception | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._stay_connected(), name="gifting client")

    async def close(self) -> None:
        self._end(ClosedError("The client was closed."))
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def request(
        self, op: str, fields: dict[str, Any], room: Room | None = None, *, within: float = math.inf
    ) -> dict[str, Any]:
        """Say it once, and wait ``reply_timeout`` seconds, or ``within`` if that is less.

        Raises:
            ConnectionError, TimeoutError: it may or may not have arrived.
            GiftingError: what the reply says.
        """
        async with asyncio.timeout(min(self._reply_timeout, within)):
            socket = await self.connected()
            future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            number, message = self._pending.begin(op, fields, Call(future, room))
            try:
                with suppress(ConnectionClosed):  # the reader sees it too, and tells every call
                    await socket.send(message)
                outcome = await future
            finally:
                self._pending.end(number)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def request_until_known(self, op: str, fields: dict[str, Any], room: Room | None = None) -> dict[str, Any]:
        """Say it until there is a reply that is no temporary error, at most ``deadline`` seconds.

        Raises:
            TimeoutError: whether it was done is not known.
        """
        clock = asyncio.get_running_loop().time
        give_up = clock() + self.deadline
        unsure = False
        for pause in backoff():
            try:
                return await self.request(op, fields, room, within=give_up - clock())
            except (ConnectionError, TimeoutError, GiftingError) as error:
                final = isinstance(error, GiftingError) and not error.temporary
                unsure = unsure or isinstance(error, ConnectionError | TimeoutError | OutcomeUnknown)
                if final and not (unsure and isinstance(error, Denied)):
                    raise
                if final or self._ended is not None or clock() + pause >= give_up:
                    if unsure:
                        raise TimeoutError(f"{op} got no reply.") from (self._ended or error)
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("backoff() never ends")

    @property
    def ended(self) -> bool:
        """Whether it was closed for good."""
        return self._ended is not None

    async def connected(self) -> ClientConnection:
        while self._socket is None:
            if self._ended is not None:
                raise self._ended
            self._changed.clear()
            await self._changed.wait()
        return self._socket

    async def _stay_connected(self) -> None:
        clock = asyncio.get_running_loop().time
        pauses = backoff()
        while self._ended is None:
            began = clock()
            try:
                await self._connect_once()
            except GiftingError as error:
                self.last_error = error
                if not error.temporary:
                    self._end(error)
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                self.last_error = error
            except Exception as error:
                self._end(error)
            finally:
                self._disconnected()
            if clock() - began > STABLE_AFTER:
                pauses = backoff()
            if self._ended is None:
                await asyncio.sleep(next(pauses) + hinted_pause(self.last_error))

    async def _connect_once(self) -> None:
        """Connect, resume every room, and read until the connection ends. Always raises."""
        try:
            async with connect(
                self.url,
                subprotocols=[Subprotocol(MSGPACK.subprotocol)],
                additional_headers={"Authorization": f"Bearer {self.token}"},
                compression=None,
                max_size=FRAME_MAX,
                proxy=self._proxy,
                close_timeout=1,
            ) as socket:
                await self._resume(socket)
                while True:
                    self._take(unpack(await socket.recv(decode=False)), socket)
                    await self._inbox.has_room()
        except InvalidStatus as error:
            raise refusal(error.response) from None
        except ConnectionClosed as error:
            raise_final(error)
            raise

    async def _resume(self, socket: ClientConnection) -> None:
        """Ask for the clock and for every room, and leave the replies to the reader."""
        sent_ms = time.time_ns() // 1_000_000
        await socket.send(self._pending.begin("ping", {}, Call(None, None, sent_ms))[1])
        for room in list(self.rooms.values()):
            await socket.send(self._pending.begin("join", room.request(), Call(None, room))[1])

    def _take(self, message: dict[str, Any], socket: ClientConnection) -> None:
        if "re" in message:
            call = self._pending.end(message["re"])
            if call is not None:
                self._take_reply(message, call, socket)
        elif message["room"] == "":
            self._inbox.put(of_user(message))
        elif (room := self.rooms.get(message["room"])) is not None:
            self._inbox.put(room.unseen(message))

    def _take_reply(self, reply: dict[str, Any], call: Call, socket: ClientConnection) -> None:
        error = None if reply["ok"] else error_from_reply(reply["error"])
        if call.sent_ms:
            if error is not None:
                raise error
            self.clock_lead_ms = reply["ts"] - (call.sent_ms + time.time_ns() // 1_000_000) // 2
            self._socket = socket
            self._changed.set()
        if call.room is not None:
            self._take_join(call.room, reply, error, resumed=call.reply is None)
        call.settle(error or reply)

    def _take_join(self, room: Room, reply: dict[str, Any], error: GiftingError | None, *, resumed: bool) -> None:
        if error is None:
            self.rooms[room.name] = room
            if room.seq is None or reply["gap"]:
                room.seq, room.epoch = reply["room"]["seq"], reply["room"].get("epoch")
            if resumed and reply["gap"]:
                self._inbox.put([{"type": "gap", "room": room.name, "snapshot": reply["room"]}])
        elif resumed and error.temporary:
            raise error
        elif resumed:
            self.rooms.pop(room.name, None)
            self._inbox.put([{"type": "lost", "room": room.name, "error": error.code}])

    def _disconnected(self) -> None:
        self._socket = None
        self._pending.lose(too_large=too_large(self.last_error))

    def _end(self, reason: Exception) -> None:
        if self._ended is None:
            self._ended = reason
            self._inbox.end(None if isinstance(reason, ClosedError) else reason)
            self._changed.set()
