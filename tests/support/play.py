"""A Google of the test's own: service account tokens, its certificates, and the purchases of one application."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from tests.support.http_server import Answer, Asked, HttpServer
from tests.support.shelf import ORDER, PRODUCT

PACKAGE = "com.example.live"
AUDIENCE = "https://live.example/v1/webhooks/google"
PUSHER = "push@project.iam.gserviceaccount.com"
SERVER = "server@project.iam.gserviceaccount.com"

OURS = rsa.generate_private_key(65537, 2048)
"""The key of our service account."""
GOOGLES = rsa.generate_private_key(65537, 2048)
OTHER = rsa.generate_private_key(65537, 2048)

_V3 = f"/androidpublisher/v3/applications/{PACKAGE}"


def certificate(key: rsa.RSAPrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "google")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def push_token(key: rsa.RSAPrivateKey = GOOGLES, kid: str = "g1", **more: Any) -> str:
    """The ``Authorization`` of a push; a claim that is None is left out."""
    now = int(time.time())
    usual = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "email": PUSHER, "email_verified": True}
    claims = {**usual, "iat": now, "exp": now + 3600, "sub": "1", **more}
    left = {name: value for name, value in claims.items() if value is not None}
    return "Bearer " + jwt.encode(left, key, algorithm="RS256", headers={"kid": kid} if kid else {})


def push(at: int = 0, package: str = PACKAGE, **notification: Any) -> bytes:
    """The body of a push."""
    told = {"version": "1.0", "packageName": package, "eventTimeMillis": str(at or round(time.time() * 1000))}
    data = base64.b64encode(json.dumps({**told, **notification}).encode()).decode()
    return json.dumps({"message": {"data": data, "messageId": "1"}, "subscription": "projects/p/s"}).encode()


def bought_push(token: str = "t1", kind: int = 1, **more: Any) -> bytes:
    return push(**more, oneTimeProductNotification={"version": "1.0", "notificationType": kind, "purchaseToken": token})


def a_purchase(**more: Any) -> dict[str, Any]:
    """A ``ProductPurchaseV2``; what is None is left out."""
    usual = {
        "kind": "androidpublisher#productPurchaseV2",
        "productLineItem": [{"productId": PRODUCT, "productOfferDetails": {"quantity": 1, "refundableQuantity": 1}}],
        "purchaseStateContext": {"purchaseState": "PURCHASED"},
        "orderId": "GPA.1",
        "obfuscatedExternalProfileId": ORDER,
        "regionCode": "US",
        "purchaseCompletionTime": "2026-11-26T20:00:00.123456789Z",
        "acknowledgementState": "ACKNOWLEDGEMENT_STATE_PENDING",
    }
    return {name: value for name, value in {**usual, **more}.items() if value is not None}


class Play:
    """``purchases`` are by token; ``down`` is how many calls fail before one does not."""

    def __init__(self) -> None:
        self.purchases: dict[str, dict[str, Any]] = {"t1": a_purchase()}
        self.voided: list[dict[str, Any]] = []
        self.orders: dict[str, str] = {}
        self.certificates: dict[str, str] = {"g1": certificate(GOOGLES)}
        self.reviews: list[dict[str, Any]] = []
        self.tokens = 0
        self.down: dict[str, int] = {}
        self.page = 1000
        self.server = HttpServer(self.answer)

    async def __aenter__(self) -> Play:
        await self.server.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.server.__aexit__(*error)

    @property
    def account(self) -> str:
        """The file of our service account."""
        pem = OURS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        told = {"type": "service_account", "private_key_id": "k1", "private_key": pem, "client_email": SERVER}
        return json.dumps({**told, "token_uri": f"{self.server.url}/token"})

    def consumed(self, token: str = "t1") -> bool:
        details = self.purchases[token]["productLineItem"][0]["productOfferDetails"]
        return bool(details.get("consumptionState") == "CONSUMPTION_STATE_CONSUMED")

    def asked(self, part: str) -> list[Asked]:
        return [asked for asked in self.server.asked if part in asked.path]

    def answer(self, asked: Asked) -> Answer:
        for part, left in self.down.items():
            if part in asked.path and left:
                self.down[part] = left - 1
                return 503, {}
        if asked.path == "/token":
            return self._token(asked)
        if asked.path == "/oauth2/v1/certs":
            return 200, self.certificates
        if asked.headers.get("authorization") != f"Bearer access-{self.tokens}":
            return 401, {"error": "who are you?"}
        return self._play(asked, asked.path.removeprefix(_V3))

    def _token(self, asked: Asked) -> Answer:
        form = parse_qs(asked.body.decode())
        public = OURS.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        claims = jwt.decode(
            form["assertion"][0], public, algorithms=["RS256"], audience=f"{self.server.url}/token", issuer=SERVER
        )
        assert claims["scope"] == "https://www.googleapis.com/auth/androidpublisher"
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        self.tokens += 1
        return 200, {"access_token": f"access-{self.tokens}", "expires_in": 3600, "token_type": "Bearer"}

    def _play(self, asked: Asked, path: str) -> Answer:
        parts = path.split("/")[1:]
        match asked.method, *parts:
            case "GET", "purchases", "productsv2", "tokens", token if token in self.purchases:
                return 200, self.purchases[token]
            case "POST", "purchases", "products", product, "tokens", verb if verb.endswith(":consume"):
                return self._consume(product, verb.removesuffix(":consume"))
            case "GET", "purchases", "voidedpurchases":
                return self._voided(asked.query)
            case "GET", "orders", order if order in self.orders:
                return 200, {"orderId": order, "state": self.orders[order]}
            case "POST", "orders", verb if verb.endswith(":refund"):
                return self._refund(verb.removesuffix(":refund"))
            case "POST", "orders", verb if verb.endswith(":reviewrefund"):
                self.reviews.append({"order": verb.removesuffix(":reviewrefund"), **asked.json})
                return 200, b""
        return 404, {"error": {"code": 404}}

    def _consume(self, product: str, token: str) -> Answer:
        bought = self.purchases.get(token)
        if bought is None or bought["productLineItem"][0]["productId"] != product or self.consumed(token):
            return 400, {"error": "productNotOwnedByUser"}
        bought["productLineItem"][0]["productOfferDetails"]["consumptionState"] = "CONSUMPTION_STATE_CONSUMED"
        bought["acknowledgementState"] = "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED"
        return 204, b""

    def _voided(self, query: dict[str, str]) -> Answer:
        since, until, at = int(query["startTime"]), int(query["endTime"]), int(query.get("token", 0))
        if since < time.time() * 1000 - 30 * 86_400_000:
            return 400, {"error": "too far back"}
        found = [one for one in self.voided if since <= int(one["voidedTimeMillis"]) <= until]
        page: dict[str, Any] = {"voidedPurchases": found[at : at + self.page]}
        if at + self.page < len(found):
            page["tokenPagination"] = {"nextPageToken": str(at + self.page)}
        return 200, page

    def _refund(self, order: str) -> Answer:
        if self.orders.get(order) != "PROCESSED":
            return 400, {"error": "orderNotRefundable"}
        self.orders[order] = "REFUNDED"
        return 204, b""
