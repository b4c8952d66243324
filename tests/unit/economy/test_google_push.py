"""A push is believed if Google signed its token for our subscription's account and for us, not long ago."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import pytest

pytest.importorskip("google.auth")

from gifting.economy.providers.base import Reason
from gifting.economy.providers.google import push
from gifting.economy.providers.google.push import AHEAD, LIFE_MAX, TOKEN_MAX, Certificates, Pusher
from gifting.economy.providers.remote import Remote
from gifting.errors import BadWebhook, ProviderFailed
from tests.support.http_server import Answer, Asked
from tests.support.play import AUDIENCE, OTHER, PUSHER, Play, certificate, push_token


def pusher(google: Play) -> Pusher:
    return Pusher(Certificates(Remote("Google", google.server.url)), AUDIENCE, PUSHER)


def now_ms() -> int:
    return round(time.time() * 1000)


async def refusal(authorization: str, now: int = 0) -> str:
    async with Play() as google:
        with pytest.raises(BadWebhook) as caught:
            await pusher(google).check(authorization, now or now_ms())
    return caught.value.reason


async def test_a_token_of_googles_is_believed_and_certificates_are_got_once() -> None:
    async with Play() as google:
        by = pusher(google)
        for _ in range(3):
            await by.check(push_token(), now_ms())
        await by.check(push_token(iss="accounts.google.com"), now_ms())
        await by.check(push_token().replace("Bearer", "bearer"), now_ms())
        assert len(google.asked("/certs")) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example"},
        {"aud": None},
        {"aud": [AUDIENCE]},
        {"email": "other@project.iam.gserviceaccount.com"},
        {"email": None},
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
        {"iss": "https://accounts.google.com.example"},
        {"iss": None},
    ],
)
async def test_a_token_for_somebody_else_is_refused(claims: dict[str, Any]) -> None:
    """Anybody can have Google sign a token: for their own account, and for any audience."""
    assert await refusal(push_token(**claims)) == Reason.FOREIGN


async def test_a_token_that_google_did_not_sign_is_refused() -> None:
    assert await refusal(push_token(OTHER)) == Reason.UNSIGNED
    assert await refusal(push_token(OTHER, kid="")) == Reason.UNSIGNED
    head, _, signature = push_token().split(".")
    claims = push_token(email="x").split(".")[1]
    assert await refusal(f"{head}.{claims}.{signature}") == Reason.UNSIGNED


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
async def test_an_algorithm_that_needs_no_key_of_googles_is_refused(algorithm: str) -> None:
    claims = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "email": PUSHER, "email_verified": True}
    timed = {**claims, "iat": int(time.time()), "exp": int(time.time()) + 60}
    key = "" if algorithm == "none" else "x" * 32
    token = jwt.encode(timed, key, algorithm=algorithm, headers={"kid": "g1"})
    assert await refusal(f"Bearer {token}") == Reason.UNSIGNED


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic x", "Bearer x", "Bearer a.b", "Bearer a.b.c"]
)
async def test_what_is_no_token_is_refused(authorization: str) -> None:
    assert await refusal(authorization) == Reason.UNSIGNED


async def test_a_token_is_bounded() -> None:
    """One that is signed, and all right but for its size."""
    longest = push_token(pad="x" * 5000)
    assert await refusal(push_token(pad="x" * TOKEN_MAX)) == Reason.UNSIGNED
    async with Play() as google:
        await pusher(google).check(longest, now_ms())


async def test_the_given_time_decides_and_not_the_clock_on_the_wall() -> None:
    async with Play() as google:
        by = pusher(google)
        at = 1_000_000_000
        token = push_token(iat=at, exp=at + 60)
        for good in (at - AHEAD, at, at + 60 + AHEAD - 1):
            await by.check(token, good * 1000)
        for bad in (at - AHEAD - 1, at + 60 + AHEAD):
            with pytest.raises(BadWebhook) as caught:
                await by.check(token, bad * 1000)
            assert caught.value.reason == Reason.STALE


@pytest.mark.parametrize("claims", [{"exp": 2**40}, {"iat": 1}])
async def test_a_token_that_lives_for_ever_is_refused(claims: dict[str, Any]) -> None:
    assert await refusal(push_token(**claims)) == Reason.STALE
    assert LIFE_MAX < 2 * 3600


@pytest.mark.parametrize("claims", [{"exp": None}, {"iat": None}, {"exp": "x"}, {"iat": [1]}])
async def test_a_token_without_times_is_refused(claims: dict[str, Any]) -> None:
    assert await refusal(push_token(**claims)) in (Reason.UNSIGNED, Reason.MALFORMED)


async def test_a_new_key_of_googles_is_found_and_an_unknown_one_does_not_make_us_ask_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Play() as google:
        by = pusher(google)
        await by.check(push_token(), now_ms())
        google.certificates["g2"] = certificate(OTHER)
        for _ in range(3):
            with pytest.raises(BadWebhook):
                await by.check(push_token(OTHER, "g2"), now_ms())
        assert len(google.asked("/certs")) == 1
        monkeypatch.setattr(push, "PAUSE", 0.0)
        await by.check(push_token(OTHER, "g2"), now_ms())
        assert len(google.asked("/certs")) == 2


async def test_old_certificates_are_believed_while_there_are_no_new_ones_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gifting.economy.providers.remote.PAUSES", ())
    async with Play() as google:
        by = pusher(google)
        google.down["/certs"] = 1
        with pytest.raises(ProviderFailed):
            await by.check(push_token(), now_ms())
        await by.check(push_token(), now_ms())
        monkeypatch.setattr(push, "FRESH", -1.0)
        monkeypatch.setattr(push, "PAUSE", -1.0)
        google.down["/certs"] = 2
        await by.check(push_token(), now_ms())
        monkeypatch.setattr(push, "USABLE", -1.0)
        with pytest.raises(ProviderFailed):
            await by.check(push_token(), now_ms())


async def test_who_names_a_key_that_there_is_not_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's certificates are asked for meanwhile, and that may take long."""
    monkeypatch.setattr(push, "PAUSE", -1.0)
    async with Play() as google:
        by = pusher(google)
        await by.check(push_token(), now_ms())
        answer, came, held = google.server.answer, asyncio.Event(), asyncio.Event()

        async def slow(asked: Asked) -> Answer:
            came.set()
            await held.wait()
            made = answer(asked)
            return made if isinstance(made, tuple) else await made

        google.server.answer = slow
        stranger = asyncio.create_task(by.check(push_token(OTHER, "g9"), now_ms()))
        await came.wait()
        await by.check(push_token(), now_ms())
        assert not stranger.done()
        held.set()
        with pytest.raises(BadWebhook):
            await stranger
