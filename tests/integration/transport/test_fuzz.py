"""Anything may come in: no traceback, a well-formed answer to all that is answered, and a server that stays ready.

A few thousand inputs in the normal run. The long one: ``FUZZ_INPUTS=200000 pytest -k fuzz``; a failure names
its seed and its inputs, and ``FUZZ_SEED`` brings them back.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import pytest

from gifting import errors
from gifting.transport.http import PIPELINE_MAX
from gifting.wire.close import CloseCode
from gifting.wire.messages import MAX_INT
from tests.support.engine import Engine
from tests.support.fuzz import Dice, masked
from tests.support.server import SECRET, Server

INPUTS = int(os.environ.get("FUZZ_INPUTS", "6000"))
SEED = os.environ.get("FUZZ_SEED") or os.urandom(4).hex()
SIDE_BY_SIDE = 4
ANSWER_WITHIN = 20.0
"""Seconds for what must be answered."""
PATIENCE = 0.3
"""Seconds for what need not be: a head that announces a body which never comes."""

SPEAKER = "eve"
"""Who has the sockets. No input names her: one may revoke all that a user has, which would end them."""

LOOSE: dict[str, Any] = {
    "message_rate": 1e9, "message_burst": 10**9, "byte_rate": 1e9, "byte_burst": 10**9, "user_connections": 10_000,
    "address_connections": 10_000, "like_rate": 1e9, "like_burst": 9_999, "comment_rate": 1e9, "comment_burst": 10**9,
    "member_rate": 1e6, "replay_rate": 1e9, "replay_burst": 10**9,
}  # fmt: skip
"""Limits that would hide what is behind them."""

CODES = {error.code for error in errors.all_errors()}
CLOSES = {*CloseCode, 1000, 1002, 1003, 1007, 1008, 1009, 3000, 4999, 999, 1001}

pytestmark = [pytest.mark.attack, pytest.mark.timeout(120 + INPUTS / 100), pytest.mark.slow]


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


async def read_answer(reader: asyncio.StreamReader, to_head: bool = False) -> Answer | None:
    """The next HTTP answer, checked; nothing where the connection ends before it. Raises for half of one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        assert not error.partial, error.partial
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    found = re.fullmatch(r"HTTP/1\.1 ([1-5]\d\d) [ -~]*", first)
    assert found, head
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in headers), head
    status = int(found[1])
    bodiless = to_head or status < 200 or status in (204, 304)
    body = b"" if bodiless else await _read_body(reader, headers)
    if body and "json" in headers.get("content-type", ""):
        said = json.loads(body)
        assert status < 400 or (said["code"] in CODES and said["status"] == status), body
    assert status < 500 or status == 505, (head, body)
    return Answer(status, headers, body)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers["content-length"]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readline() == b"\r\n"
    return body


async def read_messages(reader: asyncio.StreamReader, codec: str) -> AsyncIterator[dict[str, Any]]:
    """All messages of the server, checked, until it ends the connection."""
    while head := await reader.read(1):
        first, second = head[0], (await reader.readexactly(1))[0]
        assert first in (0x81, 0x82, 0x88, 0x89, 0x8A), first
        size = second if second < 126 else int.from_bytes(await reader.readexactly(2 if second == 126 else 8))
        payload = await reader.readexactly(size)
        if first in (0x81, 0x82):
            assert first == (0x81 if codec == "json" else 0x82)
            yield check(json.loads(payload) if codec == "json" else msgpack.unpackb(payload))
        elif first == 0x88:
            assert not payload or int.from_bytes(payload[:2]) in CLOSES, payload


def check(said: dict[str, Any]) -> dict[str, Any]:
    if "re" in said:
        assert said["re"] is None or type(said["re"]) is int, said
        assert said["ok"] is True or (said["ok"] is False and said["error"]["code"] in CODES), said
    else:
        may = {"totals", "epoch"} if Engine.cluster and said["room"] else {"totals"}
        assert {"room", "seq", "events"} <= set(said) <= {"room", "seq", "events"} | may, said
    return said


class Fuzz:
    """Sends chunks of one kind each; every chunk has dice of its own, named by the seed and its number."""

    def __init__(self, server: Server) -> None:
        self.server = server
        host, _, port = server.url.removeprefix("http://").partition(":")
        self._address = host, int(port)
        self._log = server.data_dir.parent / "server.log"
        self._read = 0
        self.done: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()

    async def run(self, inputs: int) -> None:
        numbers = self._numbers(inputs)
        async with asyncio.TaskGroup() as group:
            for _ in range(SIDE_BY_SIDE):
                group.create_task(self._work(numbers))

    def _numbers(self, inputs: int) -> Iterator[tuple[int, Callable[[Dice], Awaitable[list[bytes]]]]]:
        kinds = cycle((self.heads, self.tokens, self.bodies, self.json, self.msgpack, self.raw))
        for number, kind in enumerate(kinds):
            if self.done.total() >= inputs:
                return
            yield number, kind

    async def _work(self, numbers: Iterator[tuple[int, Callable[[Dice], Awaitable[list[bytes]]]]]) -> None:
        for number, kind in numbers:
            name, sent = kind.__name__, []
            try:
                sent = await kind(Dice(f"{SEED}/{number}"))
                self.done[name] += len(sent)
                self._check_log()
            except Exception as error:
                error.add_note(f"FUZZ_SEED={SEED}, chunk {number}: {name} {b' '.join(sent)[-3000:]!r}")
                raise

    def _check_log(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._read)
            said = file.read()
        self._read += len(said)
        assert b"Traceback" not in said, said.decode()
        assert b" ERROR " not in said, said.decode()
        assert self.server.process is not None
        assert self.server.process.returncode is None

    # HTTP.

    async def heads(self, dice: Dice) -> list[bytes]:
        sent = [dice.head(self.server.token("ann")) for _ in range(32)]
        await asyncio.gather(*map(self._head, sent))
        return sent

    async def _head(self, head: bytes) -> None:
        async with self._connect() as (reader, writer):
            writer.write(head)
            try:
                async with asyncio.timeout(PATIENCE):
                    while answer := await read_answer(reader):
                        self.seen[f"head {answer.status}"] += 1
                        if answer.status == 101:
                            break
            except (TimeoutError, ConnectionResetError):
                self.seen["head unanswered"] += 1

    async def tokens(self, dice: Dice) -> list[bytes]:
        return await self._requests([dice.request(dice.token(SECRET)) for _ in range(60)], "token")

    async def bodies(self, dice: Dice) -> list[bytes]:
        token = self.server.token("op", dice.choice(["operator", "creator", "viewer"]))
        return await self._requests([dice.request(token) for _ in range(60)], "body")

    async def _requests(self, requests: list[bytes], what: str) -> list[bytes]:
        """So many at once as may wait; where the server ends a connection the rest goes over another."""
        rest = requests
        while rest:
            async with self._connect() as (reader, writer), asyncio.timeout(ANSWER_WITHIN):
                window, answered = rest[:PIPELINE_MAX], 0
                writer.write(b"".join(window))
                for request in window:
                    answer = await read_answer(reader, to_head=request.startswith(b"HEAD"))
                    if answer is None:
                        break
                    self.seen[f"{what} {answer.status}"] += 1
                    answered += 1
            assert answered, rest[0]
            rest = rest[answered:]
        return requests

    # WebSockets.

    async def json(self, dice: Dice) -> list[bytes]:
        return await self._messages(dice, "json", [dice.json_message(number) for number in range(150)])

    async def msgpack(self, dice: Dice) -> list[bytes]:
        return await self._messages(dice, "msgpack", [dice.msgpack_message(number) for number in range(150)])

    async def _messages(self, dice: Dice, codec: str, sent: list[bytes]) -> list[bytes]:
        """As many replies as messages, whichever way these are cut into frames, and then no more."""
        opcode = 1 if codec == "json" else 2
        last = {"op": "ping", "id": MAX_INT}
        async with self._open(codec) as (reader, writer), asyncio.timeout(ANSWER_WITHIN):
            for data in sent:
                writer.write(dice.fragments(opcode, data) if dice.random() < 0.2 else masked(0x80 | opcode, data))
            messages = read_messages(reader, codec)
            await self._count(messages, codec, len(sent))
            writer.write(masked(0x80 | opcode, json.dumps(last).encode() if codec == "json" else msgpack.packb(last)))
            said = await anext(one async for one in messages if "re" in one)
            assert said["re"] == MAX_INT, said
        return sent

    async def _count(self, messages: AsyncIterator[dict[str, Any]], codec: str, expected: int) -> None:
        replies = 0
        async for said in messages:
            if "re" in said:
                replies += 1
                self.seen[f"{codec} {'ok' if said['ok'] else said['error']['code']}"] += 1
                if replies == expected:
                    return
        raise AssertionError(f"{replies} replies to {expected} messages")

    async def raw(self, dice: Dice) -> list[bytes]:
        codecs = ("json", "msgpack") * 16
        sent = [dice.raw_frames(codec) for codec in codecs]
        await asyncio.gather(*map(self._raw, codecs, sent))
        return sent

    async def _raw(self, codec: str, data: bytes) -> None:
        async with self._open(codec) as (reader, writer), asyncio.timeout(ANSWER_WITHIN):
            writer.write(data)
            writer.write_eof()
            with suppress(ConnectionResetError):
                async for _ in read_messages(reader, codec):
                    pass

    # Connections.

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[Streams]:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    @asynccontextmanager
    async def _open(self, codec: str) -> AsyncIterator[Streams]:
        """A WebSocket."""
        head = "GET /v1/ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        head += f"Sec-WebSocket-Protocol: gifting.v1.{codec}\r\nAuthorization: Bearer {self.server.token(SPEAKER)}\r\n"
        async with self._connect() as (reader, writer):
            writer.write(f"{head}\r\n".encode())
            answer = await read_answer(reader)
            assert answer is not None
            assert answer.status == 101, answer
            yield reader, writer


async def test_no_input_makes_a_traceback(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    async with Server(tmp_path / "data", redis_url, **LOOSE) as server:
        for room in ("f1", "f2", "h1"):
            await server.room(room)
        await server.operator.grant_each(["ann", "bob", SPEAKER], 10_000_000)
        fuzz = Fuzz(server)
        await fuzz.run(INPUTS)
        await server.operator.call("GET", "/readyz")
        print(f"FUZZ_SEED={SEED}", dict(fuzz.done), dict(sorted(fuzz.seen.items())))
        assert fuzz.done.total() >= INPUTS
        assert {"json ok", "msgpack ok", "token 200", "head 101", "head 400"} <= fuzz.seen.keys()
    assert (await server.audit())[0] == 0
