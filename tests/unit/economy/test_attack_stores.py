"""What strangers send as a store's word: bytes flipped, cut, repeated, of other algorithms, large and deep.

It is refused for a reason or it is what the store signed; nothing else comes out, and nothing takes long.
"""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

pytest.importorskip("appstoreserverlibrary")
pytest.importorskip("google.auth")

from gifting.economy.providers.apple.signed import PUSHED, SIGNED_MAX, App, Signed
from gifting.economy.providers.base import Reason
from gifting.economy.providers.google.told import read_notice, read_purchase
from gifting.errors import BadWebhook
from tests.support.apple import APP, BUNDLE, Store, now_ms
from tests.support.play import PACKAGE, a_purchase, bought_push

pytestmark = pytest.mark.attack

STORE = Store()
CHECKS = Signed([STORE.root.der], App(BUNDLE, APP, live=True, online=False))
GOOD = STORE.body("ONE_TIME_CHARGE", STORE.transaction())
NOW = now_ms()
TOLD = CHECKS.notification(GOOD, PUSHED, NOW)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/\n\x00é"


def outcome(signed: str) -> str:
    """Why it is refused, or '' where it is what Apple signed; anything else fails the test."""
    try:
        assert CHECKS.notification(signed, PUSHED, NOW) == TOLD
    except BadWebhook as error:
        return error.reason
    return ""


def changed(good: str, rng: random.Random) -> Iterator[str]:
    at = rng.randrange(len(good))
    other = rng.randrange(len(good))
    letter = rng.choice(LETTERS)
    yield good[:at] + letter + good[at + 1 :]
    yield good[:at] + letter + good[at:]
    yield good[:at] + good[at + 1 :]
    yield good[:at]
    yield good[at:]
    yield good[: min(at, other)] + good[max(at, other) :]
    yield good + good[at:]


def test_no_change_of_what_is_signed_makes_another_thing_believed() -> None:
    rng = random.Random(9)
    seen = [outcome(one) for _ in range(300) for one in changed(GOOD, rng)]
    assert seen.count(Reason.UNSIGNED) > 1000


def test_every_part_is_under_the_signature() -> None:
    """The last character of a part has bits that mean nothing; in all others one letter is another payload."""
    rng = random.Random(10)
    head, payload, signature = GOOD.split(".")
    for part, place in ((head, 0), (payload, 1), (signature, 2)):
        for at in rng.sample(range(len(part) - 1), 40):
            parts = [head, payload, signature]
            swap = rng.choice([letter for letter in LETTERS[:64] if letter != part[at]])
            parts[place] = part[:at] + swap + part[at + 1 :]
            assert outcome(".".join(parts)), (place, at)


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS512"])
def test_the_public_key_is_no_secret(algorithm: str) -> None:
    """As the oldest trick has it: the certificate's own bytes as the secret of a MAC."""
    chain = jwt.get_unverified_header(GOOD)["x5c"]
    claims = STORE.notification("REFUND")
    key = "" if algorithm == "none" else chain[0]
    assert outcome(jwt.encode(claims, key, algorithm=algorithm, headers={"x5c": chain})) == Reason.UNSIGNED


def forged(head: Any, payload: Any) -> str:
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"x" * 64))


CHAIN = jwt.get_unverified_header(GOOD)["x5c"]


@pytest.mark.parametrize(
    "x5c",
    [
        *(None, [], [""], [1], 7, {}, "x", CHAIN[0], CHAIN[:1], CHAIN[:2], [*CHAIN, CHAIN[2]], CHAIN[::-1]),
        [CHAIN[0]] * 3,
        [CHAIN[2]] * 3,
        ["A" * 4000] * 3,
        [CHAIN[0]] * 10,
        [[[]]] * 3,
        [CHAIN[0] + "\n", *CHAIN[1:]],
    ],
)
def test_a_chain_can_be_anything(x5c: Any) -> None:
    claims = STORE.notification("TEST")
    assert outcome(forged({"alg": "ES256", "x5c": x5c}, claims)) == Reason.UNSIGNED
    assert outcome(STORE.sign(claims, x5c=x5c)) in (Reason.UNSIGNED, Reason.MALFORMED)


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"null", b"7", b'"x"', b"[" * 40_000, b'{"a":' * 8_000, b"\xff\xfe", b'{"signedDate": 1e400}'],
)
def test_a_payload_can_be_anything(payload: bytes) -> None:
    assert outcome(forged({"alg": "ES256", "x5c": CHAIN}, payload)) == Reason.UNSIGNED


@pytest.mark.parametrize("date", [0, -1, 2**63, 10**30, 1e300, "x", [], {}, True, "9" * 5000])
def test_a_date_can_be_anything(date: Any) -> None:
    claims = STORE.notification("TEST") | {"signedDate": date}
    assert outcome(forged({"alg": "ES256", "x5c": CHAIN}, claims)) == Reason.UNSIGNED
    assert outcome(STORE.sign(claims)) in (Reason.UNSIGNED, Reason.MALFORMED, Reason.STALE)


def test_what_is_large_is_refused_at_once() -> None:
    began = time.thread_time()
    for filled in ("A" * 10**6, "." * 10**6, GOOD + "A" * SIGNED_MAX):
        assert outcome(filled) == Reason.MALFORMED
    assert outcome("." * SIGNED_MAX) == Reason.UNSIGNED
    assert time.thread_time() - began < 1


def test_a_push_of_anything_is_refused_or_what_was_pushed() -> None:
    rng = random.Random(11)
    good = bought_push().decode()
    told = read_notice(good.encode(), PACKAGE)
    for _ in range(300):
        for one in changed(good, rng):
            try:
                read = read_notice(one.encode(), PACKAGE)
            except BadWebhook:
                continue
            assert read.packageName == told.packageName


def test_an_answer_of_anything_is_refused_or_a_purchase() -> None:
    rng = random.Random(12)
    strange: tuple[Any, ...] = (
        None,
        0,
        -1,
        2**70,
        1.5,
        True,
        "",
        "x",
        [],
        [[]],
        [7],
        [{}],
        {},
        {"productId": 7},
        "PURCHASED",
    )
    for _ in range(3000):
        told = json.loads(json.dumps(a_purchase()))
        place = told
        while rng.random() < 0.6 and (inner := [one for one in place.values() if isinstance(one, dict | list) and one]):
            chosen = rng.choice(inner)
            place = chosen[0] if isinstance(chosen, list) else chosen
        place[rng.choice(list(place))] = rng.choice(strange)
        try:
            bought = read_purchase(told)
        except BadWebhook:
            continue
        assert isinstance(bought.order, str)
        assert isinstance(bought.quantity, int)
