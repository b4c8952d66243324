"""What a program that sends gifts or listens calls."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any, Self

from gifting.client.connection import Connection
from gifting.client.inbox import Inbox, Room
from gifting.client.sending import Confirm, Sending
from gifting.model.money import make_key


class Client:
    """Connects, stays connected, sends every gift once, yields every event once.

    ::

        async with Client("ws://127.0.0.1:8080", token) as client:
            snapshot = await client.join("lobby")
            await client.send_gift("lobby", "spark", count=3)
            async for event in client.events():
                print(event["room"], event["type"])

    Whenever the connection breaks it is made again and its rooms are resumed where they were. One task may
    iterate :meth:`events`, any number may call the rest. What the server refuses is raised as its class of
    :mod:`gifting.errors`.

    Args:
        url: ``ws://``, ``wss://``, ``http://`` or ``https://``; without a path, ``/v1/ws``.
        token: a JWT of the server.
        deadline: seconds after which :meth:`send_gift` and what else may be said twice is not tried again.
        reply_timeout: seconds to wait for one reply.
        connect_timeout: seconds that entering ``async with`` may take.
        queue: events kept for :meth:`events`; when it is full, reading stops, replies too.
            0: a client that doesn't listen, events are dropped.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        deadline: float = 60.0,
        reply_timeout: float = 10.0,
        connect_timeout: float = 10.0,
        queue: int = 10_000,
    ) -> None:
        self._inbox = Inbox(queue)
        self._connection = Connection(url, token, self._inbox, reply_timeout=reply_timeout, deadline=deadline)
        self._connect_timeout = connect_timeout

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            GiftingError: the server refused the token.
            ConnectionError: it could not be reached within ``connect_timeout``.
        """
        self._connection.start()
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self._connection.connected()
        except TimeoutError:
            await self.close()
            raise ConnectionError(f"{self._connection.url} can't be reached.") from self._connection.last_error
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave. Calls still waiting fail, and :meth:`events` ends once it is empty."""
        await self._connection.close()

    async def join(
        self, room: str, *, since: int | None = None, epoch: int | None = None, lane: str | None = None
    ) -> dict[str, Any]:
        """Subscribe to ``room``; with ``since``, what came after that seq follows first; ``epoch`` as told with it.

        Returns:
            The room's snapshot, and ``gap``: ``since`` lies too far back, so events are missing.
        """
        joining = Room(room, lane, since, epoch)
        reply = await self._connection.request_until_known("join", joining.request(), joining)
        return {**reply["room"], "gap": reply["gap"]}

    async def leave(self, room: str) -> None:
        """Unsubscribe; events of the room that arrived before may still come."""
        self._connection.rooms.pop(room, None)
        await self._connection.request_until_known("leave", {"room": room})

    async def send_gift(
        self,
        room: str,
        gift: str,
        count: int = 1,
        message: str | None = None,
        key: str | None = None,
        *,
        anonymous: bool = False,
        confirm: Confirm | None = None,
    ) -> dict[str, Any]:
        """Send ``count`` of ``gift``, charged once however often it has to be said.

        It is said again, with the same key, when there was no reply or a temporary error. Where a reply was lost, or
        ``key`` is given, a refusal is checked by :meth:`gift_status` before it is raised.

        ``anonymous`` shows the room a made-up name. ``confirm`` asks the user where the server wants a gift confirmed
        (a large one, the first one), and says whether it is meant.

        Returns:
            ``coins`` (balance left) ``, duplicate, seq, event_id, repeat_count, streak_id``. Of a gift accepted so long
            ago that only the ledger knows it, ``coins``, ``repeat_count`` and ``streak_id`` may be missing. With
            ``pending`` it is paid and on its way to the room: only ``coins`` and ``duplicate`` are known.

        Raises:
            OutcomeUnknown: it could not be found out within ``deadline``; its text has the key, to ask again later.
            ConfirmRequired: it was not confirmed.
            NotCharged: the ledger never saw this key and takes it no more; a new key is safe.
            GiftingError: any other refusal; nothing was charged.
        """
        fields: dict[str, Any] = {"room": room, "gift": gift, "count": count, "key": key or self.new_key()}
        if message is not None:
            fields["message"] = message
        if anonymous:
            fields["anonymous"] = True
        return await Sending(self._connection, fields, used=key is not None, confirm=confirm).finish()

    async def gift_status(self, key: str) -> dict[str, Any]:
        """What became of the gift with ``key``, however long ago it was sent.

        Returns:
            ``state``, one of ``accepted`` (with ``room, gift, count, spent, ts, seq, event_id`` and, while they are
            remembered, ``coins, repeat_count, streak_id``; with ``pending`` neither ``seq`` nor ``event_id`` yet),
            ``refused`` (with ``error``), ``open`` (never seen, and
            can still be accepted: send it again with the same key), ``unknown`` (never seen, and can't be accepted
            any more: nothing was charged, and a new key is safe).
        """
        reply = await self._connection.request_until_known("gift_status", {"key": key})
        return {name: value for name, value in reply.items() if name not in {"re", "ok"}}

    def new_key(self) -> str:
        """A UUIDv7 by the server's clock, as last seen."""
        return make_key(time.time_ns() // 1_000_000 + self._connection.clock_lead_ms, os.urandom(10))

    async def like(self, room: str, count: int = 1) -> None:
        """Like, comment, share and follow are said once only.

        Raises:
            ConnectionError, TimeoutError: it may or may not have arrived.
        """
        await self._connection.request("like", {"room": room, "count": count})

    async def comment(self, room: str, text: str) -> bool:
        """Say ``text`` to the room; False: it is held, and waits for the host. Raises as :meth:`like`."""
        reply = await self._connection.request("comment", {"room": room, "text": text})
        return not reply["held"]

    async def share(self, room: str) -> None:
        """Tell the room that its stream was shared; raises as :meth:`like`."""
        await self._connection.request("share", {"room": room})

    async def follow(self, room: str) -> None:
        """Follow the room's host; raises as :meth:`like`."""
        await self._connection.request("follow", {"room": room})

    async def refresh(self, token: str) -> None:
        """Go on with a newer token of the same user, now and at every reconnect."""
        await self._connection.request_until_known("refresh", {"token": token})
        self._connection.token = token

    async def ping(self) -> int:
        """The server's clock, ms since 1970."""
        reply = await self._connection.request_until_known("ping", {})
        return int(reply["ts"])

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """Every event of the joined rooms, in order, each once, with its ``room``. For one consumer.

        ``budget`` and ``reminder`` concern the token's user; their room is ''.

        Two types come from the client itself, after a reconnect: ``gap`` (events are missing; ``snapshot`` is
        how the room stands now) and ``lost`` (the room can't be joined again; ``error`` is the code of why).

        Raises:
            GiftingError: the server closed for good, for example because the token expired.
        """
        return self._inbox
