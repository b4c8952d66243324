"""The two codecs, msgpack and JSON: bytes in, checked message out; reply in, bytes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from gifting.errors import BadMessage, BadRequest, UnknownOp
from gifting.model.ids import ID
from gifting.model.text import PLAIN, PLAIN_MEANS
from gifting.wire.messages import OPS, AnyMessage

UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no message."""

TEXT: Final = 0x1
BINARY: Final = 0x2
"""Opcodes of WebSocket messages."""

_decode_msgpack: Final[Callable[[bytes], Any]] = msgspec.msgpack.Decoder().decode

_PATTERNS: Final = {f"`str` matching regex {ID!r}": "an id", f"`str` matching regex {PLAIN!r}": PLAIN_MEANS}


def why(error: Exception) -> str:
    """What was wrong with a value that could not be decoded, in words where the decoder shows a pattern."""
    text = str(error)
    for pattern, words in _PATTERNS.items():
        text = text.replace(pattern, words)
    return text


class Codec:
    """One encoding of the protocol.

    Args:
        name: ``msgpack`` or ``json``; the subprotocol is ``gifting.v1.`` and this.
        opcode: the WebSocket opcode of its messages.
        decode: bytes to :data:`AnyMessage`; raises :data:`UNDECODABLE`.
        decode_any: bytes to plain values; raises the same.
        encode: plain values to bytes.
    """

    def __init__(
        self,
        name: str,
        opcode: int,
        decode: Callable[[bytes], AnyMessage],
        decode_any: Callable[[bytes], Any],
        encode: Callable[[Any], bytes],
    ) -> None:
        self.name = name
        self.subprotocol = f"gifting.v1.{name}"
        self.opcode = opcode
        self.decode = decode
        self.decode_any = decode_any
        self.encode = encode

    def explain(self, data: bytes, error: Exception) -> tuple[int | None, BadRequest]:
        """Why ``data`` was no message: its id, where one can still be read, and the error to reply."""
        try:
            value = self.decode_any(data)
        except UNDECODABLE:
            return None, BadMessage(f"This is not {self.name}: {error}.")
        if not isinstance(value, dict):
            return None, BadMessage("A message is a map.")
        number = value.get("id")
        reply_to = number if type(number) is int and number >= 0 else None
        op = value.get("op")
        if isinstance(op, str) and op not in OPS:
            return reply_to, UnknownOp(f"There is no op {op[:40]!r}.")
        return reply_to, BadMessage(f"{why(error)}.")

    def transcode(self, payload: bytes, size: int) -> list[bytes]:
        """Room events in msgpack as this codec says them: one message, several where that would pass ``size`` bytes."""
        return [payload] if self.opcode == BINARY else list(self._fit(_decode_msgpack(payload), size))

    def _fit(self, message: dict[str, Any], size: int) -> Iterator[bytes]:
        """A message in as few parts as fit, or of a single event each. State events, which come last, have no seq."""
        data, events = self.encode(message), message["events"]
        if len(data) <= size or len(events) < 2:
            yield data
            return
        first, rest = events[: len(events) // 2], events[len(events) // 2 :]
        reached = next((event["seq"] for event in reversed(first) if "seq" in event), message["seq"])
        epoch = {name: message[name] for name in ("epoch",) if name in message}
        yield from self._fit({"room": message["room"], "seq": reached, "events": first, **epoch}, size)
        yield from self._fit(message | {"events": rest}, size)


MSGPACK = Codec(
    "msgpack",
    BINARY,
    msgspec.msgpack.Decoder(AnyMessage).decode,
    _decode_msgpack,
    msgspec.msgpack.Encoder().encode,
)
JSON = Codec(
    "json",
    TEXT,
    msgspec.json.Decoder(AnyMessage).decode,
    msgspec.json.Decoder().decode,
    msgspec.json.Encoder().encode,
)
CODECS: Final = {codec.subprotocol: codec for codec in (MSGPACK, JSON)}
