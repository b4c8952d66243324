"""Attacks on the HTTP API by bodies, ids and leaving. No answer is a 500, no log has a traceback."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from gifting import errors
from gifting.client import Client
from tests.support.keys import new_key
from tests.support.raw_http import ask
from tests.support.server import Server

pytestmark = [pytest.mark.attack, pytest.mark.slow]

BAD_IDS = ("\n", "ann\n", "\x00", "ann\x00bob", "\u202enna", "x" * 300, "a b", "änn", "%", "'--", "")
BAD_TEXTS = ("two\nlines", "nul\x00", "\u202egnp.exe", "\u2066x", "\x1b[31m", "\x85", "\u2028", "\ud800")
FUZZED = 400


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    limits = {"message_rate": 10_000, "message_burst": 10_000}
    async with Server(tmp_path / "data", redis_url, **limits) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann"], 1000)
        yield running
        assert "Traceback" not in said(running)


def said(server: Server) -> str:
    """The server's log."""
    return (server.data_dir.parent / "server.log").read_text()


def grant(**changes: Any) -> dict[str, Any]:
    return {"coins": 5, "key": new_key(), "reason": "a test", **changes}


# Ids.


async def test_an_impossible_id_is_refused_and_nothing_is_granted(server: Server, redis_client: Any) -> None:
    before = await books(redis_client)
    for bad in BAD_IDS:
        await try_id(server, bad)
    assert await books(redis_client) == before


async def try_id(server: Server, bad: str) -> None:
    name = quote(bad.encode("utf-8", "surrogatepass"), safe="")
    for method, path, body in (
        ("POST", f"/v1/users/{name}/grants", grant()),
        ("GET", f"/v1/users/{name}/wallet", None),
        ("DELETE", f"/v1/rooms/{name}", None),
        ("GET", f"/v1/rooms/{name}/events", None),
        ("POST", f"/v1/rooms/{name}/overlay-tokens", {}),
        ("DELETE", f"/v1/rooms/r1/overlay-tokens/{name}", None),
        ("POST", "/v1/rooms", {"room": bad, "host": "host"}),
        ("POST", "/v1/rooms", {"room": "r9", "host": bad}),
    ):
        answer = await ask(server, method, path, json.dumps(body).encode() if body is not None else b"")
        refused = answer.status == 400 and answer.body["code"] in ("bad_id", "bad_message")
        assert refused or (bad == "" and answer.status in (307, 404)), (path, answer.status, answer.body)


async def books(redis_client: Any) -> dict[bytes, int]:
    """How many entries every key of money and rooms has."""
    kinds = (b":coins", b":directory", b":ledger", b":live")
    keys = [key async for key in redis_client.scan_iter() if key.endswith(kinds)]
    sizes = {b"hash": redis_client.hlen, b"stream": redis_client.xlen, b"zset": redis_client.zcard}
    return {key: await sizes[await redis_client.type(key)](key) for key in keys}


async def test_a_refused_id_says_what_ids_are(server: Server) -> None:
    answer = await ask(server, "GET", "/v1/users/a%0Ab/wallet")
    assert answer.body["code"] == "bad_id"
    assert "letters, digits" in answer.body["detail"]
    answer = await ask(server, "POST", "/v1/rooms", json.dumps({"room": "a b", "host": "host"}).encode())
    assert answer.body["detail"].startswith("Expected an id - at `$.room`.")


# What people write.


async def test_text_is_one_line_that_turns_nothing(server: Server) -> None:
    for bad in BAD_TEXTS:
        await try_text(server, bad)
    async with Client(server.url, server.token("ann")) as ann:
        for bad in BAD_TEXTS[:-1]:  # msgpack has no way to say a lone surrogate
            with pytest.raises(errors.BadMessage, match="one line"):
                await ann.send_gift("r1", "spark", message=bad)
            with pytest.raises(errors.BadMessage, match="one line"):
                await ann.comment("r1", bad)
    assert await server.operator.wallets(["ann"]) == {"ann": 1000}


async def try_text(server: Server, bad: str) -> None:
    body = json.dumps(grant(reason=bad)).encode()
    assert (await ask(server, "POST", "/v1/users/ann/grants", body)).status == 400
    for field in ("title", "host_name"):
        body = json.dumps({"room": "r9", "host": "host", field: bad}).encode()
        assert (await ask(server, "POST", "/v1/rooms", body)).status == 400
    body = json.dumps({"gift": "spark", "key": new_key(), "message": bad}).encode()
    assert (await ask(server, "POST", "/v1/rooms/r1/gifts", body, server.token("ann"))).status == 400


async def test_text_may_be_of_any_language(server: Server) -> None:
    async with Client(server.url, server.token("ann")) as ann:
        for text in ("Привет", "שלום \u200f!", "می\u200cخواهم", "👩\u200d👩\u200d👧 ❤\ufe0f", "日本語"):
            await ann.send_gift("r1", "spark", message=text)
            await ann.comment("r1", text)


# Bodies.

KEY = new_key()
BODIES = (
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff", b"{}\x00", b"{}{}",
    b'{"coins":5,"coins":900,"key":"%s","reason":"x"}' % KEY.encode(),
    b'{"coins":NaN,"key":"%s","reason":"x"}' % KEY.encode(),
    b'{"coins":1e3,"key":"%s","reason":"x"}' % KEY.encode() + b" ,",
    b'{"coins":true,"key":"%s","reason":"x"}' % KEY.encode(),
    b'{"coins":"5","key":"%s","reason":"x"}' % KEY.encode(),
    b'{"coins":5.5,"key":"%s","reason":"x"}' % KEY.encode(),
    b'{"coins":-5,"key":"%s","reason":"x"}' % KEY.encode(),
    b'{"coins":0,"key":"%s","reason":"x"}' % KEY.encode(),
    b'{"coins":9007199254740992,"key":"%s","reason":"x"}' % KEY.encode(),
    b'{"coins":1%s,"key":"%s","reason":"x"}' % (b"0" * 1000, KEY.encode()),
    b'{"coins":5,"key":5,"reason":"x"}',
    b'{"coins":5,"key":"%s"}' % KEY.encode(),
    b'{"coins":5,"key":"%s","reason":""}' % KEY.encode(),
    b'{"coins":5,"key":"%s","reason":["x"]}' % KEY.encode(),
    b'{"coins":5,"key":"%s","reason":"x","more":{"a":1,"a":2}}' % KEY.encode(),
    b'{"coins":5,"key":"%s","reason":"x","more":' % KEY.encode() + b"[" * 1500 + b"]" * 1500 + b"}",
    b"[" * 4000,
)  # fmt: skip


async def test_a_body_that_can_not_be_meant_is_400_and_grants_nothing(server: Server) -> None:
    for body in BODIES:
        answer = await ask(server, "POST", "/v1/users/ann/grants", body)
        assert (answer.status, answer.body["code"]) == (400, "bad_message"), body
    assert await server.operator.wallets(["ann"]) == {"ann": 1000}


async def test_what_is_too_large_is_413(server: Server) -> None:
    answer = await ask(server, "POST", "/v1/users/ann/grants", b" " * 5000)
    assert (answer.status, answer.body["code"]) == (413, "message_too_large")


async def test_no_mangled_request_makes_a_500(server: Server) -> None:
    dice = random.Random(6)
    good = [
        ("POST", "/v1/users/ann/grants", json.dumps(grant(coins=1)).encode()),
        ("POST", "/v1/rooms", b'{"room":"r1","host":"host","title":"A test","host_name":"H"}'),
        ("POST", "/v1/rooms/r1/gifts", json.dumps({"gift": "spark", "key": new_key(), "message": "x"}).encode()),
        ("GET", "/v1/rooms/r1/events?since=0&limit=10", b""),
        ("POST", "/v1/rooms/r1/overlay-tokens", b'{"ttl":100}'),
        ("GET", "/v1/users/ann/wallet", b""),
    ]

    async def one() -> int:
        method, path, body = dice.choice(good)
        if dice.random() < 0.5 and body:
            body = mangled(body, dice)
        else:
            path = "/" + quote(mangled(path[1:].encode(), dice), safe="/?=&%")
        return (await ask(server, method, path, body)).status

    statuses = [await one() for _ in range(FUZZED)]
    assert set(statuses) <= {200, 201, 307, 400, 402, 404, 405, 409, 410, 413}, sorted(set(statuses))


def mangled(data: bytes, dice: random.Random) -> bytes:
    """``data`` with some of its bytes changed, doubled or left out."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(out) or 1)
        cut = slice(at, at + dice.randint(0, 3))
        out[cut] = dice.choice([b"", dice.randbytes(2), bytes(out[cut]) * 3, b'"', b"\\ud800", b"%00", b"{", b"-1"])
    return bytes(out)


# Methods, and clients that leave.


METHODS = (
    ("PUT", "/v1/rooms", {"GET", "HEAD", "POST"}),
    ("GET", "/v1/users/ann/grants", {"POST"}),
    ("POST", "/v1/rooms/r1", {"GET", "HEAD", "DELETE", "PATCH"}),
    ("POST", "/static/room/room.js", {"GET", "HEAD"}),
    ("DELETE", "/overlay", {"GET", "HEAD"}),
)


async def test_a_wrong_method_is_told_the_right_ones(server: Server) -> None:
    for method, path, allowed in METHODS:
        answer = await ask(server, method, path)
        assert (answer.status, answer.body["code"], answer.body["status"]) == (405, "method_not_allowed", 405)
        assert set(answer.headers["allow"].split(", ")) == allowed, path


async def test_a_client_that_leaves_in_mid_body_leaves_no_trace(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as leaver:
            bearer = server.token("op", "operator")
            head = f"POST /v1/users/ann/grants HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
            leaver.sendall(f"{head}Content-Length: 500\r\n\r\n{{".encode())
            leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    assert (await ask(server, "GET", "/v1/users/ann/wallet")).body["coins"] == 1000
    assert "ClientDisconnect" not in said(server)


# Reading too much.

RATE, BURST = 1, 20
HEAVY = 15
"""What the heaviest read costs."""


@pytest.fixture
async def strict(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    """A server that allows 20 messages at once and then so few that a busy machine does not take as long as that."""
    async with Server(tmp_path / "data", redis_url, message_rate=RATE, message_burst=BURST) as running:
        await running.room("r1")
        yield running


async def statuses(server: Server, path: str, token: str, count: int) -> list[int]:
    answers = [await ask(server, "GET", path, token=token) for _ in range(count)]
    for answer in answers:
        assert answer.status in (200, 401, 429)
        assert answer.status != 429 or (answer.body["code"], answer.headers["retry-after"]) == ("rate_limited", "1")
    return [answer.status for answer in answers]


async def test_reads_are_paid_by_who_reads(strict: Server) -> None:
    heavy, light = "/v1/rooms/r1/events?limit=1000", "/v1/rooms/r1"
    began = time.monotonic()
    found = await statuses(strict, heavy, strict.token("ann"), 30)
    allowed = BURST + RATE * (time.monotonic() - began)
    assert 2 <= found.count(200) <= 1 + allowed / HEAVY, "the last may overdraw"
    assert (await statuses(strict, light, strict.token("ann"), 1)) == [429]
    assert (await statuses(strict, light, strict.token("bob"), 10)) == [200] * 10
    assert (await statuses(strict, light, strict.token("op", "operator"), 60)) == [200] * 60
    assert 429 in await statuses(strict, heavy, strict.token("op", "operator"), 5)
    assert 429 in await statuses(strict, light, strict.token("op2", "operator", room="r1"), 60)


async def test_who_has_no_token_pays_by_address(strict: Server) -> None:
    began = time.monotonic()
    found = await statuses(strict, "/v1/catalog", "", 60)
    guesses = await statuses(strict, "/v1/rooms", "guess", 10)
    assert found.count(200) >= BURST
    assert guesses.count(429) + guesses.count(401) == 10
    assert found.count(200) + guesses.count(401) <= 1 + BURST + RATE * (time.monotonic() - began)
    assert await statuses(strict, "/readyz", "", 30) == [200] * 30
    assert await statuses(strict, "/v1/catalog", strict.token("ann"), 5) == [200] * 5


async def test_addresses_of_one_ipv6_network_pay_together(strict: Server) -> None:
    """Whoever has one has 2^64 of them."""
    async with httpx.AsyncClient(trust_env=False, base_url=strict.url) as web:

        async def status(address: str) -> int:
            return (await web.get("/v1/catalog", headers={"X-Forwarded-For": address})).status_code

        assert 429 in [await status(f"2001:db8::{number:x}") for number in range(1, 61)]
        assert await status("2001:db8:0:1::1") == 200
