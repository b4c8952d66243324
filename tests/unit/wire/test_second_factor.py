"""The second factor: who has shown one, by what a token says, and for how long that counts."""

from __future__ import annotations

from typing import Any

import pytest

from gifting.errors import BadToken, SecondFactorRequired
from gifting.wire.keyring import Keyring
from gifting.wire.second_factor import FRESH, check_second_factor
from gifting.wire.tokens import METHOD_MAX, METHODS_MAX, Identity, issue, verify
from tests.unit.wire.test_claims import KEYRING, NOW, SECRET, signed

LEEWAY = 30.0


def identity(**claims: Any) -> Identity:
    return verify(KEYRING, signed(**claims), now=NOW)


def check(found: Identity, now: float = NOW) -> None:
    check_second_factor(found, now=now, leeway=LEEWAY)


@pytest.mark.parametrize("methods", [["mfa"], ["pwd", "otp", "mfa"], ["mfa"] * METHODS_MAX])
@pytest.mark.parametrize("at", [NOW, NOW - FRESH + 0.001, NOW - 1, NOW + LEEWAY])
def test_who_has_shown_one_just_now_may(methods: list[str], at: float) -> None:
    found = identity(amr=methods, auth_time=at)
    assert found.mfa_at == at
    check(found)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"amr": ["mfa"]},
        {"auth_time": NOW},
        {"amr": [], "auth_time": NOW},
        {"amr": ["pwd", "otp"], "auth_time": NOW},
        {"amr": ["MFA"], "auth_time": NOW},
        {"amr": ["mfa "], "auth_time": NOW},
        {"amr": ["xmfa", "mf", "a"], "auth_time": NOW},
        {"amr": ["mfa"], "auth_time": 0},
        {"amr": ["mfa"], "auth_time": NOW - FRESH},
        {"amr": ["mfa"], "auth_time": NOW - 10**8},
        {"amr": ["mfa"], "auth_time": NOW + LEEWAY + 0.001},
        {"amr": ["mfa"], "auth_time": NOW * 1000},
        {"acr": "mfa", "auth_time": NOW},
    ],
    ids=str,
)
def test_who_has_not_may_not_and_is_let_in_all_the_same(claims: dict[str, Any]) -> None:
    found = identity(**claims)
    with pytest.raises(SecondFactorRequired):
        check(found)


@pytest.mark.parametrize(
    "wrong",
    [
        {"amr": "mfa"},
        {"amr": {"mfa": 1}},
        {"amr": [["mfa"]]},
        {"amr": [1]},
        {"amr": ["x"] * (METHODS_MAX + 1)},
        {"amr": ["x" * (METHOD_MAX + 1)]},
        {"auth_time": "now"},
        {"auth_time": -1},
        {"auth_time": [NOW]},
        {"auth_time": True},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_claims_of_another_form_are_no_token(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        identity(**({"amr": ["mfa"], "auth_time": NOW} | wrong))


def test_it_is_over_after_ten_minutes_whatever_the_tokens_own_times_are() -> None:
    token = signed(amr=["mfa"], auth_time=NOW, iat=NOW, exp=NOW + 3600)
    check(verify(KEYRING, token, now=NOW), NOW + FRESH - 0.1)
    renewed = signed(amr=["mfa"], auth_time=NOW, iat=NOW + 1000, exp=NOW + 5000)
    for late in (FRESH, FRESH + 1, 3000):
        for found in (verify(KEYRING, token, now=NOW), verify(KEYRING, renewed, now=NOW + 1000)):
            with pytest.raises(SecondFactorRequired):
                check(found, NOW + late)


def test_it_can_only_be_said_by_who_signs() -> None:
    head, payload, signature = signed(amr=["pwd"], auth_time=NOW).split(".")
    forged = signed(amr=["mfa"], auth_time=NOW).split(".")[1]
    for token in (f"{head}.{forged}.{signature}", f"{head}.{forged}."):
        with pytest.raises(BadToken):
            verify(KEYRING, token, now=NOW)
    with pytest.raises(BadToken):
        verify(Keyring(["another secret of 32 bytes or more!"]), f"{head}.{payload}.{signature}", now=NOW)


def test_tokens_made_here_tell_of_one_if_asked_to() -> None:
    with_one = verify(KEYRING, issue(SECRET, "ann", "creator", now=NOW + 0.7, ttl=60, mfa=True), now=NOW)
    check(with_one, NOW + 0.7)
    with pytest.raises(SecondFactorRequired):
        check(verify(KEYRING, issue(SECRET, "ann", "creator", now=NOW, ttl=60), now=NOW))
