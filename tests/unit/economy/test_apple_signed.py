"""What Apple has signed is believed, and nothing else: every part of it can be wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

pytest.importorskip("appstoreserverlibrary")

from gifting.economy.providers.apple.signed import (
    AHEAD,
    ASKED,
    HANDED_IN,
    PUSHED,
    SIGNED_MAX,
    WHOLE,
    App,
    Signed,
    Way,
)
from gifting.economy.providers.base import Reason
from gifting.errors import BadWebhook
from tests.support.apple import APP, BUNDLE, DAY, Certificate, Store, now_ms

ORDER = "0192f0c1-7000-7000-8000-00000000abcd"
STORE = Store()
SANDBOX = Store("Sandbox", root=STORE.root)


def checks(store: Store = STORE, *, live: bool = True, bundle: str = BUNDLE, app: int = APP) -> Signed:
    return Signed([store.root.der], App(bundle, app, live, online=False))


def refusal(signed: str, by: Signed | None = None, way: Way = PUSHED, now: int = 0) -> str:
    """Why a notification is refused."""
    with pytest.raises(BadWebhook) as caught:
        (by or checks()).notification(signed, way, now or now_ms())
    return caught.value.reason


def test_a_notification_is_read_with_its_transaction() -> None:
    bought = STORE.transaction(appAccountToken=ORDER.upper(), revocationDate=5, revocationPercentage=50_000)
    told = checks().notification(STORE.body("REFUND", bought), PUSHED, now_ms())
    assert told.kind == "REFUND"
    assert told.transaction is not None
    assert told.transaction.order == ORDER
    assert (told.transaction.id, told.transaction.product) == (bought["transactionId"], "coins.100")
    assert (told.transaction.revoked_at, told.transaction.revoked_share) == (5, 50_000)
    assert (told.transaction.quantity, told.transaction.consumable) == (1, True)


@pytest.mark.parametrize(
    ("more", "share"),
    [
        ({}, 0),
        ({"revocationPercentage": 50_000}, 0),
        ({"revocationDate": 5}, WHOLE),
        ({"revocationDate": 5, "revocationPercentage": 0}, 0),
        ({"revocationDate": 5, "revocationPercentage": 33_333}, 33_333),
        ({"revocationDate": 5, "revocationPercentage": WHOLE + 1}, WHOLE),
        ({"revocationDate": 5, "revocationPercentage": -1}, 0),
    ],
)
def test_what_was_revoked_is_a_share(more: dict[str, Any], share: int) -> None:
    signed = STORE.sign(STORE.transaction(**more))
    assert checks().transaction(signed, HANDED_IN, now_ms()).revoked_share == share


@pytest.mark.parametrize(
    ("more", "consumable"),
    [
        ({"type": "Non-Consumable"}, False),
        ({"type": None}, False),
        ({"inAppOwnershipType": "FAMILY_SHARED"}, False),
        ({"inAppOwnershipType": None}, True),
    ],
)
def test_only_what_was_bought_to_be_used_up_is_consumable(more: dict[str, Any], consumable: bool) -> None:
    signed = STORE.sign(STORE.transaction(**more))
    assert checks().transaction(signed, HANDED_IN, now_ms()).consumable is consumable


def test_a_chain_of_another_root_is_refused() -> None:
    assert refusal(Store().body("TEST")) == Reason.UNSIGNED


def test_a_chain_whose_root_has_the_same_name_is_refused() -> None:
    """The third certificate of a chain is who signs' own word."""
    assert refusal(Store(root=Certificate("Test Root")).body("TEST")) == Reason.UNSIGNED


@pytest.mark.parametrize("part", ["leaf_mark", "issuer_mark"])
def test_a_certificate_that_is_not_for_this_is_refused(part: str) -> None:
    """The root signs certificates for many purposes; Apple's marks say which are for receipts."""
    marks = {"leaf_mark": "1.2.3.4", "issuer_mark": "1.2.3.4"}
    assert refusal(Store(root=STORE.root, **{part: marks[part]}).body("TEST")) == Reason.UNSIGNED  # type: ignore[arg-type]


def test_a_chain_without_its_leaf_is_refused() -> None:
    other = Store(root=STORE.root)
    body = json.loads('{"notificationType": "TEST"}')
    assert refusal(other.sign(body, x5c=[])) == Reason.UNSIGNED
    assert refusal(STORE.sign(body, x5c=["AAAA"] * 3)) == Reason.UNSIGNED


def test_a_key_that_is_not_the_certificates_is_refused() -> None:
    mixed = Store(root=STORE.root)
    mixed.leaf.key = Certificate("Other").key
    assert refusal(mixed.body("TEST")) == Reason.UNSIGNED


@pytest.mark.parametrize("way", [PUSHED, HANDED_IN])
@pytest.mark.parametrize("which", ["leaf", "issuer"])
def test_the_key_of_a_certificate_that_is_over_signs_nothing_though_it_names_an_old_date(way: Way, which: str) -> None:
    ends = {"leaf_ends" if which == "leaf" else "issuer_ends": timedelta(days=-1)}
    over = Store(root=STORE.root, **ends)  # type: ignore[arg-type]
    old = over.notification("TEST")
    old["signedDate"] = now_ms() - 2 * 86_400_000
    assert refusal(over.sign(old), way=way) == Reason.STALE
    assert checks().notification(over.sign(old), ASKED, now_ms()).kind == "TEST"


def test_what_was_signed_after_its_certificate_was_over_is_refused_also_from_apple() -> None:
    over = Store(root=STORE.root, leaf_ends=timedelta(days=-1))
    assert refusal(over.body("TEST"), way=ASKED) == Reason.UNSIGNED


@pytest.mark.parametrize("way", [PUSHED, HANDED_IN, ASKED])
def test_what_is_too_old_or_of_the_future_is_refused(way: Way) -> None:
    store = Store()
    store.leaf = Certificate("Old Leaf", store.issuer, mark="1.2.840.113635.100.6.11.1", begins=-200 * DAY)
    signed = store.sign(store.notification("TEST") | {"signedDate": (at := now_ms())})
    by = checks(store)
    assert by.notification(signed, way, at - AHEAD).kind == "TEST"
    assert by.notification(signed, way, at + min(way.age, 300 * 86_400_000)).kind == "TEST"
    assert refusal(signed, by, way, at - AHEAD - 1) == Reason.STALE
    assert refusal(signed, by, way, at + way.age + 1) == Reason.STALE


def test_what_does_not_say_when_it_was_signed_is_refused() -> None:
    """The library would check the chain at this moment, and the payload could be of any."""
    undated = STORE.notification("TEST")
    del undated["signedDate"]
    assert refusal(STORE.sign(undated)) == Reason.MALFORMED


@pytest.mark.parametrize(
    ("by", "body"),
    [
        (checks(bundle="com.example.other"), STORE.body("TEST")),
        (checks(app=APP + 1), STORE.body("TEST")),
        (checks(), STORE.body("TEST", bundleId="com.example.other")),
        (checks(), STORE.body("TEST", appAppleId=APP + 1)),
        (checks(), STORE.body("TEST", STORE.transaction(bundleId="com.example.other"))),
        (checks(), STORE.sign({"notificationType": "TEST", "notificationUUID": "1", "signedDate": now_ms()})),
    ],
)
def test_another_application_is_refused(by: Signed, body: str) -> None:
    assert refusal(body, by) == Reason.FOREIGN


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("environment", ["Xcode", "LocalTesting", "Other"])
def test_environments_without_signatures_are_refused_always(environment: str, live: bool) -> None:
    by = checks(live=live)
    assert refusal(STORE.body("TEST", environment=environment), by) == Reason.MODE
    bare = STORE.notification("TEST", environment=environment)
    assert refusal(jwt.encode(bare, "x" * 32, algorithm="HS256"), by) == Reason.UNSIGNED
    assert refusal(jwt.encode(bare, "", algorithm="none"), by) == Reason.UNSIGNED


def test_what_is_of_the_other_mode_is_refused() -> None:
    assert refusal(SANDBOX.body("TEST")) == Reason.MODE
    assert refusal(STORE.body("TEST"), checks(live=False)) == Reason.MODE
    assert refusal(STORE.body("TEST", SANDBOX.transaction())) == Reason.MODE
    assert checks(live=False).notification(SANDBOX.body("TEST"), PUSHED, now_ms()).kind == "TEST"


def test_a_payload_that_was_altered_is_refused() -> None:
    head, payload, signature = STORE.body("TEST").split(".")
    other = STORE.body("REFUND").split(".")[1]
    assert refusal(f"{head}.{other}.{signature}") == Reason.UNSIGNED
    assert refusal(f"{head}.{payload}.{signature[:-4]}AAAA") == Reason.UNSIGNED


def test_what_makes_no_sense_is_refused_though_it_is_signed() -> None:
    assert refusal(STORE.sign(STORE.notification("TEST") | {"notificationUUID": None})) == Reason.MALFORMED
    assert refusal(STORE.sign(STORE.notification("TEST") | {"data": {"appAppleId": {}}})) == Reason.MALFORMED
    assert refusal("x" * (SIGNED_MAX + 1)) == Reason.MALFORMED
    for missing in ("transactionId", "productId", "purchaseDate"):
        with pytest.raises(BadWebhook):
            checks().transaction(STORE.sign(STORE.transaction(**{missing: None})), HANDED_IN, now_ms())
