"""`gifting bench --soak --faults`: real faults on real parts; and proof that what they break would be noticed."""

from __future__ import annotations

import asyncio
import io
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gifting.bench.options import Audit
from gifting.bench.soak.floods import CONNECT_WITHIN_S, FLOODS, LASTS_S
from gifting.bench.soak.keys import accepted, compare
from gifting.bench.soak.options import SoakOptions
from gifting.bench.soak.proxy import Proxy
from gifting.bench.soak.render import render_soak
from gifting.bench.soak.run import run_soak
from gifting.ledger.entries import Credit, Debit, Entry
from gifting.load.lively import LivelySender, PendingGift, _is_open
from gifting.load.plan import SenderPlan, SenderReport, Target
from gifting.load.sender import Reply, SenderTally, _Error
from gifting.load.viewer import Viewer, ViewerTally
from gifting.wire.codec import BINARY, MSGPACK
from gifting.wire.framing import frame
from tests.support.children import children
from tests.support.server import SECRET, Server

SHORT = SoakOptions(seconds=24, senders=8, viewers=16, rooms=2, rate=50, faults=True)


@pytest.mark.timeout(400)  # a minute where others have most of the machine
async def test_a_short_soak_with_faults_loses_and_doubles_nothing() -> None:
    before = children()
    result = await run_soak(SHORT)
    assert result.audit.problems == []
    assert any("in the ledger once each, by key" in line for line in result.audit.checked)
    assert any("gifting audit" in line for line in result.audit.checked)
    assert result.gifts > 50
    assert sum(one.times for one in result.faults) >= 4
    assert all(one.longest_ms >= one.median_ms > 0 for one in result.faults)
    assert children() == before
    out = io.StringIO()
    render_soak(result, Console(file=out, width=160))
    assert result.faults[0].kind in out.getvalue()


@pytest.mark.attack
async def test_floods_end_by_themselves_and_the_server_goes_on(
    redis_url: str, redis_client: Any, tmp_path: Path
) -> None:
    async with Server(tmp_path / "data", redis_url) as server:
        await server.room("r")
        begun, target = time.monotonic(), Target.at(server.url, SECRET)
        await asyncio.gather(*(flood(target, "r") for flood in FLOODS.values()))
        assert time.monotonic() - begun < 4 * (LASTS_S + CONNECT_WITHIN_S)
        async with asyncio.timeout(10):
            assert (await server.operator.room("r"))["title"] == "A test"


@pytest.mark.attack
async def test_what_is_reset_behind_the_proxy_is_reset_before_it() -> None:
    """Else a node would wait for a reply of a Redis that is dead, and take the proxy for what is slow."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Proxy(f"http://127.0.0.1:{port}") as proxy, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.url.rpartition(":")[2])
        writer.write(b"x")
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


# The books by key.


def debit(key: bytes) -> Entry:
    return Debit(1, key, "ann", "r", "host", "spark", 1, 1)


def credit(key: bytes, seq: int) -> Entry:
    return Credit(1, key, "ann", "r", "host", seq, 1, 500, 500, 1)


KEY, OTHER = b"k" * 16, b"o" * 16
GOOD = [debit(KEY), credit(KEY, 7)]


@pytest.mark.attack
@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (GOOD, None),
        ([], "not debited once"),
        ([debit(KEY), debit(KEY), credit(KEY, 7)], "not debited once"),
        ([debit(KEY)], "not credited once"),
        ([*GOOD, credit(KEY, 8)], "not credited once"),
        ([debit(KEY), credit(KEY, 8)], "not credited once"),
        ([*GOOD, debit(OTHER), credit(OTHER, 8)], "its sender never told"),
    ],
)
def test_a_gift_that_is_not_there_once_is_noticed(entries: list[Entry], problem: str | None) -> None:
    audit = Audit()
    compare(audit, {KEY: ("r", 7)}, entries)
    assert audit.passed is (problem is None)
    assert problem is None or any(problem in line for line in audit.problems)


@pytest.mark.attack
def test_keys_and_seqs_belong_together() -> None:
    seqs = b"".join(seq.to_bytes(8, "little") for seq in (3, 4))
    report = SenderReport(
        gifts=[], accepted=2, unanswered=0, refused={}, late=0, unsent=0, spent={}, seqs={"r": seqs}, ack=[],
        discrepancies=0, complaints=[], keys={"r": KEY + OTHER},
    )  # fmt: skip
    assert list(accepted(report)) == [(KEY, ("r", 3)), (OTHER, ("r", 4))]


# A viewer that is sent away while it comes back.


class Fickle:
    """A server that agrees to every socket, and closes the first two at once with "come back"."""

    def __init__(self) -> None:
        self.agreed = 0
        self.served = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.agreed += 1
        close = bytes((0x88, 2)) + (4000).to_bytes(2, "big")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + (close if self.agreed <= 2 else b""))
        if self.agreed > 2:
            await reader.readexactly(6)  # the head of the join
            answer = MSGPACK.encode({"re": 1, "ok": True, "gap": False, "room": {"seq": 3}})
            writer.write(frame(BINARY, answer))
            await reader.read()
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()
        if self.agreed > 2:
            self.served.set()


@pytest.mark.attack
async def test_a_viewer_comes_back_once_however_often_it_is_sent_away() -> None:
    fickle = Fickle()
    server = await asyncio.start_server(fickle.serve, "127.0.0.1", 0)
    target = Target("127.0.0.1", server.sockets[0].getsockname()[1], SECRET)
    tally = ViewerTally("all")
    async with server, asyncio.timeout(10):
        viewer = Viewer(asyncio.get_running_loop(), tally, target=target, token="t", room="r", user="v")
        await viewer.come_back()
        assert viewer.last == 3
        assert fickle.agreed == 3
        assert viewer._task is None
        viewer.stop()
        await fickle.served.wait()
    assert tally.complaints.texts == []


# A sender.


class Torn(LivelySender):
    """Its connection is gone again at the first gift it asks for after it came back, the first time."""

    opened = 0

    async def open(self, target: Target, token: str, *, receive_buffer: int = 0) -> None:
        self.opened += 1
        self.is_open = True

    def write(self, data: bytes) -> None:
        if self.opened == 1:
            self.is_open = False
            self.lost(1006)


def torn() -> Torn:
    target = Target("127.0.0.1", 1, SECRET)
    plan = SenderPlan(
        target=target, first=0, count=1, rooms=["r"], gift="", price=0, in_flight=1, rate=1, sample=1, lively=True
    )
    return Torn(asyncio.get_running_loop(), SenderTally(plan), "p", "r", 1.0)


@pytest.mark.attack
async def test_a_lively_sender_that_is_lost_before_the_load_begins_comes_back_and_after_its_end_does_not() -> None:
    sender = torn()
    sender.lost(1006)
    assert sender._returning is not None
    await asyncio.wait_for(sender._returning, 10)
    assert sender.is_open
    sender._tally.close()
    returned = sender._returning
    sender.lost(1000)
    assert sender._returning is returned


@pytest.mark.attack
async def test_a_lively_sender_whose_connection_breaks_while_it_returns_comes_back_again() -> None:
    sender = torn()
    sender._gifts[1] = PendingGift({"key": "k"}, 1, 0)
    sender.lost(1006)
    assert sender._returning is not None
    await asyncio.wait_for(sender._returning, 10)
    assert (sender.opened, sender.is_open) == (2, True)


@pytest.mark.attack
def test_a_key_that_got_too_old_while_unanswered_is_looked_up() -> None:
    expired = Reply(ok=False, error=_Error("key_expired", temporary=False))
    fresh, asked_before = PendingGift({}, 1, 0, times_sent=1), PendingGift({}, 1, 0, times_sent=2)
    assert not _is_open(expired, fresh)  # refused at the first attempt: that is all there is to know
    assert _is_open(expired, asked_before)
    assert asked_before.in_doubt
    assert not _is_open(Reply(ok=True, state="accepted"), asked_before)
    assert not _is_open(Reply(ok=True, state="refused", error=_Error("key_expired", temporary=False)), asked_before)
    assert _is_open(Reply(ok=True, state="open"), asked_before)
    assert not asked_before.in_doubt
    assert _is_open(Reply(ok=False, error=_Error("ledger_unavailable", temporary=True)), fresh)
