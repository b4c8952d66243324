"""The stores as a server has them: made from settings, over the ledger's own orders, from the receipt to the refund."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("appstoreserverlibrary")
pytest.importorskip("google.auth")

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gifting import config
from gifting.economy.providers.base import Provider, RefundRequest, Told
from gifting.economy.providers.registry import Parts, make_providers
from gifting.errors import BadSetting
from gifting.model.consequences import State, state
from gifting.model.effects import Effect, order_id
from gifting.model.money import parse_key
from gifting.model.orders import Order
from gifting.model.prices import load_prices
from gifting.model.regions import load_regions
from tests.support.apple import APP, BUNDLE, Certificate, Store, now_ms
from tests.support.play import AUDIENCE, PACKAGE, PUSHER, Play, a_purchase, bought_push, push, push_token
from tests.support.shelf import an_order
from tests.support.world import World

STORE = Store()
PRICES = load_prices("", load_regions("").ids)


def of_apple(folder: Path, **more: Any) -> dict[str, Any]:
    """Settings of Apple's provider, with its files in a folder."""
    roots = [folder / "root.cer", folder / "others.pem"]
    roots[0].write_bytes(STORE.root.der)
    roots[1].write_bytes(b"".join(Certificate(name).made.public_bytes(Encoding.PEM) for name in ("A", "B")))
    key = folder / "key.p8"
    key.write_bytes(STORE.leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    usual = {
        "apple_bundle": BUNDLE,
        "apple_app_id": APP,
        "apple_roots": ", ".join(map(str, roots)),
        "apple_key": str(key),
        "apple_key_id": "K1",
        "apple_issuer": "issuer",
        "apple_online_checks": False,
    }
    return {**usual, **more}


def of_google(folder: Path, play: Play, **more: Any) -> dict[str, Any]:
    account = folder / "account.json"
    account.write_text(play.account)
    usual = {
        "google_package": PACKAGE,
        "google_service_account": str(account),
        "google_push_audience": AUDIENCE,
        "google_push_account": PUSHER,
        "google_api": play.server.url,
    }
    return {**usual, **more}


def made(world: World, name: str, settings: dict[str, Any]) -> Provider:
    loaded = config.load({"providers": name, **settings}, {})
    return make_providers(Parts(loaded, world.ledger, lambda: ["s" * 32], lambda: PRICES))[name]


async def begin(world: World, provider: str) -> Order:
    """An order of 20 coins by ``ann``."""
    key = parse_key(world.key())
    order = an_order(provider, id=order_id("ann", key), package="coins-20", coins=20, price=30, withdraw_days=14)
    return await world.ledger.orders.open(order, lambda _: None)


async def taken(world: World, told: list[Told]) -> Order:
    """What is told is made true."""
    orders = [(await world.ledger.orders.apply(one)).order for one in told if isinstance(one, Effect)]
    return orders[-1]


async def coins(world: World) -> tuple[int, int]:
    account = (await world.ledger.orders.held("ann")).account
    return account.coins, account.debt


async def test_apple_from_the_receipt_to_a_refund_that_is_reversed(world: World, tmp_path: Path) -> None:
    apple = made(world, "apple", of_apple(tmp_path))
    order = await begin(world, "apple")
    bought = STORE.transaction(appAccountToken=order.id, productId="coins.20", transactionId="77")
    had, _ = await coins(world)

    async def notified(kind: str, **more: Any) -> Order:
        body = json.dumps({"signedPayload": STORE.body(kind, bought | more)}).encode()
        return await taken(world, list(await apple.verify(body, {}, now_ms())))

    for _ in range(2):
        order = await taken(world, list(await apple.claim(order, STORE.sign(bought))))
    order = await notified("ONE_TIME_CHARGE")
    assert (state(order), await coins(world)) == (State.PAID, (had + 20, 0))
    for _ in range(2):
        order = await notified("REFUND", revocationDate=now_ms() - 60_000, revocationPercentage=50_000)
    assert (state(order), await coins(world)) == (State.PARTLY_REFUNDED, (had + 10, 0))
    order = await notified("REFUND_REVERSED")
    assert (state(order), await coins(world)) == (State.PAID, (had + 20, 0))


async def test_google_from_the_push_to_what_is_voided(world: World, tmp_path: Path) -> None:
    async with Play() as play:
        google = made(world, "google", of_google(tmp_path, play))
        order = await begin(world, "google")
        named = {"obfuscatedExternalProfileId": order.id}
        item = {"productId": "coins.20", "productOfferDetails": {"quantity": 1}}
        play.purchases["t1"] = a_purchase(**named, productLineItem=[item])
        had, _ = await coins(world)

        async def pushed(body: bytes) -> list[Told]:
            return list(await google.verify(body, {"authorization": push_token()}, now_ms()))

        order = await taken(world, await pushed(bought_push()))
        assert not play.consumed()
        await google.delivered(order)
        assert play.consumed()
        assert (state(order), await coins(world)) == (State.PAID, (had + 20, 0))
        review = {"pendingRefundToken": "p", "orderId": "GPA.1"}
        (asked,) = await pushed(push(pendingRefundReviewNotification=review))
        assert isinstance(asked, RefundRequest)
        assert asked.order == order.id
        play.voided = [{"orderId": "GPA.1", "purchaseToken": "t1", "voidedTimeMillis": str(now_ms() - 1000)}]
        order = await taken(world, list(await google.reconcile(0)))
        assert (state(order), await coins(world)) == (State.REFUNDED, (had, 0))
        await google.close()


async def test_a_product_is_of_the_prices_that_hold(world: World, tmp_path: Path) -> None:
    apple = made(world, "apple", of_apple(tmp_path))
    order = await begin(world, "apple")
    assert (await apple.create(order, "")).url == ""
    assert not list(
        await apple.verify(
            json.dumps({"signedPayload": STORE.body("ONE_TIME_CHARGE", STORE.transaction(productId="hat"))}).encode(),
            {},
            now_ms(),
        )
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *[(name, "") for name in ("apple_bundle", "apple_roots", "apple_key", "apple_key_id", "apple_issuer")],
        ("apple_app_id", 0),
        *[(name, "/nowhere") for name in ("apple_roots", "apple_key")],
        *[(name, __file__) for name in ("apple_roots", "apple_key")],
    ],
)
async def test_a_setting_of_apples_that_is_wrong_is_named(
    world: World, tmp_path: Path, setting: str, value: str | int
) -> None:
    with pytest.raises(BadSetting, match=setting):
        made(world, "apple", of_apple(tmp_path, **{setting: value}))


async def test_the_number_of_an_application_is_of_live_mode(world: World, tmp_path: Path) -> None:
    assert not made(world, "apple", of_apple(tmp_path, apple_app_id=0, stores_live=False)).live


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("google_package", ""),
        ("google_push_audience", ""),
        ("google_push_account", ""),
        ("google_service_account", ""),
        ("google_service_account", "/nowhere"),
        ("google_service_account", __file__),
    ],
)
async def test_a_setting_of_googles_that_is_wrong_is_named(
    world: World, tmp_path: Path, setting: str, value: str
) -> None:
    async with Play() as play:
        with pytest.raises(BadSetting, match=setting):
            made(world, "google", of_google(tmp_path, play, **{setting: value}))


WITHOUT = """
import sys
sys.modules[sys.argv[2]] = None
from gifting import config
from gifting.economy.providers.registry import Parts, make_providers
make_providers(Parts(config.load({"providers": sys.argv[1]}, {}), None, None, None))
"""


@pytest.mark.parametrize(("name", "library"), [("apple", "appstoreserverlibrary"), ("google", "google.auth")])
def test_without_its_library_a_store_names_the_extra(name: str, library: str) -> None:
    """In a process of its own, as a module that is imported once stays."""
    done = subprocess.run([sys.executable, "-c", WITHOUT, name, library], capture_output=True, text=True, check=False)
    assert "MissingExtra" in done.stderr
    assert f"The provider {name} needs {library}" in done.stderr
    assert f"pip install 'gifting[{name}]'." in done.stderr
