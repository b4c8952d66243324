"""What a request brings, read and checked: who asks, path, query, body."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request

from gifting.api.access import authorize
from gifting.api.authentication import identify, pay
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.api.services import Services
from gifting.api.words import Text, Word
from gifting.errors import BadId, BadMessage, MessageTooLarge
from gifting.model.ids import (
    HELD_ID,
    ID,
    PERSON,
    REPORT_ID,
    SEQ,
    TOKEN_ID,
    valid_held_id,
    valid_id,
    valid_seq,
    valid_token_id,
)
from gifting.model.money import KEY
from gifting.model.statement import PERIOD
from gifting.wire.codec import UNDECODABLE, why
from gifting.wire.messages import MAX_INT

PROVIDER: Final = r"\A[a-z]{1,20}\Z"
CHECKOUT: Final = r"\Acs_[0-9a-f]{32}\Z"

REASON: Final = "X-Reason"
"""The header in which who acts may say why."""

REASON_PATTERN: Final = r"\A[ -~]{0,200}\Z"

PATH_IDS: Final[Mapping[str, Callable[[str], object]]] = {
    "room": valid_id,
    "user": valid_id,
    "creator": valid_id,
    "token_id": valid_token_id,
    "seq": valid_seq,
    "report": re.compile(REPORT_ID).match,
    "held": valid_held_id,
    "person": re.compile(PERSON).match,
    "order": re.compile(KEY).match,
    "payout": re.compile(KEY).match,
    "case": re.compile(KEY).match,
    "provider": re.compile(PROVIDER).match,
    "checkout": re.compile(CHECKOUT).match,
}
"""The path parameters that are ids, and what such an id looks like."""

PATH_PATTERNS: Final = {
    "room": ID,
    "user": ID,
    "creator": ID,
    "person": PERSON,
    "token_id": TOKEN_ID,
    "seq": SEQ,
    "report": REPORT_ID,
    "held": HELD_ID,
    "key": KEY,
    "order": KEY,
    "payout": KEY,
    "case": KEY,
    "provider": PROVIDER,
    "checkout": CHECKOUT,
    "period": PERIOD,
}
"""All path parameters, as the OpenAPI document says them."""


async def read_call(services: Services, endpoint: Endpoint, request: Request) -> Call:
    """The request, understood and allowed. Raises what it is refused for."""
    identity = identify(services.gateway, endpoint, request)
    path = read_path(request.path_params)
    asked = read_query(endpoint, request)
    query = {name: read_number(name, asked.get(name), usual, most) for name, usual, most in endpoint.query}
    pay(services.gateway, endpoint, identity, query)
    body = await read_body(request, endpoint, services.settings.message_max)
    words = {name: read_word(name, asked.get(name), known) for name, known in endpoint.words}
    base_url = (services.settings.public_url or str(request.base_url)).rstrip("/")
    call = Call(services, identity, path, query, words, body, base_url, request.headers)
    if endpoint.access is not None:
        await authorize(endpoint.access, call)
    return call


def read_path(parameters: Mapping[str, str]) -> dict[str, str]:
    """Raises BadId."""
    for name, value in parameters.items():
        if name in PATH_IDS and not PATH_IDS[name](value):
            raise BadId(f"{value[:40]!r} is no {name.removesuffix('_id')} id.")
    return dict(parameters)


def read_query(endpoint: Endpoint, request: Request) -> Mapping[str, str]:
    """What is asked for. Raises BadMessage for a name that is not known where some are: it would be a slip."""
    asked = request.query_params
    known = [*(name for name, _, _ in endpoint.query), *(name for name, _ in endpoint.words)]
    if known and (unknown := asked.keys() - set(known)):
        raise BadMessage(f"{min(unknown)[:20]!r} can't be asked for here; {' and '.join(known)} can.")
    return asked


def read_number(name: str, text: str | None, usual: int, most: int) -> int:
    """A whole-number query parameter. Raises BadMessage."""
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= most):
        raise BadMessage(f"{name} is {text[:20]!r}; it must be a whole number of at most {most}.")
    return int(text)


def read_word(name: str, text: str | None, known: Word) -> str:
    """A query parameter that is one of the ``known`` words, the first by default; any text where there are none.

    Raises:
        BadMessage: it is another; and what a text of another form is refused for.
    """
    if isinstance(known, Text):
        return known.read(name, text or "")
    if text is None:
        return known[0] if known else ""
    if known and text not in known:
        raise BadMessage(f"{name} is {text[:20]!r}; it must be {' or '.join(known)}.")
    return text


def read_reason(call: Call) -> str:
    """Why an act is done, by the header, else by the reason of the body or the query. Raises BadMessage."""
    said = call.headers.get(REASON, "")
    if not re.match(REASON_PATTERN, said):
        raise BadMessage(f"{REASON} is plain ASCII text of 200 characters at most.")
    return said or getattr(call.body, "reason", None) or call.words.get("reason", "")


async def read_body(request: Request, endpoint: Endpoint, usual: int) -> Any:
    """The body as the endpoint wants it, None if it wants none; ``usual`` is how many bytes a body may have.

    Raises:
        MessageTooLarge, BadMessage, and ClientDisconnect.
    """
    data, most = bytearray(), endpoint.raw or usual
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise MessageTooLarge(f"The body may have {most} bytes.")
    if endpoint.raw:
        return bytes(data)
    return None if endpoint.body is None else decode_body(bytes(data) or b"{}", endpoint.body)


def decode_body(data: bytes, kind: type) -> Any:
    """JSON as ``kind``, in which no name is said twice: of two amounts, nobody knows which was meant.

    Raises:
        BadMessage: anything else.
    """
    try:
        body = _decode(data, kind)
        json.loads(data, object_pairs_hook=_once, parse_int=len)
    except UNDECODABLE as error:
        raise BadMessage(f"{why(error)}.") from None
    return body


def _decode(data: bytes, kind: type) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        return msgspec.convert(_whole(msgspec.json.decode(data)), kind)


def _whole(value: Any) -> Any:
    """JSON in which 5.0 is 5, as JavaScript and JSON Schema say it is."""
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_INT else value


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise BadMessage("A name is there twice in one map.")
