"""Pages and art: static files, served so that no page can run what a viewer typed."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import gifting.web
from gifting.errors import UnknownGift
from gifting.model.catalog import Catalog
from gifting.web.art import gift_svg

STATIC = Path(gifting.web.__file__).parent / "static"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' https: data:; connect-src 'self' ws: wss:; style-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page_routes(catalog: Catalog) -> list[BaseRoute]:
    async def art(request: Request) -> Response:
        try:
            gift = catalog[request.path_params["gift"]]
        except UnknownGift:
            raise HTTPException(404) from None
        return Response(gift_svg(gift), media_type="image/svg+xml", headers=HEADERS)

    return [
        Route("/overlay", _page("overlay/overlay.html"), methods=["GET"]),
        Route("/rooms/{room}", _page("room/room.html"), methods=["GET"]),
        Route("/gifts/{gift}.svg", art),
        Mount("/static", _WithHeaders(StaticFiles(directory=STATIC))),
    ]


def _page(name: str) -> ASGIApp:
    return _WithHeaders(FileResponse(STATIC / name))


class _WithHeaders:
    """An application whose replies carry :data:`HEADERS`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
