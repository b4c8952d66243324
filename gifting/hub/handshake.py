"""The upgrade: who may open a WebSocket, and what is answered to those who may not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from gifting.errors import BadMessage, BadOrigin, BadToken, GiftingError, NotFound
from gifting.wire.codec import CODECS, JSON, Codec

PATH = "/v1/ws"


class Hello(NamedTuple):
    """What a client asked for."""

    token: str
    codec: Codec
    subprotocol: str | None


def read_hello(request: Request, allowed_origins: frozenset[str]) -> Hello:
    """Check the request for an upgrade.

    Raises:
        NotFound: not our path.
        BadOrigin: a browser page of another site.
        BadMessage: none of the offered subprotocols is ours.
        BadToken: there is no token.
    """
    url = urlsplit(request.path)
    if url.path != PATH:
        raise NotFound(f"WebSockets are at {PATH}.")
    _check_origin(request.headers, allowed_origins)
    codec, subprotocol = _choose_codec(request.headers.get_all("Sec-WebSocket-Protocol"))
    return Hello(_find_token(request.headers, url.query), codec, subprotocol)


def _check_origin(headers: Headers, allowed: frozenset[str]) -> None:
    """A page of the server's own host may, and those the operator lists; what is no browser sends no Origin."""
    origins = headers.get_all("Origin")
    hosts = headers.get_all("Host")
    for origin in origins:
        if origin not in allowed and urlsplit(origin).netloc not in hosts:
            raise BadOrigin(f"Pages of {origin[:100]} may not connect.")


def _choose_codec(headers: Sequence[str]) -> tuple[Codec, str | None]:
    offered = [name.strip() for header in headers for name in header.split(",")]
    if not offered:
        return JSON, None
    for name in offered:
        if name in CODECS:
            return CODECS[name], name
    raise BadMessage(f"The subprotocols here are {' and '.join(CODECS)}.")


def _find_token(headers: Headers, query: str) -> str:
    for header in headers.get_all("Authorization"):
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
    tokens = parse_qs(query, max_num_fields=20).get("token")
    if not tokens:
        raise BadToken("There is no token.")
    return tokens[0]


def refuse(engine: ServerProtocol, error: GiftingError) -> Response:
    """An HTTP answer in place of the upgrade: problem+json (RFC 9457), as the API gives it."""
    response = engine.reject(error.status, "")
    body = msgspec.json.encode(problem(error))
    for name in ("Content-Type", "Content-Length"):
        del response.headers[name]
    response.headers["Content-Type"] = "application/problem+json"
    response.headers["Content-Length"] = str(len(body))
    return Response(response.status_code, response.reason_phrase, response.headers, body)


def problem(error: GiftingError) -> dict[str, object]:
    """An error as a problem document."""
    return {
        "type": f"urn:gifting:{error.code}",
        "title": error.help,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "temporary": error.temporary,
    }
