"""A store's server is asked in bounded time, for bounded answers, and again where that can help."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("httpx")

from gifting.economy.providers import remote
from gifting.economy.providers.base import ProviderRefused
from gifting.economy.providers.remote import ANSWER_MAX, Remote, Unauthorised
from gifting.errors import ProviderFailed
from tests.support.http_server import Answer, Asked, HttpServer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))


def script(*answers: Answer) -> Any:
    """Answers one after another, the last for ever."""
    left: Iterator[Answer] = iter([*answers, *[answers[-1]] * 9])
    return lambda _: next(left)


async def test_what_is_asked_is_sent_and_what_is_answered_is_read() -> None:
    async with HttpServer(script((200, {"a": 1}))) as server:
        told = await Remote("x", server.url + "/").ask(
            "POST", "/p", headers={"H": "1"}, params={"q": "2"}, body={"b": 3}
        )
    assert told == {"a": 1}
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.query, asked.headers["h"], asked.json) == (
        "POST", "/p", {"q": "2"}, "1", {"b": 3},
    )  # fmt: skip


async def test_nothing_is_an_empty_answer() -> None:
    async with HttpServer(script((204, b""))) as server:
        assert await Remote("x", server.url).ask("POST", "/p") == {}


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_can_change_is_asked_again(status: int) -> None:
    async with HttpServer(script((status, {}), (status, {}), (200, {"a": 1}))) as server:
        assert await Remote("x", server.url).ask("GET", "/p") == {"a": 1}
    assert len(server.asked) == 3


async def test_it_is_asked_three_times_at_most() -> None:
    async with HttpServer(script((503, {}))) as server:
        with pytest.raises(ProviderFailed, match="503") as caught:
            await Remote("x", server.url).ask("GET", "/p")
    assert caught.value.temporary
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [401, 403])
async def test_a_key_that_may_not_is_mended_by_somebody(status: int) -> None:
    async with HttpServer(script((status, {}))) as server:
        with pytest.raises(Unauthorised) as caught:
            await Remote("x", server.url).ask("GET", "/p")
    assert caught.value.temporary
    assert not isinstance(caught.value, ProviderRefused)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 400, 404])
async def test_a_no_is_not_asked_again(status: int) -> None:
    async with HttpServer(script((status, {"why": "no\nno"}))) as server:
        with pytest.raises(ProviderRefused, match=str(status)) as caught:
            await Remote("x", server.url).ask("GET", "/p")
    assert not caught.value.temporary
    assert len(server.asked) == 1
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b"[" * 100_000])
async def test_what_makes_no_sense_is_a_failure(body: bytes) -> None:
    async with HttpServer(script((200, body))) as server:
        with pytest.raises(ProviderFailed, match="not understood"):
            await Remote("x", server.url).ask("GET", "/p")


async def test_an_answer_is_bounded() -> None:
    whole = b'{"a": "%s"}' % (b"x" * (ANSWER_MAX - 9))
    async with HttpServer(script((200, whole), (200, whole + b" "))) as server:
        assert "a" in await Remote("x", server.url).ask("GET", "/p")
        with pytest.raises(ProviderFailed, match="more than"):
            await Remote("x", server.url).ask("GET", "/p")


async def test_who_does_not_answer_is_not_waited_for() -> None:
    async def never(_: Asked) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async with HttpServer(never) as server:
        with pytest.raises(ProviderFailed):
            await Remote("x", server.url, timeout=0.05).ask("GET", "/p")
        with pytest.raises(ProviderFailed):
            await Remote("x", "http://127.0.0.1:1").ask("GET", "/p")


async def test_connections_are_kept_and_let_go() -> None:
    async with HttpServer(script((200, {}))) as server:
        remote_ = Remote("x", server.url)
        await remote_.close()
        await remote_.ask("GET", "/p")
        await remote_.close()
        await remote_.ask("GET", "/p")
        await remote_.close()
    assert len(server.asked) == 2
    assert server.asked[0].headers["accept-encoding"] == "identity", "what is packed could be of any size"
