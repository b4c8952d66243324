"""A crowd in a few rooms, for the demo: each person has a client and does what :class:`Mix` says."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Self

from gifting.client import Client
from gifting.errors import GiftingError, InsufficientCoins
from gifting.load.latency import LatencyRing
from gifting.load.mix import Mix
from gifting.load.operator import Operator
from gifting.load.plan import TOKEN_TTL, Target
from gifting.model.catalog import Gift
from gifting.wire.tokens import issue

POCKET: Final = 100_000
"""Coins a person gets whenever they have none left."""

RETRY_PAUSE_S: Final = 1.0

NAMES: Final = (
    "Mira", "Joon", "Tariq", "Sofia", "Kenji", "Amara", "Luca", "Priya", "Noor", "Elif", "Diego", "Hana",
    "Oskar", "Zuri", "Ines", "Ravi", "Freya", "Malik", "Yuki", "Ada", "Tomas", "Leila", "Bao", "Nia",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened so far; latencies are of the last gifts, in ms. ``top`` is (name, coins) from the top."""

    gifts: int
    coins: int
    likes: int
    comments: int
    deliveries: int
    failures: int
    ack_p50: float
    ack_p99: float
    delivery_p50: float
    delivery_p99: float
    top: list[tuple[str, int]]


class Crowd:
    """People in ``rooms``, as an ``async with``: they come in, play until it is left, and go.

    Args:
        target: the server and its secret. The rooms must be open.
        rooms: where they are.
        gifts: the catalog.
        people: how many, over all rooms.
        pace: how lively; 2 is twice as many deeds.
        seed: the same crowd again; None: another each time.
    """

    def __init__(
        self,
        target: Target,
        rooms: Sequence[str],
        gifts: Iterable[Gift],
        *,
        people: int = 24,
        pace: float = 1.0,
        seed: int | None = None,
    ) -> None:
        self._target = target
        self._url = f"ws://{target.host}:{target.port}{target.path}"
        self._rooms = rooms
        self._gifts = list(gifts)
        self._people = people
        self._pace = pace
        self._random = Random(seed)  # noqa: S311
        self._operator = Operator(target, "demo")
        self._stack = AsyncExitStack()
        self._counts: Counter[str] = Counter()
        self._top: Counter[str] = Counter()
        self._sent: dict[str, float] = {}
        self._acks, self._deliveries = LatencyRing(), LatencyRing()

    async def __aenter__(self) -> Self:
        """Bring everybody in.

        Raises:
            GiftingError, ConnectionError: the server won't have them.
        """
        async with AsyncExitStack() as stack:
            work: list[Coroutine[Any, Any, None]] = []
            for room in self._rooms:
                work.append(self._watch(await self._enter(stack, f"watcher-{room}", "Watcher", room, "all")))
            for number in range(self._people):
                user, name = f"fan-{number}", NAMES[number % len(NAMES)]
                room = self._rooms[number % len(self._rooms)]
                client = await self._enter(stack, user, name, room, "live")
                work += [self._listen(client), self._live(client, user, room)]
            # Entered last, so that everybody stops before their clients close.
            await stack.enter_async_context(_Tasks(work))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def tally(self) -> Tally:
        count = self._counts
        return Tally(
            count["gift"],
            count["coins"],
            count["like"],
            count["comment"],
            count["deliveries"],
            count["failures"],
            *self._acks.p50_p99(),
            *self._deliveries.p50_p99(),
            self._top.most_common(5),
        )

    async def _enter(self, stack: AsyncExitStack, user: str, name: str, room: str, lane: str) -> Client:
        level = self._random.randint(1, 40)
        token = issue(
            self._target.secret, user, "viewer", now=time.time(), ttl=TOKEN_TTL, name=name, level=level
        )
        client = await stack.enter_async_context(Client(self._url, token))
        await client.join(room, lane=lane)
        return client

    async def _watch(self, client: Client) -> None:
        """See every event of a room, and how long each gift took to get here."""
        async for event in client.events():
            self._counts["deliveries"] += 1
            if event["type"] == "gift" and event["count"]:
                self._counts["coins"] += event["coins"]
                self._top[event["user"]["name"]] += event["coins"]
                if (sent := self._sent.pop(event["user"]["id"], None)) is not None:
                    self._deliveries.add(time.monotonic() - sent)

    async def _listen(self, client: Client) -> None:
        async for _ in client.events():
            self._counts["deliveries"] += 1

    async def _live(self, client: Client, user: str, room: str) -> None:
        """Do one thing after another; whatever fails is counted and left."""
        mix = Mix(self._gifts, Random(self._random.random()))  # noqa: S311
        while True:
            await asyncio.sleep(mix.pause() / self._pace)
            deed = mix.deed()
            try:
                await self._do(deed, client, user, room, mix)
            except InsufficientCoins:
                await self._operator.grant([user], POCKET)
            except (GiftingError, ConnectionError, TimeoutError):
                self._counts["failures"] += 1
                await asyncio.sleep(RETRY_PAUSE_S)

    async def _do(self, deed: str, client: Client, user: str, room: str, mix: Mix) -> None:
        if deed == "gift":
            await self._streak(client, user, room, mix)
            return
        if deed == "like":
            await client.like(room, mix.likes())
        elif deed == "comment":
            await client.comment(room, mix.comment())
        elif deed == "share":
            await client.share(room)
        else:
            await client.follow(room)
        self._counts[deed] += 1

    async def _streak(self, client: Client, user: str, room: str, mix: Mix) -> None:
        gift = mix.gift()
        for number in range(mix.streak(gift)):
            if number:
                await asyncio.sleep(mix.gap())
            self._sent[user] = began = time.monotonic()
            await client.send_gift(room, gift.id)
            self._acks.add(time.monotonic() - began)
            self._counts["gift"] += 1


class _Tasks:
    """Tasks that end with the ``async with``."""

    def __init__(self, work: Iterable[Coroutine[Any, Any, None]]) -> None:
        self._tasks = [asyncio.create_task(one) for one in work]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
