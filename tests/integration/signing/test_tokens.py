"""Tokens on the running product: where they may be, for how long, until when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from gifting import Client, errors
from gifting.load.operator import Operator
from gifting.load.plan import Target
from gifting.wire.keyring import kid_of
from gifting.wire.tokens import ROLES, Role, issue
from tests.support.jwks import JwksServer, Pair, document
from tests.support.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.slow

REVOKED = 4502
PING = '{"op":"ping","id":1}'
WITHIN = 20.0
"""Seconds for a close that comes by itself: of what is looked for every second, on a machine that is busy."""


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> Any:
    async with Server(tmp_path / "data", redis_url, member_rate=0) as running:
        await running.room("r1")
        yield running


def socket(server: Server, query: str = "", offered: tuple[str, ...] = (), bearer: str = "") -> connect:
    return connect(
        server.url.replace("http", "ws") + "/v1/ws" + query,
        subprotocols=[Subprotocol(name) for name in offered] or None,
        additional_headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
        compression=None,
    )


async def refusal(attempt: connect) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        async with attempt:
            pass
    assert refused.value.response.body is not None
    return refused.value.response.status_code, msgspec.json.decode(refused.value.response.body)["code"]


async def pinged(open_socket: ClientConnection) -> bool:
    await open_socket.send(PING)
    return bool(msgspec.json.decode(await open_socket.recv())["ok"])


async def test_only_an_overlay_may_be_an_address(server: Server) -> None:
    for role in ROLES:
        token = server.token("host", role, room="r1" if role == "overlay" else "")
        if role == "overlay":
            async with socket(server, f"?token={token}") as taken:
                assert await pinged(taken)
        else:
            assert await refusal(socket(server, f"?token={token}")) == (403, "token_in_url")
        async with socket(server, bearer=token) as taken:
            assert await pinged(taken)


async def test_a_browser_sends_its_token_as_a_subprotocol(server: Server) -> None:
    entry = f"gifting.token.{server.token('ann')}"
    for offered in ((entry, "gifting.v1.json"), ("gifting.v1.json", entry)):
        async with socket(server, offered=offered) as taken:
            assert taken.subprotocol == "gifting.v1.json"
            assert await pinged(taken)
    assert await refusal(socket(server, offered=(entry,))) == (400, "bad_message")
    assert await refusal(socket(server, offered=(f"{entry}x", "gifting.v1.json"))) == (401, "bad_token")


# Revocation.


@pytest.fixture
async def nodes(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[list[Server]]:
    """Two nodes on one Redis, with room r1; more can be started by :func:`another`."""
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(another(tmp_path, name, redis_url)) for name in ("a", "b")]
        await running[0].room("r1")
        yield running


def another(tmp_path: Path, name: str, redis_url: str) -> Server:
    (tmp_path / name).mkdir()
    return Server(tmp_path / name / "data", redis_url, member_rate=0)


async def closed_with(taken: ClientConnection) -> int | None:
    """The code of its close, which comes within :data:`WITHIN`; nothing is said before it."""
    with pytest.raises(ConnectionClosed) as closed:
        async with asyncio.timeout(WITHIN):
            assert await taken.recv() is None
    return closed.value.rcvd.code if closed.value.rcvd else None


async def closed_already_with(taken: ClientConnection) -> int | None:
    """The same where it was closed before now: a ping that is sent now is not answered any more."""
    with suppress(ConnectionClosed):
        await taken.send(PING)
    return await closed_with(taken)


async def open_for(stack: AsyncExitStack, nodes: list[Server], token: str) -> list[ClientConnection]:
    taken = [await stack.enter_async_context(socket(node, bearer=token)) for node in nodes]
    for one in taken:
        assert await pinged(one)
    return taken


async def test_a_user_of_any_role_is_revoked_everywhere(nodes: list[Server]) -> None:
    def token(user: str, role: Role) -> str:
        return nodes[0].token(user, role, room="r1" if role == "overlay" else "")

    async with AsyncExitStack() as stack:
        tokens = [token("ann", role) for role in ROLES]
        taken = [await open_for(stack, nodes, one) for one in tokens]
        others = [await open_for(stack, nodes, token("bob", role)) for role in ROLES]
        reply = await nodes[0].operator.call("POST", "/v1/tokens/revocations", {"user": "ann"})
        assert abs(reply["until"] - time.time()) < 5
        for one, (here, _) in zip(tokens, taken, strict=True):
            assert await refusal(socket(nodes[0], bearer=one)) == (401, "token_revoked")
            assert await closed_already_with(here) == REVOKED
        codes = await asyncio.gather(*(closed_with(there) for _, there in taken))
        assert codes == [REVOKED] * len(ROLES)
        for one, role in zip(tokens, ROLES, strict=True):
            assert await refusal(socket(nodes[1], bearer=one)) == (401, "token_revoked")
            others.append(await open_for(stack, nodes, token("ann", role)))
        assert all([await pinged(one) for pair in others for one in pair])


async def test_one_token_and_everyone(nodes: list[Server]) -> None:
    first, second = nodes[0].token("ann"), nodes[0].token("ann")
    token_id = claims(first)["jti"]
    async with AsyncExitStack() as stack:
        taken, kept = await open_for(stack, nodes[:1], first), await open_for(stack, nodes, second)
        await nodes[1].operator.call("POST", "/v1/tokens/revocations", {"token_id": token_id})
        assert await closed_with(taken[0]) == REVOKED
        assert await refusal(socket(nodes[1], bearer=first)) == (401, "token_revoked")
        for one in kept:
            assert await pinged(one)
        await nodes[0].operator.call("POST", "/v1/tokens/revocations", {"everyone": True})
        for one in kept:
            assert await closed_with(one) == REVOKED
        for node in nodes:
            with pytest.raises(errors.TokenRevoked):
                await node.operator.call("GET", "/v1/rooms")


async def test_a_node_that_has_just_started_knows(server: Server, tmp_path: Path, redis_url: str) -> None:
    made = await server.operator.call("POST", "/v1/rooms/r1/overlay-tokens", {"ttl": 60})
    await server.operator.call("DELETE", f"/v1/rooms/r1/overlay-tokens/{made['token_id']}")
    async with another(tmp_path, "c", redis_url) as fresh:
        assert await refusal(socket(fresh, f"?token={made['token']}")) == (401, "token_revoked")


UNCLEAR: tuple[dict[str, Any], ...] = (
    {},
    {"user": "ann", "everyone": True},
    {"everyone": False},
    {"token_id": "a\nb"},
    {"token_id": "x" * 129},
    {"user": "a/b"},
    {"user": 7},
)


async def test_what_is_not_clear_revokes_nothing(server: Server) -> None:
    async with socket(server, bearer=server.token("ann")) as taken:
        for body in UNCLEAR:
            with pytest.raises(errors.BadMessage):
                await server.operator.call("POST", "/v1/tokens/revocations", body)
            assert await pinged(taken)


@pytest.mark.attack
async def test_a_creator_revokes_no_invented_ids(server: Server) -> None:
    """They were kept for a year each: 100,000 of them, and nobody could revoke anything any more."""
    creator = server.caller("host", "creator")
    for token_id in ("r1~invented", "r1~" + "x" * 120, f"r1~{'y' * 16}"):
        with pytest.raises(errors.NotFound):
            await creator.call("DELETE", f"/v1/rooms/r1/overlay-tokens/{token_id}")
    with pytest.raises(errors.BadId):
        await creator.call("DELETE", f"/v1/rooms/r1/overlay-tokens/{'x' * 60_000}"[:12_000])


@pytest.mark.attack
async def test_a_creator_issues_only_so_many(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    async with Server(tmp_path / "data", redis_url, room_overlay_tokens=3) as server:
        await server.room("r1")
        creator = server.caller("host", "creator")
        made = [await creator.call("POST", "/v1/rooms/r1/overlay-tokens", {}) for _ in range(3)]
        await creator.call("DELETE", f"/v1/rooms/r1/overlay-tokens/{made[0]['token_id']}")
        with pytest.raises(errors.TooManyTokens):
            await creator.call("POST", "/v1/rooms/r1/overlay-tokens", {})
        async with socket(server, f"?token={made[1]['token']}") as taken:
            assert await pinged(taken)


# Keys.

OLD, NEW = "the old secret, of 32 bytes and more", "the new secret, of 32 bytes and more"


def by(secret: str, user: str = "ann") -> str:
    return issue(secret, user, "viewer", now=time.time(), ttl=1000)


async def let_in(server: Server, token: str) -> bool:
    try:
        async with socket(server, bearer=token) as taken:
            return await pinged(taken)
    except InvalidStatus:
        return False


async def test_a_rotation_of_the_secret_file_cuts_nobody_off(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    """The old one alone, the new one before it, the new one alone: in one process, without a restart."""
    file = tmp_path / "data" / "secret"
    file.parent.mkdir(mode=0o700)
    keep(file, OLD)
    async with Server(tmp_path / "data", redis_url, secret="") as server, AsyncExitStack() as stack:
        (first,) = await open_for(stack, [server], by(OLD))
        assert not await let_in(server, by(NEW))
        keep(file, f"{NEW}\n{OLD}\n")
        await until(lambda: let_in(server, by(NEW)))
        (second,) = await open_for(stack, [server], by(NEW))
        for _ in range(3):
            assert await pinged(first)
            assert await let_in(server, by(OLD))
        issued = await caller(server, NEW).call("POST", "/v1/rooms", {"room": "r1", "host": "host"})
        assert issued["state"] == "live"
        made = await caller(server, NEW).call("POST", "/v1/rooms/r1/overlay-tokens", {})
        assert jwt.get_unverified_header(made["token"])["kid"] == kid_of(NEW), "the first signs"
        keep(file, NEW)
        assert await closed_with(first) == REVOKED, "whoever still has a token by the old one"
        assert not await let_in(server, by(OLD))
        assert await pinged(second)
        assert await let_in(server, made["token"])


def keep(file: Path, text: str) -> None:
    draft = file.with_name("draft")
    draft.write_text(text)
    draft.chmod(0o600)
    draft.replace(file)


def caller(server: Server, secret: str) -> Operator:
    return Operator(Target.at(server.url, secret))


async def test_a_rotation_of_the_environment_cuts_nobody_off(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    """Two nodes, restarted one after the other, twice: all must believe a secret before one signs with it."""
    steps = (f"{OLD}\n{NEW}", f"{NEW}\n{OLD}")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, two = (Server(tmp_path / name / "data", redis_url, secret=OLD) for name in ("a", "b"))
    async with one, two, Client(one.url, by(OLD, "ann")) as ann, Client(two.url, by(OLD, "bob")) as bob:
        for step in steps:
            for server in (one, two):
                await server.stop()
                server.env["GIFTING_SECRET"] = step
                await server.start()
                for client in (ann, bob):
                    async with asyncio.timeout(20):
                        await client.ping()
                assert await let_in(one, by(OLD)) and await let_in(two, by(OLD))
        assert await let_in(one, by(NEW)) and await let_in(two, by(NEW))


async def test_tokens_of_the_host_application(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    first, second = Pair.make("ES256", "k1"), Pair.make("EdDSA", "k2")
    file = tmp_path / "jwks.json"
    keep(file, document(first).decode())

    def token(pair: Pair, role: str = "viewer") -> str:
        now = int(time.time())
        return pair.sign({"sub": "ann", "role": role, "jti": f"app-{pair.kid}", "iat": now, "exp": now + 600})

    async with Server(tmp_path / "data", redis_url, jwks=file) as server, AsyncExitStack() as stack:
        (taken,) = await open_for(stack, [server], token(first))
        assert await refusal(socket(server, bearer=token(first, "operator"))) == (401, "bad_token")
        assert await refusal(socket(server, bearer=token(second))) == (401, "bad_token")
        keep(file, document(first, second).decode())
        await until(lambda: let_in(server, token(second)))
        assert await pinged(taken)
        await server.operator.call("POST", "/v1/tokens/revocations", {"token_id": "app-k2"})
        assert not await let_in(server, token(second))
        keep(file, document(second).decode())
        assert await closed_with(taken) == REVOKED
        assert await let_in(server, server.token("ann")), "tokens by the secret are good as ever"


async def test_a_node_that_can_not_fetch_its_keys_is_not_ready(
    tmp_path: Path, redis_url: str, redis_client: Any
) -> None:
    pair = Pair.make("RS256")
    now = int(time.time())
    token = pair.sign({"sub": "ann", "role": "viewer", "jti": "x", "iat": now, "exp": now + 600})
    async with JwksServer(document(pair)) as keys:
        keys.status = "500 Oops"
        async with Server(tmp_path / "data", redis_url, jwks=keys.url) as server:
            with pytest.raises(errors.NotReady, match="jwks"):
                await server.operator.call("GET", "/readyz")
            assert await refusal(socket(server, bearer=token)) == (503, "unknown_signer")
            await server.stop()
            keys.status = "200 OK"
            await server.start()
            await until(lambda: let_in(server, token))
            await server.operator.call("GET", "/readyz")


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))
