"""Attacks by strangers: no token, only sockets. Heads and bodies without end, silence, too many, and nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio

from gifting.transport import http
from tests.support.raw import FIN, PING, PONG, Raw, hang_up, head, masked, says
from tests.support.server import Server
from tests.support.upgrade import HEADERS, request

pytestmark = [pytest.mark.attack, pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PATIENCE = 2.0
"""Seconds that a head may take: more than a busy machine takes to go on with what is sent at once."""

SOON = 8.0
"""Seconds within which what does not come is given up, on a busy machine too: in less than the usual patience."""

UNHURRIED = 60
"""Seconds for sockets that are to stay silent as long as the test goes on."""

HEAD_MAX = 16_384


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("attack") / "data"
    async with Server(folder, head_timeout=PATIENCE, drain_timeout=1) as running:
        await running.room("r1")
        yield running
    assert "Traceback" not in (folder.parent / "server.log").read_text()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_connection_is_left() -> AsyncIterator[None]:
    yield
    await hang_up()


@contextlib.contextmanager
def cheap(server: Server, cpu: float, memory: int) -> Iterator[None]:
    """What is done meanwhile costs the server at most so many CPU-seconds and bytes."""
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    used, had = sum(process.cpu_times()[:2]), process.memory_info().rss
    yield
    assert sum(process.cpu_times()[:2]) - used < cpu
    assert process.memory_info().rss - had < memory


async def send_without_end(raw: Raw, start: bytes, more: bytes, most: int) -> bytes:
    """Up to ``most`` bytes; the answer."""
    raw.writer.write(start)
    with contextlib.suppress(ConnectionError):
        for _ in range(most // len(more)):
            raw.writer.write(more)
            await raw.writer.drain()
    return await raw.read_all()


ENDLESS = {
    "an address": (b"GET /", b"a" * 65536, b"431"),
    "a header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"a" * 65536, b"431"),
    "headers": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n" * 10000, b"431"),
    "an upgrade": (request(*HEADERS)[:-2], b"X: y\r\n" * 10000, b"431"),
    "empty lines": (b"\r\n", b"\r\n" * 30000, b"431"),
    "a body": (b"POST /v1/rooms HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n", b"a" * 65536, b"4"),
    "chunks": (
        b"POST /v1/rooms HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\na\r\n" * 10000,
        b"4",
    ),
}


@pytest.mark.parametrize(("start", "more", "status"), ENDLESS.values(), ids=ENDLESS)
async def test_what_never_ends_is_cut_off(server: Server, start: bytes, more: bytes, status: bytes) -> None:
    """300 MiB of a header cost two CPU-minutes and half a gigabyte."""
    with cheap(server, 0.5, 8 << 20):
        answer = await send_without_end(await Raw.dial(server), start, more, 20 << 20)
    assert not answer or answer.startswith(b"HTTP/1.1 " + status), answer


@pytest.mark.parametrize("size", [HEAD_MAX + 1, 3 * HEAD_MAX])
@pytest.mark.parametrize("step", [1 << 20, 1000])
async def test_one_byte_too_many_is_told(server: Server, size: int, step: int) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: "
    whole = start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"
    raw = await Raw.dial(server)
    for at in range(0, len(whole), step):
        raw.writer.write(whole[at : at + step])
    answer = await raw.read_all()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"head_too_large" in answer


SLOW = {
    "nothing": (b"", b""),
    "half an address": (b"GET /v1/w", b"408"),
    "half a head": (request(*HEADERS)[:-1], b"408"),
    "half a body": (b"POST /v1/rooms HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", b"4"),
    "half a chunk": (b"POST /v1/rooms HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", b"4"),
    "an empty line": (b"\r\n", b"408"),
}


async def test_what_is_not_sent_to_its_end_is_closed(server: Server) -> None:
    await asyncio.gather(*(be_slow(server, start, status) for start, status in SLOW.values()))


async def be_slow(server: Server, start: bytes, status: bytes) -> None:
    raw, began = await Raw.dial(server), time.monotonic()
    raw.writer.write(start)
    answer = await raw.read_all()
    assert answer.startswith(b"HTTP/1.1 " + status) if status else not answer
    assert time.monotonic() - began < SOON


async def test_a_drop_now_and_then_wins_no_time(server: Server) -> None:
    raw, began = await Raw.dial(server), time.monotonic()
    answer = asyncio.create_task(raw.read_all())
    for byte in request(*HEADERS):
        raw.writer.write(bytes((byte,)))
        await asyncio.wait([answer], timeout=0.1)
        if answer.done():
            break
    assert (await answer).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < SOON


async def test_a_second_request_has_a_deadline_too(server: Server) -> None:
    raw = await Raw.dial(server)
    raw.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"200" in await raw.read_head()
    raw.writer.write(b"GET /heal")
    assert b"HTTP/1.1 408 " in await raw.read_all()


async def test_many_requests_before_the_first_answer_are_refused(server: Server) -> None:
    raw = await Raw.dial(server)
    with cheap(server, 0.3, 8 << 20):
        answers = await send_without_end(raw, b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 1000, 1 << 20)
    assert answers.count(b"HTTP/1.1 200 ") <= http.PIPELINE_MAX + 1


BAD = {
    "a broken origin": (head("{token}", "Origin: http://["), b"403"),
    "a null origin": (head("{token}", "Origin: null"), b"403"),
    "two origins": (head("{token}", "Origin: http://a", "Origin: http://b"), b"400"),
    "no host": (head("{token}", host=""), b"400"),
    "an empty host": (head("{token}", host="Host: "), b"400"),
    "two hosts": (head("{token}", "Host: b"), b"400"),
    "HTTP/1.0": (head("{token}", first="GET /v1/ws HTTP/1.0"), b"400"),
    "a post": (head("{token}", first="POST /v1/ws HTTP/1.1"), b"400"),
    "a body": (head("{token}", "Content-Length: 3") + b"abc", b"400"),
    "many fields": (head("", first="GET /v1/ws?" + "a=1&" * 30 + " HTTP/1.1").replace(b"Bearer", b"Basic"), b"400"),
    "no such place": (head("{token}", first="GET /v2/ws HTTP/1.1"), b"404"),
    "no host, no upgrade": (b"GET /healthz HTTP/1.1\r\n\r\n", b"400"),
    "two hosts, no upgrade": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", b"400"),
    "no body after all": (
        b"GET /v1/catalog HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        b"400",
    ),
    "a tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", b"4"),
    "TLS": (bytes.fromhex("160301020001000001fc0303"), b"400"),
}


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize(("data", "status"), BAD.values(), ids=BAD)
async def test_a_bad_head_gets_an_answer(server: Server, data: bytes, status: bytes, cut: bool) -> None:
    data = data.replace(b"{token}", server.token("ann").encode())
    raw = await Raw.dial(server)
    if cut:  # the long way
        raw.writer.write(data[:-3])
        await asyncio.sleep(0.01)
        data = data[-3:]
    raw.writer.write(data)
    assert (await raw.read_all()).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("cut", [0, 30])
async def test_frames_right_behind_the_head_are_taken(server: Server, cut: int) -> None:
    raw = await Raw.dial(server)
    data = head(server.token("ann")) + masked(FIN | PING, b"hi") + says(op="ping", id=5)
    raw.writer.write(data[:cut])
    await raw.writer.drain()
    await asyncio.sleep(0.01 if cut else 0)
    raw.writer.write(data[cut:])
    assert b" 101 " in await raw.read_head()
    assert await raw.frame() == (PONG, b"hi")
    assert (await raw.reply(5))["ok"]


async def test_no_head_makes_a_traceback(server: Server) -> None:
    """What the log of the server holds is looked at when it has ended."""
    rng = random.Random(6)
    good = head(server.token("ann"), "Origin: http://a", "Sec-WebSocket-Protocol: gifting.v1.json")
    connections = []
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 3)] = rng.choice(
                (b"", b"\r\n", b"[", b"\xff", b"%", b":", bytes((rng.randrange(256),)))
            )
        raw = await Raw.dial(server)
        raw.writer.write(bytes(data) + b"\r\n\r\n")
        connections.append(raw)
    for raw in connections:
        answer = await asyncio.wait_for(raw.read_some(), 10)
        assert answer.startswith(b"HTTP/1.1 ")
        raw.end()


# How many.


async def test_sockets_are_counted_and_those_beyond_the_cap_are_told(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", connections=30, head_timeout=UNHURRIED, drain_timeout=1) as server:
        sockets = [await Raw.dial(server) for _ in range(30)]
        await asyncio.sleep(0.1)
        late = await Raw.dial(server)
        late.writer.write(head(server.token("ann")))
        answer = await late.read_all()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"server_full" in answer
        await many(server, 100)  # none of whom hang
        sockets.pop().end()
        await until_served(server)
        await until_logged(tmp_path, "turned away")
        await hang_up()


async def many(server: Server, count: int) -> None:
    """That many more at once, all of whom are told or closed."""
    for raw in [await Raw.dial(server) for _ in range(count)]:
        raw.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await raw.read_all()
        assert not answer or answer.startswith(b"HTTP/1.1 503 ")
        raw.end()


async def until_logged(folder: Path, text: str) -> None:
    async with asyncio.timeout(10):
        while text not in (folder / "server.log").read_text():
            await asyncio.sleep(0.05)


async def until_served(server: Server) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(10):
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(f"{server.url}/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def test_an_address_has_a_cap_of_its_own(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"address_connections": 5, "forwarded_allow_ips": "10.0.0.0/8", "drain_timeout": 1}
    async with Server(tmp_path / "data", **settings) as server:
        viewers = [await Raw.upgraded(server, server.token(f"user{number}")) for number in range(5)]
        late = await Raw.dial(server)
        late.writer.write(head(server.token("ann")))
        assert (await late.read_all()).startswith(b"HTTP/1.1 429 ")
        viewers.pop().end()
        await until_served(server)
        await hang_up()


async def test_few_files_mean_few_sockets_and_a_clear_answer(tmp_path: Path) -> None:
    """At ``ulimit -n 300`` new clients hung, and no line said why."""
    async with Server(tmp_path / "data", files=300, head_timeout=UNHURRIED, drain_timeout=1) as server:
        log = (tmp_path / "server.log").read_text()
        assert "for the limit of open files is 300" in log
        for _ in range(250):
            await Raw.dial(server)
        await asyncio.sleep(0.2)
        await many(server, 50)
        await hang_up()
        await until_served(server)


async def test_an_accept_that_fails_is_told_and_got_over(tmp_path: Path) -> None:
    """Somebody else's leak: there are no files left, though the cap is far."""
    async with Server(tmp_path / "data", head_timeout=5, drain_timeout=1) as server, httpx.AsyncClient() as client:
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        assert (await client.get(f"{server.url}/readyz")).status_code == 200  # on a connection that stays
        _, hard = process.rlimit(psutil.RLIMIT_NOFILE)
        process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds(), hard))
        for _ in range(5):
            await Raw.dial(server)
        async with asyncio.timeout(10):
            while (answer := await client.get(f"{server.url}/readyz")).status_code == 200:
                await asyncio.sleep(0.05)
        assert "sockets" in answer.text
        process.rlimit(psutil.RLIMIT_NOFILE, (hard, hard))
        await hang_up()
        async with asyncio.timeout(10):
            while (answer := await client.get(f"{server.url}/readyz")).status_code != 200:
                await asyncio.sleep(0.05)
        await until_served(server)
    assert "EMFILE" in (tmp_path / "server.log").read_text()


async def test_a_server_has_as_many_files_as_it_may(server: Server) -> None:
    assert server.process is not None
    soft, hard = psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_NOFILE)
    assert soft == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
