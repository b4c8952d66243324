"""The cases 1 to 7 and 10 of the Autobahn test suite, by hand, against the real upgrade and connection and an echo.

The suite itself (autobahntestsuite, which needs Python 2.7) was run against ``tests/support/echo.py`` too; what it said
is in docs/protocol.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest
import pytest_asyncio

from tests.support.echo import echo_server, token
from tests.support.raw import BINARY, CLOSE, CONT, FIN, PING, PONG, TEXT, Raw, hang_up, masked

pytestmark = pytest.mark.asyncio(loop_scope="module")

MASK = b"\x12\xab\x00\xff"
CLOSE_1000 = (1000).to_bytes(2, "big")


class Case(NamedTuple):
    """What is sent, frame by frame; the frames that must come back; and the close code, if the server ends it."""

    number: str
    sent: list[bytes]
    expected: list[tuple[int, bytes]]
    code: int | None = None


def whole(opcode: int, payload: bytes) -> bytes:
    return masked(FIN | opcode, payload, MASK)


def part(opcode: int, payload: bytes) -> bytes:
    return masked(opcode, payload, MASK)


def echoes() -> Iterator[Case]:
    """1.*: sizes at every edge of the frame's header. 10.*: one large message in many fragments."""
    for kind, opcode, byte in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        for number, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
            yield Case(f"1.{kind}.{number}", [whole(opcode, byte * size)], [(opcode, byte * size)])
    text = b"*" * 65536
    pieces = [text[at : at + 1300] for at in range(0, len(text), 1300)]
    fragments = [part(TEXT, pieces[0]), *(part(CONT, piece) for piece in pieces[1:-1]), whole(CONT, pieces[-1])]
    yield Case("10.1.1", fragments, [(TEXT, text)])


def pings() -> Iterator[Case]:
    """2.*"""
    for number, payload in enumerate((b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125), 1):
        yield Case(f"2.{number}", [whole(PING, payload)], [(PONG, payload)])
    yield Case("2.5", [whole(PING, b"\xfe" * 126)], [], 1002)
    yield Case("2.7", [whole(PONG, b"")], [])
    yield Case("2.8", [whole(PONG, b"unsolicited")], [])
    yield Case("2.9", [whole(PONG, b"unsolicited"), whole(PING, b"p")], [(PONG, b"p")])
    many = [b"payload-%d" % number for number in range(10)]
    yield Case("2.10", [whole(PING, payload) for payload in many], [(PONG, payload) for payload in many])


def reserved() -> Iterator[Case]:
    """3.* reserved bits, 4.* reserved opcodes: what came before them is still answered, what comes after is not."""
    hello = whole(TEXT, b"Hello, world!")
    for bits in range(1, 8):
        opcode = (TEXT, BINARY, PING, CLOSE)[bits % 4]
        yield Case(
            f"3.{bits}", [hello, masked(FIN | bits << 4 | opcode, b"x"), hello], [(TEXT, b"Hello, world!")], 1002
        )
    for number, opcode in enumerate((3, 4, 5, 6, 7), 1):
        yield Case(f"4.1.{number}", [hello, whole(opcode, b""), hello], [(TEXT, b"Hello, world!")], 1002)
    for number, opcode in enumerate((11, 12, 13, 14, 15), 1):
        yield Case(f"4.2.{number}", [hello, whole(opcode, b""), hello], [(TEXT, b"Hello, world!")], 1002)


def fragments() -> Iterator[Case]:
    """5.*"""
    one, two, three = part(TEXT, b"fragment1"), part(CONT, b"fragment2"), whole(CONT, b"fragment3")
    yield Case("5.1", [part(PING, b"a"), whole(CONT, b"b")], [], 1002)
    yield Case("5.2", [part(PONG, b"a"), whole(CONT, b"b")], [], 1002)
    yield Case("5.3", [one, whole(CONT, b"fragment2")], [(TEXT, b"fragment1fragment2")])
    yield Case(
        "5.6", [one, whole(PING, b"p"), whole(CONT, b"fragment2")], [(PONG, b"p"), (TEXT, b"fragment1fragment2")]
    )
    yield Case("5.9", [whole(CONT, b"x"), whole(TEXT, b"Hello")], [], 1002)
    yield Case("5.12", [part(CONT, b"x"), whole(TEXT, b"Hello")], [], 1002)
    yield Case("5.15", [one, whole(CONT, b"2"), part(CONT, b"3")], [(TEXT, b"fragment12")], 1002)
    yield Case("5.16", [part(CONT, b"1"), part(TEXT, b"2"), whole(CONT, b"3")], [], 1002)
    yield Case("5.18", [one, whole(TEXT, b"fragment2")], [], 1002)
    interleaved = [one, two, whole(PING, b"1"), two, whole(PING, b"2"), three]
    text = (TEXT, b"fragment1fragment2fragment2fragment3")
    yield Case("5.19", interleaved, [(PONG, b"1"), (PONG, b"2"), text])
    yield Case("5.x", [part(BINARY, b""), part(CONT, b""), whole(CONT, b"")], [(BINARY, b"")])


GOOD_UTF8 = [
    b"",
    "Hello-µ@ßöäüàá-UTF-8!!".encode(),
    "κόσμε".encode(),
    *(
        chr(point).encode()
        for point in (0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0xFFFF, 0x10000, 0x10FFFF)
    ),
]
BAD_UTF8 = [
    *(
        b"\x80",
        b"\xbf",
        b"\x80\xbf",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xf5",
        b"\xff\xff",
    ),
    *(b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xce\xba\xe1\xbd", b"\xc3"),
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
]


def utf8() -> Iterator[Case]:
    """6.*: whole, and cut at every byte; what is wrong fails at the fragment that makes it so."""
    for number, text in enumerate(GOOD_UTF8):
        yield Case(f"6.good.{number}", [whole(TEXT, text)], [(TEXT, text)])
        pieces = [part(CONT, text[at : at + 1]) for at in range(len(text))]
        yield Case(f"6.good.{number}.cut", [part(TEXT, b""), *pieces, whole(CONT, b"")], [(TEXT, text)])
    for number, text in enumerate(BAD_UTF8):
        yield Case(f"6.bad.{number}", [whole(TEXT, text)], [], 1007)
        yield Case(f"6.bad.{number}.cut", [part(TEXT, text[:1]), whole(CONT, text[1:])], [], 1007)
        yield Case(f"6.binary.{number}", [whole(BINARY, text)], [(BINARY, text)])
    yield Case(
        "6.4.1",
        [part(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"), part(CONT, b"\xf4\x90\x80\x80")],
        [],
        1007,
    )


GOOD_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
BAD_CODES = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535]


def closes() -> Iterator[Case]:
    """7.*: the code comes back; after a close nothing is answered."""
    yield Case("7.1.1", [whole(TEXT, b"Hello"), whole(CLOSE, CLOSE_1000)], [(TEXT, b"Hello")], 1000)
    yield Case("7.1.2", [whole(CLOSE, CLOSE_1000), whole(CLOSE, CLOSE_1000)], [], 1000)
    yield Case("7.1.3", [whole(CLOSE, CLOSE_1000), whole(PING, b"x")], [], 1000)
    yield Case("7.1.4", [whole(CLOSE, CLOSE_1000), whole(TEXT, b"x")], [], 1000)
    yield Case("7.1.5", [part(TEXT, b"x"), whole(CLOSE, CLOSE_1000), whole(CONT, b"y")], [], 1000)
    yield Case("7.3.1", [whole(CLOSE, b"")], [], 0)
    yield Case("7.3.2", [whole(CLOSE, b"a")], [], 1002)
    yield Case("7.3.4", [whole(CLOSE, CLOSE_1000 + b"Hello World!")], [], 1000)
    yield Case("7.3.5", [whole(CLOSE, CLOSE_1000 + b"*" * 123)], [], 1000)
    yield Case("7.3.6", [whole(CLOSE, CLOSE_1000 + b"*" * 124)], [], 1002)
    yield Case("7.5.1", [whole(CLOSE, CLOSE_1000 + BAD_UTF8[-1])], [], 1007)
    for code in GOOD_CODES:
        yield Case(f"7.7.{code}", [whole(CLOSE, code.to_bytes(2, "big"))], [], code)
    for code in BAD_CODES:
        yield Case(f"7.9.{code}", [whole(CLOSE, code.to_bytes(2, "big"))], [], 1002)


AFTER_THE_END = {"7.1.2", "7.1.3", "7.1.4", "7.1.5"}
"""What is sent after both have said that they close may meet a socket that is closed."""

CASES = [*echoes(), *pings(), *reserved(), *fragments(), *utf8(), *closes()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    async with echo_server() as found:
        yield found
        await hang_up()


@pytest.mark.parametrize("step", [0, 1, 997], ids=["at once", "byte by byte", "in pieces"])
@pytest.mark.parametrize("case", CASES, ids=[case.number for case in CASES])
async def test_case(url: str, case: Case, step: int) -> None:
    """Sent at once, and in pieces that cut frames (Autobahn's "chops"); a ping at the end says that it is still up."""
    data = b"".join(case.sent)
    if step == 1 and (len(data) > 500 or case.number in AFTER_THE_END):
        step = 1009
    raw = await Raw.upgraded(url, token())
    for at in range(0, len(data), step or len(data)):
        raw.writer.write(data[at : at + (step or len(data))])
        if step:
            await asyncio.sleep(0)
    for expected in case.expected:
        assert await raw.frame() == expected
    if case.code is None:
        raw.writer.write(whole(PING, b"still here"))
        assert await raw.frame() == (PONG, b"still here")
    else:
        assert await raw.closed_with() == case.code
        assert await raw.read_all() == b""
