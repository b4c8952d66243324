"""The upgrade: who may open a WebSocket, and what is answered to those who may and those who may not. Pure.

The usual request, whole and plain, is read in one step by :func:`read_upgrade`. Whatever is odd about one is left to a
parser of HTTP, and :func:`parse_upgrade` then says what is wrong with it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from hashlib import sha1
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Response

from gifting.errors import BadMessage, BadOrigin, BadToken, GiftingError, NotFound, UpgradeRequired
from gifting.wire.codec import CODECS, JSON, Codec
from gifting.wire.replies import problem

PATH = "/v1/ws"

QUERY_FIELDS_MAX = 20

TOKEN_PREFIX = "gifting.token."  # noqa: S105
"""Begins the subprotocol by which a browser, which can't set headers, sends its token. It is never selected."""


class HandshakeRequest(NamedTuple):
    """What a client asked for. ``in_url`` says that its token was in the address."""

    token: str
    in_url: bool
    codec: Codec
    subprotocol: str | None


class Upgrade(NamedTuple):
    """A valid request for an upgrade. ``headers`` have lower-case names; ``rest`` is what came behind the head."""

    target: str
    headers: dict[str, str]
    rest: bytes

    @property
    def key(self) -> str:
        return self.headers["sec-websocket-key"]


_START = f"GET {PATH}".encode()
_FIRST = re.compile(r"GET ([!-~]++) HTTP/1\.1(?=\r\n)")
_HEADER = re.compile("\r\n([0-9A-Za-z][0-9A-Za-z-]*+):([ -~\xa1-\xac\xae-\xff]*+)(?=\r\n)")
_BODY = frozenset({"content-length", "transfer-encoding"})
_SINGLE = frozenset({"host", "origin", "authorization", "sec-websocket-key", "sec-websocket-version"})
"""Headers that may be there once only; the values of others are joined by commas."""


def read_upgrade(data: bytes, head_max: int) -> Upgrade | None:
    """The request, if ``data`` begins with a whole, plain and valid one for an upgrade (RFC 6455, section 4.2.1)."""
    end = data.find(b"\r\n\r\n", 0, head_max) if data.startswith(_START) else -1
    if end < 0:
        return None
    head = data[: end + 2].decode("latin-1")
    first = _FIRST.match(head)
    headers: dict[str, str] = {name.lower(): value.strip() for name, value in _HEADER.findall(head)}
    plain = len(headers) == head.count("\n") - 1 and _BODY.isdisjoint(headers) and _asks(headers)
    return Upgrade(first[1], headers, data[end + 4 :]) if first is not None and plain else None


def _asks(headers: dict[str, str]) -> bool:
    """Whether the headers ask for a WebSocket, in every point."""
    try:
        options = headers["connection"].lower()
        asked = headers["upgrade"].lower() == "websocket" and headers["sec-websocket-version"] == "13"
        upgrade = options == "upgrade" or "upgrade" in map(str.strip, options.split(","))
        return asked and upgrade and bool(headers["host"]) and _is_key(headers["sec-websocket-key"])
    except KeyError:
        return False


def _is_key(text: str) -> bool:
    try:
        return len(binascii.a2b_base64(text, strict_mode=True)) == 16
    except ValueError:
        return False


def parse_upgrade(
    method: str, target: str, version: str, headers: Iterable[tuple[str, str]], rest: bytes = b""
) -> Upgrade:
    """The request that a parser has read, if it is a valid one for an upgrade. ``headers`` have lower-case names.

    Raises:
        BadMessage: it is none, or contradicts itself.
        UpgradeRequired: it asks for another version.
    """
    if method != "GET" or version != "1.1":
        raise BadMessage("A WebSocket is asked for by GET, in HTTP/1.1.")
    found: dict[str, str] = {}
    for name, value in headers:
        if name in found and name in _SINGLE:
            raise BadMessage(f"The header {name[:40]} is there more than once.")
        found[name] = f"{found[name]}, {value}" if name in found else value.strip(" \t")
    if not _BODY.isdisjoint(found):
        raise BadMessage("A request for a WebSocket has no body.")
    if found.get("sec-websocket-version") != "13":
        raise UpgradeRequired("Sec-WebSocket-Version must be 13.")
    if not _is_key(found.get("sec-websocket-key", "")):
        raise BadMessage("Sec-WebSocket-Key must be 16 bytes in base64.")
    if not _asks(found):
        raise BadMessage("Host, Upgrade: websocket or Connection: Upgrade is missing.")
    return Upgrade(target, found, rest)


_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "


def accept(key: str, subprotocol: str | None) -> bytes:
    """The answer that makes the connection a WebSocket."""
    accepted = binascii.b2a_base64(sha1(key.encode() + _GUID).digest(), newline=False)  # noqa: S324  the RFC says so
    extra = b"\r\nSec-WebSocket-Protocol: " + subprotocol.encode() if subprotocol else b""
    return _ACCEPTED + accepted + extra + b"\r\n\r\n"


def read_request(upgrade: Upgrade, allowed_origins: frozenset[str]) -> HandshakeRequest:
    """Check who asks for an upgrade, and for what.

    Raises:
        NotFound: not our path.
        BadOrigin: a browser page of another site.
        BadMessage: none of the offered subprotocols is ours, or the query is none.
        BadToken: there is no token.
    """
    path, _, query = upgrade.target.partition("?")
    if path != PATH:
        raise NotFound(f"WebSockets are at {PATH}.")
    headers = upgrade.headers
    _check_origin(headers.get("origin"), headers["host"], allowed_origins)
    protocols = headers.get("sec-websocket-protocol")
    offered = [] if protocols is None else [name.strip() for name in protocols.split(",")]
    codec, subprotocol = _choose_codec(offered)
    token = _token_of_header(headers.get("authorization", "")) or _token_of_browser(offered)
    return HandshakeRequest(token or _token_of_url(query), not token, codec, subprotocol)


def _check_origin(origin: str | None, host: str, allowed: frozenset[str]) -> None:
    """A page of the server's own host may, and those the operator lists; what is no browser sends no Origin."""
    if origin is None or origin in allowed:
        return
    try:
        own = urlsplit(origin).netloc == host
    except ValueError:
        own = False
    if not own:
        raise BadOrigin(f"Pages of {origin[:100]!r} may not connect.")


def _choose_codec(offered: Sequence[str]) -> tuple[Codec, str | None]:
    if not offered:
        return JSON, None
    for name in offered:
        if name in CODECS:
            return CODECS[name], name
    raise BadMessage(f"The subprotocols here are {' and '.join(CODECS)}.")


def _token_of_header(value: str) -> str:
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _token_of_browser(offered: Sequence[str]) -> str:
    return next((name.removeprefix(TOKEN_PREFIX) for name in offered if name.startswith(TOKEN_PREFIX)), "")


def _token_of_url(query: str) -> str:
    try:
        tokens = parse_qs(query, max_num_fields=QUERY_FIELDS_MAX).get("token")
    except ValueError:
        raise BadMessage(f"The query may have {QUERY_FIELDS_MAX} fields.") from None
    if not tokens:
        raise BadToken("There is no token.")
    return tokens[0]


def refuse(error: GiftingError) -> bytes:
    """An HTTP answer in place of the upgrade, or of any request: problem+json (RFC 9457), as the API gives it."""
    status, body = HTTPStatus(error.status), msgspec.json.encode(problem(error))
    headers = Headers(
        {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
        }
    )
    if isinstance(error, UpgradeRequired):
        headers["Sec-WebSocket-Version"] = "13"
    return Response(status.value, status.phrase, headers, body).serialize()
