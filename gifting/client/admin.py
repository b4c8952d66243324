"""What an operator does over the HTTP API: rooms, coins, wallets."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlencode

import msgspec

from gifting.client.http import exchange
from gifting.client.reconnect import backoff, read_problem
from gifting.errors import GiftingError, NoServer, OutcomeUnknown
from gifting.model.money import make_key

AT_ONCE: Final = 16
"""Calls that are under way at a time; others wait."""

ANSWER_WITHIN: Final = 30.0
"""Seconds that one answer may take."""

GRANT_WITHIN: Final = 20.0
"""Seconds for which a grant that got no answer is asked for again."""

Document: TypeAlias = dict[str, Any]
"""A JSON object, as docs/protocol.md describes it."""


class Admin:
    """Calls the HTTP API of one server.

    What the server refuses is raised as its class of :mod:`gifting.errors`.

    Args:
        url: ``http://`` or ``https://``.
        token: a JWT of an operator; of a creator for what is about rooms of its own.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def open_room(self, room: str, host: str, title: str = "", host_name: str = "") -> Document:
        """Begin a stream; returns the room's snapshot."""
        body = {"room": room, "host": host, "title": title, "host_name": host_name}
        opened: Document = await self.call("POST", "/v1/rooms", body)
        return opened

    async def end_room(self, room: str) -> None:
        """End a stream; who watches is told."""
        await self.call("DELETE", f"/v1/rooms/{_name(room)}")

    async def room(self, room: str) -> Document:
        """The room's snapshot."""
        found: Document = await self.call("GET", f"/v1/rooms/{_name(room)}")
        return found

    async def rooms(self) -> AsyncIterator[str]:
        """Ids of all live rooms, those with the most viewers first."""
        cursor = ""
        while True:
            page = await self.call("GET", f"/v1/rooms?{urlencode({'cursor': cursor})}")
            for room in page["rooms"]:
                yield room
            cursor = page["cursor"]
            if not cursor:
                return

    async def wallet(self, user: str) -> Document:
        """``coins`` and ``diamonds`` of a user."""
        found: Document = await self.call("GET", f"/v1/users/{_name(user)}/wallet")
        return found

    async def grant(self, user: str, coins: int, reason: str, key: str = "") -> Document:
        """Issue coins, once however often it has to be asked for; ``key`` is a new one where it is empty.

        Returns:
            ``coins`` (the balance) and ``duplicate``.

        Raises:
            OutcomeUnknown: within ``GRANT_WITHIN`` there was no answer; its text has the key, to ask again later.
        """
        clock = asyncio.get_running_loop().time
        give_up, unsure = clock() + GRANT_WITHIN, False
        body = {"coins": coins, "key": key or make_key(time.time_ns() // 1_000_000, os.urandom(10)), "reason": reason}
        for pause in backoff():
            try:
                granted: Document = await self.call("POST", f"/v1/users/{_name(user)}/grants", body)
            except (GiftingError, OSError, TimeoutError) as error:
                unsure = unsure or not isinstance(error, GiftingError) or isinstance(error, OutcomeUnknown)
                final = isinstance(error, GiftingError) and not error.temporary
                final = final and not (unsure and isinstance(error, NoServer))  # it may be starting again
                if final or clock() + pause >= give_up:
                    if unsure:
                        raise OutcomeUnknown(f"The grant with key {body['key']} got no answer.") from error
                    raise
            else:
                return granted
            await asyncio.sleep(pause)
        raise AssertionError("backoff() never ends")

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call; returns the decoded answer.

        Raises:
            NoServer: nothing was sent.
            OSError, TimeoutError: it may have arrived.
        """
        async with self._gate, asyncio.timeout(ANSWER_WITHIN):
            content = msgspec.json.encode(body) if body is not None else b""
            status, answer = await exchange(self.url, method, path, self._token, content)
        if status >= 400:
            raise read_problem(answer) or GiftingError(f"{method} {path} was answered with HTTP {status}.")
        try:
            return msgspec.json.decode(answer)
        except msgspec.DecodeError:
            raise ConnectionResetError("The answer was cut off, or is none of a gifting server.") from None


def _name(identifier: str) -> str:
    return quote(identifier, safe="")
