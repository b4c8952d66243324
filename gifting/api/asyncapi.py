"""The AsyncAPI 3 document of the WebSocket, generated from the structs of the wire."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from gifting.api.schema import Schema, components, error_codes, prose
from gifting.wire.codec import JSON, MSGPACK
from gifting.wire.messages import MESSAGES
from gifting.wire.replies import ON_SOCKET, REPLIES, Refusal, RoomEvents

CHANNEL: Final = {"$ref": "#/channels/socket"}


def document() -> dict[str, Any]:
    """As it is served at ``/asyncapi.json``."""
    said = _said()
    refs, schemas = components(said.values())
    schemas["Reason"]["properties"]["code"]["enum"] = error_codes()
    for schema in schemas.values():
        _drop_discriminators(schema)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "gifting",
            "version": "1",
            "description": "Gifts in live streams, over a WebSocket. docs/protocol.md says what they mean.",
        },
        "defaultContentType": "application/json",
        "servers": {"this": _server()},
        "channels": {"socket": _channel(said)},
        "operations": _operations(),
        "components": {
            "schemas": schemas,
            "messages": {name: _message(name, said[name], refs[said[name]]) for name in said},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _said() -> dict[str, type[Struct]]:
    """Every message on the socket, by name: an op, its reply, and what comes unasked."""
    replies = {reply_name(op): ON_SOCKET[reply] for op, reply in REPLIES.items()}
    return {**MESSAGES, **replies, "refusal": Refusal, "events": RoomEvents}


def reply_name(op: str) -> str:
    """The name of the message that answers an op."""
    return f"{op}_reply"


def _server() -> dict[str, Any]:
    return {
        "host": "{host}",
        "protocol": "wss",
        "variables": {"host": {"default": "localhost:8080", "description": "Where the server is."}},
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    }


def _channel(said: dict[str, type[Struct]]) -> dict[str, Any]:
    return {
        "address": "/v1/ws",
        "description": f"One map per message: JSON text as subprotocol {JSON.subprotocol}, msgpack as "
        f"{MSGPACK.subprotocol}, with the same fields.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in said},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }


def _operations() -> dict[str, Any]:
    """As the server does them: it receives each op, and sends events."""
    operations = {
        op: {
            "action": "receive",
            "channel": CHANNEL,
            "messages": [_of_channel(op)],
            "reply": {"channel": CHANNEL, "messages": [_of_channel(reply_name(op)), _of_channel("refusal")]},
        }
        for op in MESSAGES
    }
    return {**operations, "events": {"action": "send", "channel": CHANNEL, "messages": [_of_channel("events")]}}


def _of_channel(name: str) -> Schema:
    return {"$ref": f"#/channels/socket/messages/{name}"}


def _message(name: str, kind: type[Struct], payload: Schema) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "payload": payload}
    if kind.__doc__:
        made["description"] = prose(kind.__doc__)
    if name != "events":
        made["correlationId"] = {"location": f"$message.payload#/{'id' if name in MESSAGES else 're'}"}
    return made


def _drop_discriminators(value: Any) -> None:
    """AsyncAPI has no mapping of tags to schemas; each schema says its own tag."""
    if isinstance(value, dict):
        value.pop("discriminator", None)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _drop_discriminators(item)
