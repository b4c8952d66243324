"""Attacks by who has a token: frames of every kind, faster than allowed, without end, or after the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import pytest_asyncio

from gifting.config import load
from gifting.hub.hub import Hub
from gifting.ledger.embedded import running_url
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.transport.connection import Connection
from gifting.transport.gateway import Gateway
from gifting.transport.handshake import Upgrade
from gifting.wire.close import CloseCode
from gifting.wire.frame_parser import FRAGMENTS_MAX
from gifting.wire.keyring import Keyring
from tests.support.raw import BINARY, CLOSE, CONT, FIN, KEY, PING, PONG, TEXT, Raw, gift, hang_up, masked, says
from tests.support.server import SECRET, Server

pytestmark = [pytest.mark.attack, pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

RATE, BURST = 50, 100


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("attack") / "data"
    settings: dict[str, Any] = {"message_rate": RATE, "message_burst": BURST, "flood_timeout": 1, "drain_timeout": 1}
    async with Server(folder, **settings) as running:
        await running.room("r1")
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def no_connection_is_left() -> AsyncIterator[None]:
    yield
    await hang_up()


_names = (f"user{number}" for number in itertools.count())


@pytest.fixture
def user() -> str:
    """One with an allowance that nobody has touched."""
    return next(_names)


async def pour(raw: Raw, data: bytes) -> None:
    """The same again and again, as fast as it is taken."""
    with contextlib.suppress(ConnectionError):
        while True:
            raw.writer.write(data)
            await raw.writer.drain()


@contextlib.asynccontextmanager
async def pouring(raw: Raw, data: bytes) -> AsyncIterator[None]:
    task = asyncio.create_task(pour(raw, data))
    try:
        yield
    finally:
        task.cancel()


FLOODS = {
    "pings": masked(FIN | PING) * 2000,
    "pongs": masked(FIN | PONG) * 2000,
    "messages": says(op="ping", id=1) * 500,
    "no messages": masked(FIN | TEXT, b"{") * 1000,
    "a frame in crumbs": masked(FIN | BINARY, b"x" * 4000),
}


@pytest.mark.parametrize("data", FLOODS.values(), ids=FLOODS)
async def test_a_flood_costs_what_is_allowed_and_others_do_not_notice(server: Server, user: str, data: bytes) -> None:
    flood, other = (
        await Raw.upgraded(server, server.token(user)),
        await Raw.upgraded(server, server.token(f"{user}-other")),
    )
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    async with pouring(flood, data):
        await asyncio.sleep(0.2)  # the burst
        used, memory, began = sum(process.cpu_times()[:2]), process.memory_info().rss, time.monotonic()
        for number in range(20):
            other.writer.write(says(op="ping", id=number))
            assert (await other.reply(number))["ok"]
            await asyncio.sleep(0.02)
        used, elapsed = sum(process.cpu_times()[:2]) - used, time.monotonic() - began
        assert process.memory_info().rss - memory < 8 << 20
    assert used < 0.25 * elapsed


@pytest.mark.parametrize("name", ["pings", "messages", "no messages"])
async def test_every_frame_is_counted(server: Server, user: str, name: str) -> None:
    """Each is answered once, so that the answers tell how many were taken: the burst at once, and then as time allows.

    Counted double, they would not be that many before the flood is ended.
    """
    flood = await Raw.upgraded(server, server.token(user))
    began, answers = time.monotonic(), 0
    async with pouring(flood, FLOODS[name]):
        while (await flood.frame())[0] != CLOSE:
            answers += 1
    allowed = BURST + RATE * (time.monotonic() - began)
    assert BURST - 1 <= answers <= allowed + 1, "one was for the connection"


async def test_who_persists_is_closed(server: Server, user: str) -> None:
    flood = await Raw.upgraded(server, server.token(user))
    async with pouring(flood, FLOODS["pings"]):
        assert await flood.closed_with() == CloseCode.TOO_FAST


async def test_who_sends_too_much_now_and_then_is_only_slowed(server: Server, user: str) -> None:
    raw = await Raw.upgraded(server, server.token(user))
    for burst in range(2):
        await asyncio.sleep(1.05 * burst)  # a rest
        raw.writer.write(b"".join(says(op="ping", id=200 * burst + number) for number in range(105 - 40 * burst)))
        assert (await raw.reply(200 * burst + 104 - 40 * burst))["ok"]


async def test_a_message_in_more_fragments_than_can_be_is_refused(server: Server, user: str) -> None:
    raw = await Raw.upgraded(server, server.token(user))
    raw.writer.write(masked(TEXT) + masked(CONT) * (FRAGMENTS_MAX - 1))
    assert await raw.closed_with() == 1009
    raw = await Raw.upgraded(server, server.token(f"{user}-other"))
    text = says(op="ping", id=7)[6:]
    raw.writer.write(masked(TEXT, text) + masked(CONT) * (FRAGMENTS_MAX - 2) + masked(FIN | CONT))
    assert (await raw.reply(7))["ok"]


@pytest.mark.parametrize(
    "data",
    [
        bytes((FIN | TEXT, 0xFE, 0, 5)) + b"\0\0\0\0" + b"hello",
        bytes((FIN | TEXT, 0xFF)) + (5).to_bytes(8, "big") + b"\0\0\0\0" + b"hello",
        bytes((FIN | TEXT, 0xFF)) + (200).to_bytes(8, "big") + b"\0\0\0\0",
        bytes((FIN | TEXT, 0xFF)) + (2**63).to_bytes(8, "big"),
        bytes((FIN | PONG, 0xFE, 0, 126)) + b"\0\0\0\0" + bytes(126),
        bytes((FIN | TEXT, 5)) + b"hello",
    ],
    ids=["16 bits for 5", "64 bits for 5", "64 bits for 200", "a negative size", "a long pong", "no mask"],
)
async def test_frames_that_the_rfc_forbids_are_refused(server: Server, user: str, data: bytes) -> None:
    raw = await Raw.upgraded(server, server.token(user))
    raw.writer.write(data)
    assert await raw.closed_with() == 1002
    assert await raw.read_all() == b""


async def test_a_size_that_is_only_claimed_costs_what_has_come(server: Server, user: str) -> None:
    """Else whoever claims a terabyte would be shut out for a year."""
    raw = await Raw.upgraded(server, server.token(user))
    raw.writer.write(bytes((FIN | TEXT, 0xFF)) + (1 << 40).to_bytes(8, "big") + b"\0\0\0\0")
    assert await raw.closed_with() == 1009
    again = await Raw.upgraded(server, server.token(user))
    again.writer.write(says(op="ping", id=1))
    assert (await again.reply(1))["ok"]


async def test_after_a_close_was_sent_nothing_is_executed(server: Server, user: str) -> None:
    """The server has said 4501; four gifts that come all the same are not for it any more."""
    await server.operator.grant_each([user], 1000)
    # A token ends with a second, so that one of a second may be over at once.
    raw = await Raw.upgraded(server, server.token(user, ttl=3))
    raw.writer.write(gift(1))
    assert (await raw.reply(1))["coins"] == 999
    assert await raw.closed_with() == CloseCode.TOKEN_EXPIRED
    raw.writer.write(b"".join(gift(number) for number in range(2, 6)))
    fragment = gift(6)[8:]
    raw.writer.write(masked(TEXT, fragment[:9]) + masked(FIN | CONT, fragment[9:]))
    raw.writer.write(masked(FIN | CLOSE, CloseCode.TOKEN_EXPIRED.to_bytes(2, "big")))
    assert await raw.read_all() == b""
    assert await server.operator.wallets([user]) == {user: 999}


class Sink(asyncio.Transport):
    """Takes what is written."""

    def write(self, data: Any) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def is_closing(self) -> bool:
        return False


async def test_what_waits_for_a_room_when_the_close_is_sent_is_not_executed(server: Server, user: str) -> None:
    """The commands came before the close, and the room that they need is found after it."""
    await server.operator.grant_each([user], 100)
    url = running_url(server.data_dir)
    assert url is not None
    ledger = Ledger(url, load(environ={}), load_catalog())
    await ledger.start()
    hub = Hub(ledger.rooms, load(environ={}), "another node")
    gateway = Gateway(ledger, hub, load(environ={}), Keyring([SECRET]))
    connection = Connection(gateway)
    connection.connection_made(Sink())
    headers = {"host": "a", "sec-websocket-key": KEY, "authorization": f"Bearer {server.token(user)}"}
    connection.open(Upgrade("/v1/ws", headers, b""))
    connection.data_received(gift(1) + says(op="comment", id=2, room="r1", text="x"))
    session = connection.session
    assert session is not None
    assert session.pending == 2
    connection.close(CloseCode.TOKEN_REVOKED)
    async with asyncio.timeout(10):
        while session.pending:
            await asyncio.sleep(0)
    await ledger.flush(10)
    assert (await ledger.wallets.read(user))[0] == 100
    connection.connection_lost(None)
    await gateway.stop()
    await hub.stop()
    await ledger.stop()


async def test_a_link_that_is_given_away_locks_nobody_out(server: Server, user: str) -> None:
    """As many sockets as one may have, all on one overlay's link: the host and another room's overlay still come in."""
    link = server.token("host", "overlay", room="r1")
    for _ in range(20):
        await Raw.upgraded(server, link)
    with pytest.raises(AssertionError, match="429"):
        await Raw.upgraded(server, link)
    for token in (server.token("host", "creator"), server.token("host", "overlay", room="r2")):
        raw = await Raw.upgraded(server, token)
        raw.writer.write(says(op="ping", id=1))
        assert (await raw.reply(1))["ok"]
