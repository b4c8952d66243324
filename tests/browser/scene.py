"""A room on a running server, and the tabs that watch it."""

from __future__ import annotations

from typing import Any

from gifting import Client
from gifting.errors import ConfirmRequired
from gifting.wire.tokens import Role
from tests.support.browser import Browser, Tab
from tests.support.server import Server

SENDERS = ("ann", "bob", "cleo", "dov", "eda")


async def yes(error: ConfirmRequired) -> bool:
    """Whatever has to be confirmed, is."""
    return True


class Scene:
    """A room on a running server; users are told by their names here, and are this room's own."""

    def __init__(self, server: Server, room: str = "r1") -> None:
        self.server = server
        self.room = room
        self.url = server.url
        self.operator = server.operator

    async def prepare(self) -> None:
        """Open the room, and give all of :data:`SENDERS` coins."""
        await self.server.room(self.room, self.user("host"))
        await self.operator.grant_each([self.user(name) for name in SENDERS], 1_000_000)

    def user(self, name: str) -> str:
        return f"{name}.{self.room}"

    def token(self, who: str, role: Role = "viewer", ttl: float = 1000, **claims: Any) -> str:
        return self.server.token(self.user(who), role, ttl, **{"name": who, **claims})

    def client(self, who: str, **claims: Any) -> Client:
        return Client(self.url, self.token(who, **claims))

    async def send(self, who: str, gift: str, count: int = 1, message: str | None = None, **claims: Any) -> None:
        async with self.client(who, **claims) as client:
            await client.send_gift(self.room, gift, count, message, confirm=yes)

    async def coins(self, name: str) -> int:
        return (await self.operator.wallets([self.user(name)]))[self.user(name)]

    def overlay_url(self, origin: str = "") -> str:
        token = self.token("host", "overlay", room=self.room)
        return f"{origin or self.url}/overlay#token={token}&debug"

    def room_url(self, name: str) -> str:
        return f"{self.url}/rooms/{self.room}#token={self.token(name)}"

    async def overlay(
        self, browser: Browser, url: str = "", width: int = 900, height: int = 640, **options: Any
    ) -> Tab:
        """An overlay that has joined the room."""
        tab = await browser.open(url or self.overlay_url(), width, height, **options)
        await tab.wait_for("document.querySelector('#status.joined')")
        return tab

    async def viewer(self, browser: Browser, name: str, width: int = 1280, height: int = 720, **options: Any) -> Tab:
        """A room page that has joined and knows the viewer's coins."""
        tab = await browser.open(self.room_url(name), width, height, **options)
        await tab.wait_for("document.querySelector('#live').textContent === 'live'")
        await tab.wait_for("document.querySelector('#balance').textContent")
        return tab
