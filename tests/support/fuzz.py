"""What a fuzzed server is sent: heads, tokens, bodies, messages of both codecs and raw frames, all from one seed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import struct
import time
from typing import Any

import msgpack

from gifting.wire.messages import OPS
from tests.support.keys import new_key

ROOMS = ("f1", "f2")
USERS = ("ann", "bob", "op")
GIFTS = ("spark", "petal", "skateboard", "none")
STRINGS = (
    "", "f1", "f2", "spark", "petal", "ann", "all", "live", "a" * 65, "a" * 600, "\0", "\n", "\u202e", "\ud800",
    "\udfff\ud800", "ä", "👩\u200d👧", "%00", "../..", "\x85", "f1\n", "0x10", "1e3", "NaN", "{}", "\u2028", "x" * 3000,
)  # fmt: skip
NUMBERS = (
    0, 1, 2, 9_999, 10_000, -1, -0.0, 0.5, 1e308, float("inf"), float("-inf"), float("nan"), 2**31, 2**32, 2**53 - 1,
    2**53, 2**63, 2**64 - 1, -(2**63), 1_800_000_000_000, True, False, None,
)  # fmt: skip
HEADERS = (
    b"Host", b"Origin", b"Origin", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Expect",
    b"Sec-WebSocket-Key", b"Sec-WebSocket-Version", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions", b"Cookie",
    b"Authorization", b"X-Forwarded-For", b"X-Forwarded-Proto", b"", b"\xff", b"A B",
)  # fmt: skip
HEADER_VALUES = (
    b"", b"0", b"5", b"-1", b"chunked", b"http://[", b"http://[::1", b"http://[]:x", b"null", b"test", b"close",
    b"upgrade", b"gifting.v1.json", b"gifting.v1.msgpack, gifting.token.x", b"gifting.token.", b"100-continue",
    b"x" * 9000, b"permessage-deflate", b"Bearer", b"Basic x", b"\x00", b"\xff\xfe", b"http://\xc3\xa4", b",,,",
    b"websocket", b"8",
)  # fmt: skip
PATHS = (
    "/v1/rooms/{room}", "/v1/rooms/{room}/events?since={number}&limit={number}", "/v1/rooms/{room}/top?limit={number}",
    "/v1/rooms?limit={number}&cursor={number}", "/v1/rooms/{room}/gifts", "/v1/rooms/{room}/overlay-tokens",
    "/v1/rooms/{room}/overlay-tokens/{room}~x", "/v1/users/{user}/wallet", "/v1/users/{user}/grants",
    "/v1/users/{user}/gifts/{key}", "/v1/users/{user}/gifts/{number}", "/v1/rooms", "/v1/catalog", "/healthz",
    "/readyz", "/openapi.json", "/overlay", "/static/room/room.js", "/static/..%2f..", "/v1/tokens/revocations", "//",
    "/%", "/v1/rooms//", "/v1/ws", "/?{number}={number}",
)  # fmt: skip
FIELDS = ("id", "op", "room", "gift", "key", "count", "message", "text", "token", "since", "lane", "more", "", "re")
OPCODES = (0, 1, 2, 3, 7, 8, 9, 10, 11, 15)


class Dice(random.Random):
    """Chance, and the values it falls on."""

    def value(self, depth: int = 0) -> Any:
        """Anything at all."""
        kind = self.randrange(9 if depth < 3 else 6)
        if kind < 3:
            return self.choice(NUMBERS)
        if kind < 6:
            return self.choice(STRINGS)
        if kind == 6:
            return [self.value(depth + 1) for _ in range(self.randrange(4))]
        if kind == 7:
            return {self.choice(STRINGS): self.value(depth + 1) for _ in range(self.randrange(4))}
        return self.randbytes(self.randrange(20)).decode("latin-1")

    def mangled(self, data: bytes) -> bytes:
        """``data`` with some of its bytes changed, doubled or left out."""
        out = bytearray(data)
        for _ in range(self.randint(1, 4)):
            at = self.randrange(len(out) or 1)
            cut = slice(at, at + self.randrange(5))
            piece = bytes(out[cut])
            out[cut] = self.choice(
                [b"", self.randbytes(3), piece * 3, b'"', b"\\ud800", b"{", b"\xff", b"\0", b"-1", b"[" * 40]
            )
        return bytes(out)

    # Messages.

    def message(self, number: int) -> dict[str, Any]:
        """A message that is right, or nearly."""
        said: dict[str, Any] = {"op": self.choice(sorted(OPS)), "id": number}
        said |= {
            "room": self.choice(ROOMS),
            "gift": self.choice(GIFTS),
            "key": self.key(),
            "text": "hello",
            "token": "x",
        }
        for _ in range(self.choice([0, 0, 0, 1, 1, 2])):
            said[self.choice(FIELDS)] = self.value()
        for _ in range(self.choice([0, 0, 0, 1])):
            said.pop(self.choice(FIELDS), None)
        return said

    def key(self) -> str:
        made = self.choice([None, None, None, 0, 2**48 - 1, time.time_ns() // 1_000_000 - 700_000])
        return new_key(made)

    def json_message(self, number: int) -> bytes:
        said = self.message(number) if self.random() < 0.9 else self.value()
        data = json.dumps(said, ensure_ascii=self.random() < 0.5).encode(errors="surrogatepass")
        if self.random() < 0.15:
            data = self.mangled(data)
        # What is no UTF-8 ends a connection; that is for the raw frames.
        return data.decode(errors="replace").encode()[:4096] or b" "

    def msgpack_message(self, number: int) -> bytes:
        said = self.message(number) if self.random() < 0.9 else self.value()
        try:
            data: bytes = msgpack.packb(said, unicode_errors="surrogatepass", use_bin_type=self.random() < 0.8)
        except (OverflowError, ValueError):
            data = self.randbytes(self.randrange(1, 60))
        return (self.mangled(data) if self.random() < 0.2 else data)[:4096]

    # Frames.

    def fragments(self, opcode: int, data: bytes) -> bytes:
        """One message, in as many frames as it falls into, with control frames between them."""
        cuts = sorted(self.randrange(len(data) + 1) for _ in range(self.randrange(1, 5)))
        parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        out = b""
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            out += masked((0x80 if last else 0) | (opcode if place == 0 else 0), part)
            if not last and self.random() < 0.3:
                out += masked(0x80 | self.choice([9, 10]), self.randbytes(self.randrange(5)))
        return out

    def raw_frames(self, codec: str) -> bytes:
        """Frames that may break every rule of RFC 6455."""
        out = b""
        for _ in range(self.randint(1, 6)):
            data = self.json_message(1) if codec == "json" else self.msgpack_message(1)
            kind = self.randrange(6)
            if kind == 0:
                out += self.mangled(masked(0x81, data))
            elif kind == 1:
                out += self.fragments(self.choice(OPCODES), data)
            elif kind == 2:
                out += masked(self.randrange(256), data[: self.randrange(200)])
            elif kind == 3:
                out += bytes((0x80 | self.choice(OPCODES), self.choice([126, 127, 254, 255]))) + self.randbytes(
                    self.randrange(14)
                )
            elif kind == 4:
                out += masked(
                    0x88,
                    struct.pack(">H", self.choice([0, 999, 1000, 1001, 1005, 1006, 1015, 3000, 4999, 5000])) + data[:9],
                )
            else:
                out += masked(0x81 if codec == "json" else 0x82, self.randbytes(self.randrange(30)))
        return out

    # HTTP.

    def token(self, secret: str) -> str:
        """A token that is right, or has a wrong header or claims, rightly signed or not."""
        now = time.time()
        header: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}
        claims: dict[str, Any] = {
            "sub": self.choice(USERS),
            "role": self.choice(["viewer", "overlay", "creator", "operator"]),
        }
        claims |= {
            "jti": "f1~x",
            "iat": now,
            "exp": now + 1000,
            "room": self.choice(["", "f1", "f2"]),
            "name": "A",
            "level": 1,
        }
        for _ in range(self.choice([0, 1, 1, 2])):
            claims[self.choice([*claims, "nbf", "aud", "iss", "picture"])] = self.value()
        if self.random() < 0.2:
            header[self.choice(["alg", "typ", "kid", "crit", "b64", "jku"])] = self.choice(
                ["none", "HS384", "RS256", "", ["b64"], False, self.value()]
            )
        head, body = (
            _base64(json.dumps(part).encode()) for part in (header, claims if self.random() < 0.95 else self.value())
        )
        signature = _base64(hmac.digest(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256))
        made = f"{head}.{body}.{signature}".encode()
        return "".join(chr(byte) for byte in (self.mangled(made) if self.random() < 0.3 else made) if 33 <= byte < 127)[
            :5000
        ]

    def path(self) -> str:
        return self.choice(PATHS).format(
            room=self.choice(["h1", "h2", "f1", "%0A", "x" * 70, "%FF", "a%2Fb"]),
            user=self.choice([*USERS, "%00", "x" * 300]),
            number=self.choice(["0", "1", "-1", "", "x", "1e3", str(2**53), "%31", "9" * 400]),
            key=self.key(),
        )

    def body(self) -> bytes:
        said: dict[str, Any] = {
            "room": self.choice(["h1", "h2", "h3"]),
            "host": self.choice(USERS),
            "title": "T",
            "ttl": 100,
        }
        said |= {"gift": self.choice(GIFTS), "key": self.key(), "coins": 1, "reason": "x", "count": 1}
        for _ in range(self.choice([0, 1, 1, 2])):
            said[self.choice([*said, "message", "host_name", "user", "token_id"])] = self.value()
        data = json.dumps(said if self.random() < 0.9 else self.value()).encode()
        return self.mangled(data) if self.random() < 0.3 else data

    def request(self, token: str) -> bytes:
        """A whole request that HTTP has nothing against; what it asks for is another matter."""
        method = self.choice(["GET"] * 6 + ["POST"] * 6 + ["DELETE", "HEAD", "PUT", "OPTIONS", "PATCH"])
        body = self.body() if method in ("POST", "PUT", "PATCH") else b""
        head = f"{method} {self.path()} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {token}"
        return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def head(self, token: str) -> bytes:
        """A head that HTTP may well have something against, for the API or for an upgrade."""
        lines = [b"Host: test", b"Authorization: Bearer " + token.encode(), b"Connection: close"]
        target = b"/v1/catalog"
        if self.random() < 0.5:
            target = b"/v1/ws"
            lines[2:] = [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"]
            lines.append(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        for _ in range(self.choice([0, 1, 1, 2])):
            at = self.randrange(len(lines) + 1)
            lines[at : at + self.choice([0, 0, 1])] = [self.line()]
        if self.random() < 0.3:
            lines[self.randrange(len(lines))] = self.mangled(self.choice(lines))
        if self.random() < 0.3:
            target += b"?" + b"&".join(b"token=%d" % number for number in range(self.choice([1, 19, 21, 400])))
        first = b"GET " + target + self.choice([b" HTTP/1.1"] * 6 + [b" HTTP/1.0", b" HTTP/2.0", b"", b" HTTP/1.1 x"])
        whole = b"\r\n".join([self.mangled(first) if self.random() < 0.1 else first, *lines])
        return whole.replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n"

    def line(self) -> bytes:
        return self.choice(HEADERS) + b": " + self.choice(HEADER_VALUES)


def masked(first: int, payload: bytes) -> bytes:
    """A client's frame whose first byte is ``first``, masked with zeros."""
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size, 0, 0, 0, 0)) + payload
    return bytes((first, 0xFE)) + size.to_bytes(2, "big") + b"\0\0\0\0" + payload


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
