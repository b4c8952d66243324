"""Which pages of other origins may use the API and the client's files: those that may open a WebSocket."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHARED: Final = ("/v1/", "/static/", "/gifts/", "/openapi.json", "/asyncapi.json")
"""What the paths begin with that pages of other origins may read."""

MAX_AGE: Final = 600
"""Seconds for which a browser needs not ask again."""

_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Reason",
    "Access-Control-Max-Age": str(MAX_AGE),
}
_EXPOSED: Final = {"Access-Control-Expose-Headers": "Allow, Link, Retry-After, WWW-Authenticate"}


class Cors:
    """Says in the answers of ``app`` which ``origins`` may read them, and answers what browsers ask beforehand.

    A page has no credentials here but the token that it sends itself: no cookies, so none is allowed.
    """

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(SHARED):
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        origin = asked.get("origin", "")
        allowed = {"Access-Control-Allow-Origin": origin, **_EXPOSED} if origin in self._origins else {}
        told = {"Vary": "Origin", **allowed}  # caches must keep the answers to different origins apart
        if allowed and scope["method"] == "OPTIONS" and "access-control-request-method" in asked:
            await Response(status_code=204, headers=told | _PREFLIGHT)(scope, receive, send)
            return

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        await self._app(scope, receive, send_told)
