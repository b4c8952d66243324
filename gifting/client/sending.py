"""A gift on its way: said again with its key until what became of it is certain, or the time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from gifting.client.connection import Connection
from gifting.client.reconnect import backoff, error_from_reply
from gifting.errors import (
    BadKey,
    ConfirmRequired,
    Denied,
    GiftingError,
    KeyExpired,
    KeyReused,
    Limited,
    NotCharged,
    OutcomeUnknown,
)

STATUS_WITHIN: Final = 2.0
"""Seconds to wait for what became of a gift; the last question may go beyond the deadline by so much."""

ASKED_MAX: Final = 3
"""How often the user is asked about one gift: a confirmation may be too late, or the price another by then."""

Confirm = Callable[[ConfirmRequired], Awaitable[bool]]
"""Asks the user whether a gift is meant."""

_CONTENT: Final = ("room", "gift", "count")
_RESULT: Final = ("seq", "event_id", "coins", "repeat_count", "streak_id", "pending")


class Sending:
    """One gift.

    It is in doubt as soon as a message may have arrived whose reply did not. From then on no refusal is believed, since
    the server may have forgotten what it answered first; ``gift_status``, which looks into the ledger, decides.

    Args:
        fields: of ``send_gift``, its key among them.
        used: the key may have been sent before.
        confirm: asks the user where the server wants that; None: such a gift is not sent.
    """

    def __init__(
        self, connection: Connection, fields: dict[str, Any], *, used: bool, confirm: Confirm | None = None
    ) -> None:
        self._connection = connection
        self._fields = fields
        self._used = used
        self._confirm = confirm
        self._asked = 0
        self._give_up = 0.0
        self._in_doubt = False

    async def finish(self) -> dict[str, Any]:
        """What the server says of the gift.

        Raises:
            OutcomeUnknown: within the deadline that could not be found out.
            GiftingError: it was refused.
        """
        clock = asyncio.get_running_loop().time
        self._give_up = clock() + self._connection.deadline
        for pause in backoff():
            try:
                return await self._say()
            except (ConnectionError, TimeoutError, GiftingError) as error:
                self._in_doubt = self._in_doubt or _tells_nothing(error)
                over = self._connection.ended or isinstance(error, Denied) or clock() + pause >= self._give_up
                if (found := await self._settle(error, over)) is not None:
                    return found
            await asyncio.sleep(pause)
        raise AssertionError("backoff() never ends")

    async def _say(self) -> dict[str, Any]:
        """The reply. What has to be confirmed is, and then said again; the time to think is not counted."""
        clock = asyncio.get_running_loop().time
        while True:
            try:
                return await self._connection.request("send_gift", self._fields, within=self._give_up - clock())
            except ConfirmRequired as error:
                self._asked += 1
                if self._confirm is None or self._asked > ASKED_MAX or not await self._confirm(error):
                    raise
                self._fields["confirm"] = error.confirm
                self._give_up = clock() + self._connection.deadline

    async def _settle(self, error: Exception, over: bool) -> dict[str, Any] | None:
        """What became of the gift; None: say it again. Raises what it ends with."""
        final = isinstance(error, GiftingError) and not error.temporary
        if self._is_sure(error):
            if final or over:
                raise error
            return None
        found = self._judge(await self._ask(), error) if final or over else None
        if found is None and over:
            raise OutcomeUnknown(f"The gift with key {self._fields['key']} got no reply.") from error
        return found

    def _is_sure(self, error: Exception) -> bool:
        """Whether ``error`` is all there is to know: nothing of this key was charged before."""
        return not self._in_doubt and (not self._used or isinstance(error, BadKey | Denied | Limited))

    async def _ask(self) -> dict[str, Any]:
        """What the ledger knows of the key; nothing if that can't be asked. Asks anew where a connection was lost."""
        with suppress(TimeoutError, GiftingError):
            async with asyncio.timeout(STATUS_WITHIN):
                for pause in backoff():
                    with suppress(ConnectionError):
                        return await self._connection.request("gift_status", {"key": self._fields["key"]})
                    if self._connection.ended:
                        break
                    await asyncio.sleep(pause)
        return {}

    def _judge(self, status: dict[str, Any], error: Exception) -> dict[str, Any] | None:
        match status.get("state"):
            case "accepted":
                if any(status[name] != self._fields[name] for name in _CONTENT):
                    raise KeyReused
                return {**{name: status[name] for name in _RESULT if name in status}, "duplicate": True}
            case "unknown":
                raise NotCharged
            case "refused" if status["error"]["code"] == KeyExpired.code:
                raise NotCharged
            case "refused":
                raise error_from_reply(status["error"])
            case "open" if not self._in_doubt:
                raise error
        return None


def _tells_nothing(error: Exception) -> bool:
    """Whether the gift may have been charged all the same."""
    return not isinstance(error, GiftingError) or isinstance(error, OutcomeUnknown) or type(error) is GiftingError
