"""A session: who a connection speaks for, what it may still send, and the rooms that it watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct

from gifting.errors import GiftingError
from gifting.hub.hub import Hub
from gifting.hub.limits import Allowance
from gifting.hub.subscription import Feeder, Subscription
from gifting.model.values import Sender
from gifting.transport.outgoing import Outgoing
from gifting.wire.close import CloseCode
from gifting.wire.codec import Codec
from gifting.wire.replies import answer, refusal
from gifting.wire.tokens import Identity


class Session:
    """Made of a good token for a connection; a :class:`~gifting.hub.subscription.Subscriber` of rooms.

    ``pending`` commands wait for Redis; what is done in rooms waits behind ``turn``, if that is there.
    """

    __slots__ = ("_hub", "allowance", "connection", "identity", "pending", "sender", "subscriptions", "turn")

    def __init__(self, connection: Outgoing, hub: Hub, identity: Identity, allowance: Allowance) -> None:
        self._hub = hub
        self.connection = connection
        self.identity = identity
        self.allowance = allowance
        self.sender: Sender | None = None
        self.subscriptions: tuple[Subscription, ...] = ()
        self.pending = 0
        self.turn: asyncio.Task[None] | None = None

    # What is said to the client.

    @property
    def closing(self) -> bool:
        return self.connection.closing

    def reply(self, reply_to: int, reply: Struct) -> None:
        connection = self.connection
        connection.send(connection.codec.encode(answer(reply_to, reply)))

    def refuse(self, reply_to: int | None, error: GiftingError) -> None:
        connection = self.connection
        self._hub.counters.refusals[error.code] += 1
        connection.send(connection.codec.encode(refusal(reply_to, error)))

    def tell(self, message: Struct) -> None:
        """Say something as it is."""
        connection = self.connection
        connection.send(connection.codec.encode(message))

    def close(self, code: CloseCode) -> None:
        self.connection.close(code)

    # Rooms.

    @property
    def codec(self) -> Codec:
        return self.connection.codec

    @property
    def write_frame(self) -> Callable[[bytes], None]:
        return self.connection.write_frame

    def send_frames(self, data: bytes) -> None:
        self.connection.send_frames(data)

    @property
    def can_take(self) -> bool:
        return self.connection.paused_at is None and not self.connection.closing

    @property
    def payer(self) -> tuple[str, str, str]:
        """User, role and room: a link that was given away does not use up its owner's allowance."""
        return self.identity.user, self.identity.role, self.identity.room

    def subscription(self, room: str) -> Subscription | None:
        """That of a room, by its id. A session has few, and most have one."""
        for one in self.subscriptions:
            if one.room == room:
                return one
        return None

    def subscribe(self, room: str, lane: Feeder, position: int) -> None:
        """Be fed by a lane from ``position`` on."""
        subscription = Subscription(self, room, lane, position, self.identity.role == "viewer")
        self.subscriptions = (*self.subscriptions, subscription)
        self._hub.subscribe(subscription)

    def unsubscribe(self, subscription: Subscription) -> None:
        self.subscriptions = tuple(one for one in self.subscriptions if one is not subscription)
        self._hub.unsubscribe(subscription)

    def unsubscribe_all(self) -> None:
        subscriptions, self.subscriptions = self.subscriptions, ()
        for subscription in subscriptions:
            self._hub.unsubscribe(subscription)

    def hold(self) -> None:
        """The socket is full: events go past."""
        for subscription in self.subscriptions:
            subscription.lane.hold(subscription)

    def catch_up(self) -> None:
        """The socket can take data again."""
        for subscription in self.subscriptions:
            subscription.lane.catch_up(subscription)
