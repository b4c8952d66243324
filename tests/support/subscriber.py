"""A subscriber that records what the hub writes to it."""

from __future__ import annotations

from typing import Any

from gifting.model.packing import unpack
from gifting.wire.close import CloseCode
from gifting.wire.codec import MSGPACK
from gifting.wire.framing import measure


class Socket:
    """Stands for a connection: records what is written, and is full when told."""

    def __init__(self) -> None:
        self.codec = MSGPACK
        self.payer = "viewer"
        self.paused = False
        self.closed: CloseCode | None = None
        self.events: list[dict[str, Any]] = []

    @property
    def can_take(self) -> bool:
        return not self.paused and self.closed is None

    def write_frame(self, data: bytes) -> None:
        _, start, end = measure(data, 0)
        self.events += unpack(data[start:end])["events"]

    def send_frames(self, data: bytes) -> None:
        self.write_frame(data)

    def close(self, code: CloseCode) -> None:
        self.closed = code

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.events if "seq" in event]
