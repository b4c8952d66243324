"""WebSocket frames (RFC 6455): one for everybody on the way out, and the common case on the way in.

The way in is a fast lane beside websockets' own parser. A whole, unfragmented, masked data frame is taken here in one
step; everything else (control frames, fragments, violations) goes to the parser, which always sees whole frames and so
never is in the middle of one.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from websockets.speedups import apply_mask

_SHORT: Final = Struct("!BB").pack
_MEDIUM: Final = Struct("!BBH").pack
_LONG: Final = Struct("!BBQ").pack

FIN: Final = 0x80
CLOSE: Final = 0x8
PING: Final = 0x9


def frame(opcode: int, payload: bytes) -> bytes:
    """A final, unmasked frame: the same bytes for every reader."""
    size = len(payload)
    if size < 126:
        return _SHORT(FIN | opcode, size) + payload
    if size < 65536:
        return _MEDIUM(FIN | opcode, 126, size) + payload
    return _LONG(FIN | opcode, 127, size) + payload


INCOMPLETE: Final = (0, 0, 0)
MALFORMED: Final = (-1, -1, -1)


def measure(data: bytes, start: int) -> tuple[int, int, int]:
    """Where the client frame at ``start`` has its mask, its payload and its end.

    The end may lie past what has arrived. :data:`INCOMPLETE` while the header itself has not arrived, :data:`MALFORMED`
    where the size takes more bytes than it needs, or is none. A frame without a mask has ``mask == payload``.
    """
    if len(data) < start + 2:
        return INCOMPLETE
    second = data[start + 1]
    size = second & 0x7F
    mask = start + 2
    if size == 126:
        mask += 2
        if len(data) < mask:
            return INCOMPLETE
        size = data[start + 2] << 8 | data[start + 3]
        if size < 126:
            return MALFORMED
    elif size == 127:
        mask += 8
        if len(data) < mask:
            return INCOMPLETE
        size = int.from_bytes(data[start + 2 : mask], "big")
        if not 65536 <= size < 2**63:
            return MALFORMED
    payload = mask + 4 if second & 0x80 else mask
    return mask, payload, payload + size


def unmask(data: bytes, mask: int, payload: int, end: int) -> bytes:
    return apply_mask(data[payload:end], data[mask:payload])
