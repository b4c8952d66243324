"""Pages and art: static files, served so that no page can run what a viewer typed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import gifting.web
from gifting.errors import UnknownGift
from gifting.rulebook import Rulebook
from gifting.transport.addresses import is_asked_from_here
from gifting.web.art import gift_svg
from gifting.web.front import ShortLink, front_page

STATIC = Path(gifting.web.__file__).parent / "static"

POLICY = (
    "default-src 'self'; img-src 'self' https: data:; connect-src 'self' ws: wss:; "
    "style-src {styles}; font-src {fonts}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY.format(styles="'self'", fonts="'self'"),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
OVERLAY_HEADERS = HEADERS | {
    # A browser source puts its owner's CSS into the page as a style element; that may bring fonts from elsewhere.
    "Content-Security-Policy": POLICY.format(styles="'self' 'unsafe-inline' https:", fonts="'self' https: data:"),
}
ART_HEADERS = HEADERS | {
    # Looked at again after an hour, but shown meanwhile, and for a month while the server is away.
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=2592000",
}


def page_routes(rulebook: Rulebook, links: Sequence[ShortLink] = ()) -> list[BaseRoute]:
    """``links`` are a demo's: whoever sits at this machine may follow them."""

    async def art(request: Request) -> Response:
        try:
            gift = rulebook.rules.catalog[request.path_params["gift"]]
        except UnknownGift:
            raise HTTPException(404) from None
        return Response(gift_svg(gift), media_type="image/svg+xml", headers=ART_HEADERS)

    return [
        Route("/", partial(_front, links), methods=["GET"]),
        *(Route(link.path, partial(_follow, link), methods=["GET"]) for link in links),
        Route("/overlay", _page("overlay/overlay.html", OVERLAY_HEADERS), methods=["GET"]),
        Route("/purchases", _page("purchases/purchases.html", HEADERS), methods=["GET"]),
        Route("/earnings", _page("earnings/earnings.html", HEADERS), methods=["GET"]),
        Route("/limits", _page("limits/limits.html", HEADERS), methods=["GET"]),
        Route("/rooms/{room}", _page("room/room.html", HEADERS), methods=["GET"]),
        Route("/checkout/{checkout}", _page("checkout/checkout.html", HEADERS), methods=["GET"]),
        Route("/gifts/{gift}.svg", art),
        Mount("/static", _WithHeaders(StaticFiles(directory=STATIC), HEADERS)),
    ]


async def _front(links: Sequence[ShortLink], request: Request) -> Response:
    shown = links if is_asked_from_here(request.client, request.headers.get("host", "")) else ()
    return Response(front_page(shown), media_type="text/html", headers=HEADERS)


async def _follow(link: ShortLink, request: Request) -> Response:
    if not is_asked_from_here(request.client, request.headers.get("host", "")):
        raise HTTPException(404)
    return Response(status_code=303, headers=HEADERS | {"Location": f"../{link.target()}", "Cache-Control": "no-store"})


def _page(name: str, headers: dict[str, str]) -> ASGIApp:
    return _WithHeaders(FileResponse(STATIC / name), headers)


class _WithHeaders:
    """An application whose replies carry ``headers``."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
