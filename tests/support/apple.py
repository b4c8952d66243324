"""An App Store of the test's own: a root, the chain of certificates below it with Apple's marks, and what it signs."""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

LEAF_MARK = "1.2.840.113635.100.6.11.1"
ISSUER_MARK = "1.2.840.113635.100.6.2.1"
DAY = timedelta(days=1)

BUNDLE, APP = "com.example.live", 123456789


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


class Certificate:
    """One of a chain, and its key."""

    def __init__(
        self,
        name: str,
        issuer: Certificate | None = None,
        *,
        mark: str = "",
        ends: timedelta = 365 * DAY,
        begins: timedelta = -10 * DAY,
        ocsp: str = "",
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by = issuer or self
        now = datetime.now(UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.made.subject if issuer else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), critical=False)
        )
        if mark != LEAF_MARK:
            built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            built = built.add_extension(_signs(certificates=True), critical=True)
        else:
            built = built.add_extension(_signs(certificates=False), critical=True)
        if mark:
            oid = x509.ObjectIdentifier(mark)
            built = built.add_extension(x509.UnrecognizedExtension(oid, b"\x05\x00"), critical=False)
        if ocsp:
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp))
            built = built.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        self.made: x509.Certificate = built.sign(by.key, hashes.SHA256())

    @property
    def der(self) -> bytes:
        return self.made.public_bytes(Encoding.DER)


def _signs(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class Store:
    """Signs as the App Store does, for ``environment``; each of its certificates can be another."""

    def __init__(
        self,
        environment: str = "Production",
        *,
        root: Certificate | None = None,
        leaf_mark: str = LEAF_MARK,
        issuer_mark: str = ISSUER_MARK,
        leaf_ends: timedelta = 365 * DAY,
        issuer_ends: timedelta = 365 * DAY,
        ocsp: str = "",
    ) -> None:
        self.environment = environment
        self.root = root or Certificate("Test Root")
        self.issuer = Certificate("Test Issuer", self.root, mark=issuer_mark, ends=issuer_ends, ocsp=ocsp)
        self.leaf = Certificate("Test Leaf", self.issuer, mark=leaf_mark, ends=leaf_ends, ocsp=ocsp)

    def sign(self, payload: dict[str, Any], *, algorithm: str = "ES256", **head: Any) -> str:
        chain = [base64.b64encode(one.der).decode() for one in (self.leaf, self.issuer, self.root)]
        return jwt.encode(payload, self.leaf.key, algorithm=algorithm, headers={"x5c": chain, **head})

    def transaction(self, **more: Any) -> dict[str, Any]:
        now = now_ms()
        usual = {
            "transactionId": "2000000000000001",
            "originalTransactionId": "2000000000000001",
            "bundleId": BUNDLE,
            "productId": "coins.100",
            "purchaseDate": now,
            "quantity": 1,
            "type": "Consumable",
            "inAppOwnershipType": "PURCHASED",
            "signedDate": now,
            "environment": self.environment,
            "storefront": "USA",
            "price": 1990,
            "currency": "USD",
        }
        return {name: value for name, value in {**usual, **more}.items() if value is not None}

    def notification(self, kind: str, transaction: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """``more`` is of its ``data``."""
        signed = {} if transaction is None else {"signedTransactionInfo": self.sign(transaction)}
        data = {"appAppleId": APP, "bundleId": BUNDLE, "environment": self.environment, **signed, **more}
        return {
            "notificationType": kind,
            "notificationUUID": str(uuid.uuid4()),
            "version": "2.0",
            "signedDate": now_ms(),
            "data": data,
        }

    def body(self, kind: str, transaction: dict[str, Any] | None = None, **more: Any) -> str:
        return self.sign(self.notification(kind, transaction, **more))
