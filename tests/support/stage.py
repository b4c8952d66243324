"""A server of WebSockets and static files that does what a test tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

import gifting.web
from gifting import errors

STATIC = Path(gifting.web.__file__).parent / "static"
NOW_MS = 1_900_000_000_000
"""Years ahead of the browser's clock."""


class Stage:
    """A server that does what a test tells it, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seq = 0
        self.gap = False
        self.forget_replies = 0
        self.joins: list[dict[str, Any]] = []
        self.gifts: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.refusals: list[str] = []
        """The codes that gifts are refused with, in turn, the last for ever; none, and "": they are accepted."""
        self.status: dict[str, Any] = {}
        """What a question about a gift is answered with."""
        self.forget_questions = 0
        self.url = ""
        self._sockets: set[WebSocket] = set()

    def app(self) -> Starlette:
        files = Mount("/static", StaticFiles(directory=STATIC))
        return Starlette(routes=[files, WebSocketRoute("/v1/ws", self._serve)])

    async def frame(self, *seqs: int) -> None:
        """Send likes with these numbers to all who joined."""
        self.seq = max(self.seq, *seqs)
        events = [{"type": "like", "id": f"e{seq}", "seq": seq, "ts": NOW_MS, "count": 1} for seq in seqs]
        for ws in tuple(self._sockets):
            await ws.send_json({"room": "r1", "seq": self.seq, "events": events})

    async def tell_user(self, event: dict[str, Any]) -> None:
        """Send everybody what concerns the user."""
        for ws in tuple(self._sockets):
            await ws.send_json({"room": "", "seq": 0, "events": [event]})

    async def drop(self, code: int) -> None:
        for ws in tuple(self._sockets):
            await ws.close(code)

    async def _serve(self, ws: WebSocket) -> None:
        await ws.accept("gifting.v1.json")
        try:
            while True:
                await self._answer(ws, await ws.receive_json())
        except WebSocketDisconnect:
            pass
        finally:
            self._sockets.discard(ws)

    async def _answer(self, ws: WebSocket, ask: dict[str, Any]) -> None:
        reply: dict[str, Any] = {"re": ask["id"], "ok": True, "ts": NOW_MS}
        if ask["op"] == "join":
            self.joins.append(ask)
            self._sockets.add(ws)
            reply |= {"room": {"seq": self.seq}, "gap": self.gap}
        elif ask["op"] == "send_gift":
            self.gifts.append(ask)
            if len(ask.get("message") or "") > 4096:
                await ws.close(1009)
                return
            if self.forget_replies:
                self.forget_replies -= 1
                await ws.close(1011)
                return
            if self.refusals:
                code = self.refusals.pop(0) if len(self.refusals) > 1 else self.refusals[0]
                reply |= {"ok": False, "error": _error(code)} if code else {}
        elif ask["op"] == "gift_status":
            self.asked.append(ask["key"])
            if self.forget_questions:
                self.forget_questions -= 1
                await ws.close(1011)
                return
            reply |= self.status
        await ws.send_json(reply)


def _error(code: str) -> dict[str, Any]:
    error = {"code": code, "message": "No.", "temporary": errors.by_code(code).temporary}
    return error | ({"until": NOW_MS, "confirm": "a token"} if code == "confirm_required" else {})
