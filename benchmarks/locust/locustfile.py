"""Gifts to rooms full of viewers, from Locust, with this package's own client::

    GIFTING_SECRET=… locust -f benchmarks/locust/locustfile.py --headless -H http://127.0.0.1:8080 -u 60 -r 30 -t 20s

One user in six sends, a gift every 200 ms on average; the others watch. More ``--processes`` load more rooms.
Locust runs on gevent: each process has one event loop in a greenlet of its own, and all its users' clients run on that.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, TypeVar

from locust import User, between, constant, events, task

from gifting import Client
from gifting.client.admin import Admin
from gifting.errors import GiftingError
from gifting.wire.tokens import Role, issue

T = TypeVar("T")

DEFAULT_HOST = "http://127.0.0.1:8080"

GIFT = "petal"
COINS = 1_000_000
"""Coins that each sender is granted."""

TOKEN_TTL = 86400.0
"""Seconds."""

FAILURES = (GiftingError, OSError, TimeoutError)


class Stage:
    """What the users of one process share: the loop, and a room."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.run = f"{os.getpid()}-{int(time.time())}"
        self.room = f"locust-{self.run}"
        self._names = itertools.count()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.operator = Admin(url, self._token("locust", "operator"))
        self.wait(self.operator.open_room(self.room, f"host-{self.room}", "Locust"))

    def name(self) -> str:
        return f"locust-{self.run}-{next(self._names)}"

    def client(self, user: str) -> Client:
        return Client(self.url, self._token(user, "viewer"))

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Let other users run until it is done."""
        return self.start(work).result()

    def _token(self, user: str, role: Role) -> str:
        return issue(os.environ["GIFTING_SECRET"], user, role, now=time.time(), ttl=TOKEN_TTL)


_stages: list[Stage] = []
"""One while a test runs."""


@events.test_start.add_listener
def open_stage(environment: Any, **_: Any) -> None:
    _stages.append(Stage(environment.host or DEFAULT_HOST))


@events.test_stop.add_listener
def close_stage(**_: Any) -> None:
    """No room stays behind."""
    stage = _stages.pop()
    stage.wait(stage.operator.end_room(stage.room))


class RoomUser(User):
    """Somebody in the room, connected as long as Locust wants it."""

    abstract = True

    def on_start(self) -> None:
        self.stage = _stages[-1]
        self.user = self.stage.name()
        self.client = self.timed("connect", self.stage.client(self.user).__aenter__())
        self.timed("join", self.client.join(self.stage.room, lane="all"))
        self.listening = self.stage.start(self.listen())

    def on_stop(self) -> None:
        """Locust stops a user in the middle of a call: that ends first."""
        wait([self.calling])
        self.stage.wait(self.client.close())

    async def listen(self) -> None:
        async for event in self.client.events():
            if event["type"] == "gift" and event["count"]:
                self.tell("delivery", max(time.time() * 1000 - event["ts"], 0.0))

    def timed(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        """The outcome of a call, which Locust counts under ``name``; what it raises is counted as a failure."""
        started = time.perf_counter()
        self.calling = self.stage.start(work)
        try:
            outcome = self.calling.result()
        except FAILURES as error:
            self.tell(name, (time.perf_counter() - started) * 1000, error)
            raise
        self.tell(name, (time.perf_counter() - started) * 1000)
        return outcome

    def tell(self, name: str, ms: float, error: Exception | None = None) -> None:
        self.environment.events.request.fire(
            request_type="WS", name=name, response_time=ms, response_length=0, exception=error, context={}
        )


class Viewer(RoomUser):
    """Watches every event."""

    weight = 5
    wait_time = constant(1)

    @task
    def watch(self) -> None:
        if self.listening.done():
            self.tell("watch", 0.0, self.listening.exception())  # type: ignore[arg-type]


class Sender(RoomUser):
    """Sends a gift, waits, sends the next; in the end its wallet is lighter by exactly what was acknowledged."""

    weight = 1
    wait_time = between(0.1, 0.3)

    def on_start(self) -> None:
        super().on_start()
        self.acknowledged = 0
        self.stage.wait(self.stage.operator.grant(self.user, COINS, "locust"))

    @task
    def send_gift(self) -> None:
        with suppress(*FAILURES):
            self.timed("send_gift", self.send())

    async def send(self) -> None:
        await self.client.send_gift(self.stage.room, GIFT)
        self.acknowledged += 1

    def on_stop(self) -> None:
        super().on_stop()
        self.check_wallet()

    def check_wallet(self) -> None:
        left = self.stage.wait(self.stage.operator.wallet(self.user))["coins"]
        if left != COINS - self.acknowledged:
            told = f"{self.user}: {self.acknowledged} acknowledged, {COINS - left} charged"
            self.tell("books", 0.0, AssertionError(told))
