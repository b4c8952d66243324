"""The OpenAPI 3.1 document, generated from the endpoint table and its msgspec types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import fields

from gifting.api.endpoint import Endpoint
from gifting.api.endpoints import ENDPOINTS, NOUNS
from gifting.api.request import PATH_PATTERNS, REASON, REASON_PATTERN
from gifting.api.schema import Schema, components, ecma, error_codes
from gifting.api.sheet import MEDIA
from gifting.api.words import Text, Word
from gifting.wire.replies import Problem

_PARAMETER = re.compile(r"{(\w+)}")


def document(gifts: Iterable[str] = ()) -> dict[str, Any]:
    """As it is served at ``/openapi.json``, by a server whose catalog has these ``gifts``."""
    replies = [endpoint.reply for endpoint in ENDPOINTS]
    bodies = [endpoint.body for endpoint in ENDPOINTS if endpoint.body is not None]
    refs, schemas = components([*replies, *bodies, Problem])
    schemas["Problem"]["properties"]["code"]["enum"] = error_codes()
    if names := list(gifts):
        schemas["SendGiftBody"]["properties"]["gift"] = {"type": "string", "enum": names}
    paths: dict[str, dict[str, Any]] = {}
    for noun in NOUNS:
        for endpoint in noun.endpoints:
            paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(noun.name, endpoint, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gifting", "version": "1", "description": "Gifts in live streams, over HTTP."},
        "servers": [{"url": "."}],
        "tags": [{"name": noun.name, "description": noun.about} for noun in NOUNS],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(noun: str, endpoint: Endpoint, refs: dict[Any, Schema]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "tags": [noun],
        "summary": endpoint.summary,
        "description": _about(endpoint),
        "parameters": _parameters(endpoint),
        "responses": {
            str(endpoint.status): _content("Done", "application/json", refs[endpoint.reply]),
            "default": _content("Refused", "application/problem+json", refs[Problem]),
        },
        "security": [{"token": []}] if endpoint.access else [],
    }
    formats = dict(endpoint.words).get("format", ())
    for form in formats[1:] if isinstance(formats, tuple) else ():
        operation["responses"][str(endpoint.status)]["content"][MEDIA[form]] = {"schema": {"type": "string"}}
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": _is_needed(endpoint.body),
            "content": {"application/json": {"schema": refs[endpoint.body]}},
        }
    if endpoint.raw:
        operation["requestBody"] = {"required": True, "content": {"*/*": {"schema": {"type": "string"}}}}
    return operation


def _about(endpoint: Endpoint) -> str:
    """Who may, and what it costs them."""
    who = f"For {endpoint.access.who}." if endpoint.access else "For everybody, without a token."
    if not endpoint.cost:
        return f"{who} Costs nothing."
    page = f", and one more for each {endpoint.page} of `limit`" if endpoint.page else ""
    return f"{who} Costs {endpoint.cost:g} of the caller's messages{page}."


def _is_needed(body: type[Struct]) -> bool:
    """Whether a request may not do without: nothing is as good as a map without fields."""
    return hasattr(body, "SCHEMA") or any(field.required for field in fields(body))


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": ecma(PATH_PATTERNS[name])},
        }
        for name in _PARAMETER.findall(endpoint.path)
    ]
    query = [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "integer", "minimum": 0, "maximum": most, "default": default},
        }
        for name, default, most in endpoint.query
    ]
    words = [_word(name, known) for name, known in endpoint.words]
    return [*path, *query, *words, *([_REASON] if endpoint.act else [])]


_REASON: Final = {"name": REASON, "in": "header", "schema": {"type": "string", "pattern": ecma(REASON_PATTERN)}}


def _word(name: str, known: Word) -> dict[str, Any]:
    """A parameter of the query that is a text."""
    asked: dict[str, Any] = {"name": name, "in": "query", "schema": {"type": "string"}}
    if isinstance(known, Text):
        asked["schema"]["pattern"] = ecma(known.pattern)
        return asked | {"required": True} if known.needed else asked
    if known:
        asked["schema"] |= {"default": known[0], "enum": list(known)}
    return asked


def _content(description: str, media_type: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}
