"""Stripe's scheme of signing webhooks: what is believed, what is not, and that the official library signs alike."""

from __future__ import annotations

import pytest

from gifting.economy.providers.base import WEBHOOK_AGE, Reason
from gifting.economy.providers.signature import HEADER, HEADER_MAX, sign, verify
from gifting.errors import BadWebhook

BODY, SECRET, OLD, AT = b'{"id":"evt_1"}', "whsec_new", "whsec_old", 1_700_000_000


def refusal(header: str, body: bytes = BODY, at: int = AT) -> str:
    with pytest.raises(BadWebhook) as caught:
        verify(body, {HEADER: header} if header else {}, (SECRET, OLD), at * 1000)
    return caught.value.reason


@pytest.mark.parametrize("secret", [SECRET, OLD])
@pytest.mark.parametrize("off", [-WEBHOOK_AGE // 1000, 0, WEBHOOK_AGE // 1000])
def test_what_is_signed_by_any_secret_within_five_minutes_is_believed(secret: str, off: int) -> None:
    verify(BODY, {HEADER: sign(BODY, secret, AT)}, (SECRET, OLD), (AT + off) * 1000)


@pytest.mark.parametrize("off", [-301, 301, 11 * 86400, -11 * 86400])
def test_what_is_signed_at_another_time_is_stale_also_if_it_is_to_come(off: int) -> None:
    assert refusal(sign(BODY, SECRET, AT), at=AT + off) == Reason.STALE


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v1=00",
        f"t={AT}",
        f"t={AT},v1=",
        f"t={AT},v0=" + sign(BODY, SECRET, AT).partition("v1=")[2],
        sign(BODY, "another", AT),
        sign(b"another", SECRET, AT),
        f"t= {AT - 9000},t={AT},v1=" + sign(BODY, SECRET, AT - 9000).partition("v1=")[2],
        f"t={AT},t={AT - 9000},v1=" + sign(BODY, SECRET, AT - 9000).partition("v1=")[2],
        f"t={'9' * 40},v1=00",
        "t=1_0,v1=00",
        "t=\N{SUPERSCRIPT TWO},v1=00",
        "x" * (HEADER_MAX + 1),
    ],
)
def test_what_is_not_signed_is_refused(header: str) -> None:
    assert refusal(header) == Reason.UNSIGNED


def test_while_secrets_are_rolled_one_good_signature_of_several_is_enough() -> None:
    verify(BODY, {HEADER: f"t={AT},v1=00,{sign(BODY, OLD, AT).partition(',')[2]}"}, (SECRET, OLD), AT * 1000)


def test_the_official_library_signs_and_verifies_alike() -> None:
    stripe = pytest.importorskip("stripe", reason="the extra stripe is not installed")
    theirs = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, AT)
    assert theirs == sign(BODY, SECRET, AT)
    assert stripe.WebhookSignature.verify_header(BODY, sign(BODY, SECRET, AT), SECRET, tolerance=None)
