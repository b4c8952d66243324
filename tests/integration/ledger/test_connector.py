"""Keeping a connection up: over every kind of address, with every way in, and ended at any moment."""

from __future__ import annotations

import asyncio
import gc
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gifting.bench.soak.proxy import Proxy
from gifting.ledger.address import Address
from gifting.ledger.connector import RETRY_PAUSE, Connector
from tests.support.certificate import make_certificate
from tests.support.dialling import ask, connector_at
from tests.support.puppet import Puppet
from tests.support.till import BATCH, till_at
from tests.support.waiting import until

pytestmark = [pytest.mark.attack, pytest.mark.one_redis("its connection to one Redis")]

PASSWORD = "p@ss:/?#%ü"
IN_URL = "p%40ss%3A%2F%3F%23%25%C3%BC"
CHANNEL = "x:1"


class TlsProxy(Proxy):
    """TLS before a Redis that has none."""

    def __init__(self, url: str, folder: Path, host: str = "localhost") -> None:
        super().__init__(url)
        self.certificate, key = make_certificate(folder)
        self._host = host
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(self.certificate, key)

    async def __aenter__(self) -> TlsProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.url = f"rediss://{self._host}:{self._server.sockets[0].getsockname()[1]}"
        return self


@asynccontextmanager
async def a_user(redis: Any, *rules: str, name: str = "gifting") -> AsyncIterator[None]:
    await redis.execute_command("ACL", "SETUSER", name, "reset", "on", f">{PASSWORD}", *rules)
    try:
        yield
    finally:
        await redis.acl_deluser(name)


async def works(url: str) -> None:
    """Whether commands are answered and what is published is heard."""
    async with connector_at(url, channels=(CHANNEL,)) as (connector, heard):
        assert await ask(connector, "SPUBLISH", CHANNEL, "a") == 1
        assert await ask(connector, "ECHO", "b") == b"b"
        assert heard == [(CHANNEL.encode(), b"a")]


# Addresses.


async def test_a_unix_socket(redis_url: str) -> None:
    await works(redis_url)


async def test_tcp(redis_url: str) -> None:
    async with Proxy(redis_url) as proxy:
        await works(proxy.url)
        await works(proxy.url.replace("127.0.0.1", "localhost"))


async def test_ipv6(redis_url: str) -> None:
    class SixProxy(Proxy):
        async def __aenter__(self) -> SixProxy:
            try:
                self._server = await asyncio.start_server(self._accept, "::1", 0)
            except OSError:
                pytest.skip("there is no IPv6 on this machine")
            self.url = f"redis://[::1]:{self._server.sockets[0].getsockname()[1]}"
            return self

    async with SixProxy(redis_url) as proxy:
        await works(proxy.url)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_tls(redis_url: str, tmp_path: Path, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    async def over_tls() -> None:
        async with TlsProxy(redis_url, tmp_path) as proxy:
            await works(f"{proxy.url}?ssl_ca_certs={proxy.certificate}")
            await works(f"{proxy.url}?ssl_cert_reqs=none")

    run(over_tls())


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [("localhost", False, "certificate verify failed"), ("ip6-localhost.invalid", True, "Hostname mismatch")],
)
async def test_tls_with_whom_it_does_not_trust(
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
    host: str,
    trusted: bool,
    reason: str,
) -> None:
    loop = asyncio.get_running_loop()
    find = loop.getaddrinfo

    async def anywhere(name: str, *arguments: Any, **options: Any) -> Any:
        return await find("127.0.0.1" if name == host else name, *arguments, **options)

    monkeypatch.setattr(loop, "getaddrinfo", anywhere)
    async with TlsProxy(redis_url, tmp_path, host) as proxy:
        loop.set_exception_handler(lambda *_: None)  # the proxy's end of a handshake that was broken off
        url = f"{proxy.url}?ssl_ca_certs={proxy.certificate}" if trusted else proxy.url
        async with connector_at(url, wait=False) as (connector, _):
            await until(lambda: reason in caplog.text)
            assert not connector.up


async def test_a_database(redis_url: str, redis_client: Any) -> None:
    async with connector_at(f"{redis_url}?db=3") as (connector, _):
        await ask(connector, "SET", "x", "1")
        assert await redis_client.get("x") is None
        assert await ask(connector, "DEL", "x") == 1


# Ways in.


async def test_a_password_alone(redis_url: str, redis_client: Any) -> None:
    await redis_client.config_set("requirepass", PASSWORD)
    try:
        async with Proxy(redis_url) as proxy:
            await works(proxy.url.replace("//", f"//:{IN_URL}@"))
            await works(f"{proxy.url}?password={IN_URL}")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await works(proxy.url)
    finally:
        await redis_client.config_set("requirepass", "")


NEEDED = ("+select", "+ssubscribe", "+sunsubscribe", "+echo", "+spublish", "+client|info", "+evalsha", "+eval")
"""What docs/operations.md says that a user needs on this connection."""


async def test_a_user_that_may_no_more_than_it_must(redis_url: str, redis_client: Any) -> None:
    async with a_user(redis_client, *NEEDED, f"&{CHANNEL}"), Proxy(redis_url) as proxy:
        url = f"{proxy.url.replace('//', f'//gifting:{IN_URL}@')}/2"
        await works(url)
        async with connector_at(url) as (connector, _):
            assert b"omem=" in await ask(connector, "CLIENT", "INFO")
            assert await ask(connector, "EVAL", "return 1", 0) == 1


async def test_a_ledger_whose_user_may_what_the_documentation_says(redis_url: str, redis_client: Any) -> None:
    rules = ("+@all", "-@admin", "+config|get", "~gifting:*", "&gifting:*")
    url = f"{redis_url}?username=gifting&password={IN_URL}"
    async with a_user(redis_client, *rules), till_at(url) as till:
        till.send(3 * BATCH)
        await till.check(redis_client)


@pytest.mark.parametrize("trouble", ["password", "channel", "database"])
async def test_who_is_turned_away_says_so_once_and_comes_in_when_it_may(
    redis_url: str, redis_client: Any, caplog: Any, trouble: str
) -> None:
    rules = {
        "password": ("resetpass", ">another", "+@all", "allchannels"),
        "channel": ("+@all",),
        "database": ("+@all", "-select", "allchannels"),
    }
    said = {"password": "AuthenticationError", "channel": "channel", "database": "select"}
    async with a_user(redis_client, *rules[trouble]):
        url = f"{redis_url}?username=gifting&password={IN_URL}&db=1"
        async with connector_at(url, channels=(CHANNEL,), wait=False) as (connector, _):
            tries: list[None] = []
            connector.tried.append(lambda: tries.append(None))
            await until(lambda: len(tries) > 3)
            assert not connector.up
            (record,) = caplog.records
            assert said[trouble] in record.message
            assert PASSWORD not in record.message
            await redis_client.execute_command("ACL", "SETUSER", "gifting", f">{PASSWORD}", "+@all", "allchannels")
            await until(lambda: connector.up)
            assert len(caplog.records) == 1


# Its life.


async def test_a_pause_between_tries_and_trouble_told_when_it_is_another(caplog: Any) -> None:
    async with Puppet() as puppet, connector_at(puppet.url, wait=False) as (connector, _):
        tries: list[float] = []
        connector.tried.append(lambda: tries.append(time.monotonic()))
        puppet.hangs_up = True
        await until(lambda: len(tries) > 5)
        assert min(after - before for before, after in itertools.pairwise(tries)) >= RETRY_PAUSE * 0.9
        assert len(caplog.records) == 1
        puppet.hangs_up, puppet.greeting = False, b"-ERR not today\r\n"
        await until(lambda: "not today" in caplog.text)
        tried = len(tries)
        await until(lambda: len(tries) > tried + 3)
        assert caplog.text.count("not today") == 1
        assert len(caplog.records) == 2


async def test_the_same_trouble_is_told_again_after_it_was_over(redis_url: str, caplog: Any) -> None:
    async with Proxy(redis_url) as proxy, connector_at(proxy.url) as (connector, _):
        for times in (1, 2):
            proxy.cut()
            await until(lambda: not connector.up)
            await until(lambda: connector.up)
            assert len(caplog.records) == times


async def test_who_fails_on_a_reply_ends_it(redis_url: str) -> None:
    """What it has then done to the books nobody knows: no new connection mends that."""

    def fails(_: object) -> None:
        raise ZeroDivisionError

    connector = Connector(Address(redis_url), 5.0)
    connector.came_up.append(lambda: connector.call(b"*1\r\n$4\r\nPING\r\n", fails))
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(connector.run(), 10)
    assert not connector.up


async def test_it_is_renewed_in_order_with_calls_in_flight(redis_client: Any, redis_url: str) -> None:
    """None of them is sent twice, so none is a duplicate, and what costs nothing is confirmed."""
    async with till_at(redis_url) as till:
        connector, renewed = till.ledger.connector, list[None]()
        connector.came_up.append(lambda: renewed.append(None))
        for _ in range(20):
            till.send(3 * BATCH)
            till.post()
            await until(lambda: connector.unanswered, pause=0)
            connector.renew(RedisError("on purpose"))
            assert not connector.up
            await till.everyone()
            await until(lambda: connector.up)
        assert len(renewed) == 20
        assert not any(outcome.duplicate for outcome in till.told)


MOMENTS = 40
"""Passes of the loop within which a connection is made and greeted, and some more."""


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("kind", ["unix", "tcp", "tls"])
def test_it_may_end_at_any_moment_of_its_making(
    redis_url: str, tmp_path: Path, kind: str, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    async def end_at_any() -> None:
        proxy: Proxy = TlsProxy(redis_url, tmp_path) if kind == "tls" else Proxy(redis_url)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of the proxy, as above
        async with proxy, Redis.from_url(redis_url) as redis:
            urls = {"unix": redis_url, "tcp": proxy.url, "tls": f"{proxy.url}?ssl_cert_reqs=none"}
            connector = Connector(Address(urls[kind]), 5.0)
            connector.subscribe((CHANNEL,), lambda *_: None)
            for moment in range(MOMENTS):
                running = asyncio.create_task(connector.run())
                for _ in range(moment):
                    await asyncio.sleep(0)
                running.cancel()
                done, _ = await asyncio.wait([running], timeout=5)
                assert done
                assert running.cancelled()
                assert not connector.up
            async with asyncio.timeout(10):
                while (await redis.pubsub_numsub(CHANNEL))[0][1] or len(await redis.client_list()) > 1:
                    await asyncio.sleep(0.001)

    run(end_at_any())
    gc.collect()  # a socket that was left open warns, which is an error here


@pytest.mark.parametrize("greeting", [b"", b"%1\r\n$6\r\nserver\r\n"])
async def test_it_may_end_while_redis_hangs_in_the_greeting(greeting: bytes) -> None:
    async with Puppet(greeting) as puppet:
        async with connector_at(puppet.url, timeout=600, channels=(CHANNEL,), wait=False):
            await puppet.told(b"SUBSCRIBE")
        async with asyncio.timeout(60):
            await puppet.alone()


async def test_a_redis_that_hangs_in_the_greeting_is_given_up_in_time(caplog: Any) -> None:
    async with Puppet() as puppet, connector_at(puppet.url, timeout=0.1, wait=False) as (connector, _):
        await until(lambda: puppet.dialled > 2)
        assert not connector.up
        assert "did not answer within 0.1 s" in caplog.text
        assert len(puppet.open) <= 1
