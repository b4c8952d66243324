"""Who is there: two rooms, and viewers who like, comment and send gifts."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gifting.client import Client
from gifting.demo.purse import Purse, Till
from gifting.errors import ConfirmRequired, GiftingError, InsufficientCoins
from gifting.load.latency import Latencies
from gifting.load.mix import Mix
from gifting.model.catalog import load_catalog


class Stage(NamedTuple):
    """A room of the demo; ``short`` is what its links are called by."""

    room: str
    short: str
    host: str
    title: str


STAGES: Final = (
    Stage("harbour-lights", "harbour", "mara", "Harbour lights, live from the pier"),
    Stage("late-kitchen", "kitchen", "jon", "The late kitchen"),
)
NAMES: Final = (
    "Ada", "Bo", "Cleo", "Dov", "Eda", "Finn", "Gus", "Hana", "Ivo", "Juno", "Kai", "Lena", "Milo", "Nia", "Otto",
    "Pia", "Quin", "Remy", "Sol", "Tess", "Uma", "Vik", "Wren", "Xan", "Yuki", "Zoe", "Abe", "Bea", "Cy", "Dina",
    "Elio", "Fay", "Gia", "Hugo", "Ines", "Jude", "Kit", "Lou", "Max", "Noa",
)  # fmt: skip
YOU: Final = "you"


class Viewer(NamedTuple):
    """Somebody, under a name that nobody else has."""

    user: str
    name: str


def viewers(count: int) -> Iterator[Viewer]:
    """The first ``count``."""
    for number in range(count):
        again, place = divmod(number, len(NAMES))
        name = f"{NAMES[place]} {again + 1}" if again else NAMES[place]
        yield Viewer(name.lower().replace(" ", "-"), name)


@dataclass
class Tally:
    """What has happened so far; ``gifts`` by room."""

    gifts: Counter[str] = field(default_factory=Counter)
    deliveries: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latency: Latencies = field(default_factory=Latencies)
    till: Till = field(default_factory=Till)
    heard: Callable[[str, float], None] = field(default=lambda room, sent_at: None)
    """Told of each gift that is acknowledged with both its sides: its room, and when it was sent."""

    def count_error(self, error: Exception) -> None:
        self.errors[getattr(error, "code", type(error).__name__)] += 1


async def play(url: str, token: str, room: str, purse: Purse, tally: Tally) -> None:
    """For as long as the server lets it: be in ``room`` of the server at ``url``, as whom the token says."""
    dice = random.Random()  # noqa: S311
    mix = Mix(load_catalog(), dice)
    await asyncio.sleep(dice.uniform(0, 2))
    try:
        async with Client(url, token) as client:
            await client.join(room, lane="all" if dice.random() < 0.1 else "live")
            listening = asyncio.create_task(_listen(client, tally))
            try:
                while True:
                    await asyncio.sleep(dice.expovariate(1 / 4))
                    await _act(client, room, mix, purse, tally, dice)
            finally:
                listening.cancel()
    except (GiftingError, OSError, TimeoutError) as error:
        tally.count_error(error)


async def _listen(client: Client, tally: Tally) -> None:
    with suppress(GiftingError):
        async for _ in client.events():
            tally.deliveries += 1


async def _act(client: Client, room: str, mix: Mix, purse: Purse, tally: Tally, dice: random.Random) -> None:
    try:
        drawn = dice.random()
        if drawn < 0.25:
            await client.like(room, dice.randint(1, 15))
        elif drawn < 0.35:
            await client.comment(room, mix.comment())
        else:
            await _send(client, room, mix, purse, tally)
    except (GiftingError, OSError, TimeoutError) as error:
        tally.count_error(error)


async def _send(client: Client, room: str, mix: Mix, purse: Purse, tally: Tally) -> None:
    """A streak. Who runs out of coins in it buys, and goes on."""
    burst = mix.streak()
    for gap in burst.gaps:
        began = time.perf_counter()
        try:
            sent = await client.send_gift(room, burst.gift.id, confirm=_yes)
        except InsufficientCoins:
            await purse.fill(burst.gift.coins)
            continue
        tally.latency.add(int((time.perf_counter() - began) * 1e9))
        tally.gifts[room] += 1
        if not sent.get("pending"):
            tally.heard(room, began)
        await asyncio.sleep(gap)


async def _yes(error: ConfirmRequired) -> bool:
    """What is large is meant."""
    return True
