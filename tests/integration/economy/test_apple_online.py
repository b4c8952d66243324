"""Apple is asked whether a certificate was revoked: beside the loop, in bounded time, and its word counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("appstoreserverlibrary")

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from gifting.economy.providers.apple import provider
from gifting.economy.providers.apple.api import Api, Key
from gifting.economy.providers.apple.provider import Apple
from gifting.economy.providers.apple.signed import App, Signed
from gifting.economy.providers.base import Reason
from gifting.economy.providers.remote import Remote
from gifting.errors import BadWebhook, ProviderFailed
from gifting.model.effects import Effect
from tests.support.apple import APP, BUNDLE, Certificate, Store, now_ms
from tests.support.http_server import Answer, Asked, HttpServer
from tests.support.shelf import ORDER, a_shelf, an_order

Status = Callable[[x509.Certificate], ocsp.OCSPCertStatus]


def responder(store: Store, status: Status) -> Callable[[Asked], Answer]:
    """Answers for the certificates of a store, as who issued each."""

    def answer(asked: Asked) -> Answer:
        request = ocsp.load_der_ocsp_request(asked.body)
        for one, by in ((store.leaf, store.issuer), (store.issuer, store.root)):
            if one.made.serial_number == request.serial_number:
                return 200, _said(one, by, status(one.made))
        return 404, b""

    return answer


def _said(one: Certificate, by: Certificate, status: ocsp.OCSPCertStatus) -> bytes:
    now = datetime.now(UTC)
    revoked = now - timedelta(days=1) if status is ocsp.OCSPCertStatus.REVOKED else None
    built = ocsp.OCSPResponseBuilder().add_response(
        cert=one.made,
        issuer=by.made,
        algorithm=hashes.SHA256(),
        cert_status=status,
        this_update=now - timedelta(minutes=1),
        next_update=now + timedelta(hours=1),
        revocation_time=revoked,
        revocation_reason=None,
    )
    signed = built.responder_id(ocsp.OCSPResponderEncoding.HASH, by.made).sign(by.key, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


@asynccontextmanager
async def store_with(status: Status) -> AsyncIterator[tuple[Store, HttpServer]]:
    async with HttpServer(lambda _: (500, b"")) as server:
        store = Store(ocsp=server.url)
        server.answer = responder(store, status)
        yield store, server


def apple(store: Store) -> Apple:
    signed = Signed([store.root.der], App(BUNDLE, APP, live=True, online=True))
    api = Api(Remote("Apple", "http://127.0.0.1:1"), Key("k", "i", ""), BUNDLE)
    return Apple(signed, api, a_shelf(an_order("apple")), live=True, consent=True)


def body(store: Store) -> bytes:
    bought = store.transaction(appAccountToken=ORDER)
    return json.dumps({"signedPayload": store.body("ONE_TIME_CHARGE", bought)}).encode()


async def test_good_certificates_are_asked_for_once() -> None:
    async with store_with(lambda _: ocsp.OCSPCertStatus.GOOD) as (store, server):
        by = apple(store)
        for _ in range(3):
            (paid,) = await by.verify(body(store), {}, now_ms())
            assert isinstance(paid, Effect)
        assert len(server.asked) == 2


@pytest.mark.parametrize("which", ["leaf", "issuer"])
async def test_a_revoked_certificate_signs_nothing(which: str) -> None:
    def status(one: x509.Certificate) -> ocsp.OCSPCertStatus:
        revoked = one == getattr(store, which).made
        return ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD

    async with store_with(status) as (store, _):
        with pytest.raises(BadWebhook) as caught:
            await apple(store).verify(body(store), {}, now_ms())
        assert caught.value.reason == Reason.UNSIGNED


async def test_who_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on, and Apple is told to send it again."""
    monkeypatch.setattr(provider, "CHECK_TIMEOUT", 2.0)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async def never(_: Asked) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    async with store_with(lambda _: ocsp.OCSPCertStatus.GOOD) as (store, server):
        server.answer = never
        ticking = asyncio.create_task(tick())
        with pytest.raises(ProviderFailed) as caught:
            await apple(store).verify(body(store), {}, now_ms())
        ticking.cancel()
    assert caught.value.temporary
    assert ticks > 3


async def test_an_answer_that_is_none_is_asked_for_again_later() -> None:
    async with store_with(lambda _: ocsp.OCSPCertStatus.GOOD) as (store, server):
        server.answer = lambda _: (500, b"")
        with pytest.raises(ProviderFailed):
            await apple(store).verify(body(store), {}, now_ms())
        server.answer = responder(store, lambda _: ocsp.OCSPCertStatus.GOOD)
        assert len(await apple(store).verify(body(store), {}, now_ms())) == 1
