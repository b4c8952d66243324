"""What Apple has signed, a notification or a transaction: believed only after its chain of certificates, its
application, its environment and its time are those that this server expects.

The library checks the chain at the time that the payload names itself. So whoever has the key of a certificate that
is long over could still sign, and would only have to name an old date: the certificates must hold now as well, and
what was signed must be neither old nor of the future. Two environments of Apple's are not signed at all, and the
library takes them as they are where it is told to expect them; it never is.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

import jwt
import msgspec
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.models.JWSTransactionDecodedPayload import JWSTransactionDecodedPayload
from appstoreserverlibrary.models.ResponseBodyV2DecodedPayload import ResponseBodyV2DecodedPayload
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier, VerificationException, VerificationStatus
from cryptography import x509

from gifting.economy.providers.base import Reason, refused
from gifting.errors import ProviderFailed

SIGNED_MAX: Final = 64 * 1024
"""Characters of a signed payload. Apple's have about 6,000, two thirds of them certificates."""

AHEAD: Final = 300_000
"""ms by which Apple's clock may be ahead of ours."""

WHOLE: Final = 100_000
"""All of something, in Apple's milliunits of a percentage."""

_DAY: Final = 86_400_000

_REASONS: Final = {
    VerificationStatus.INVALID_APP_IDENTIFIER: Reason.FOREIGN,
    VerificationStatus.INVALID_ENVIRONMENT: Reason.MODE,
}


class Way(NamedTuple):
    """How something signed came here.

    Args:
        age: ms since it was signed, at most.
        certificates: whether its certificates must hold now, and not only when it was signed.
    """

    age: int
    certificates: bool


PUSHED: Final = Way(4 * _DAY, certificates=True)
"""By webhook: Apple sends again for 3 days."""

HANDED_IN: Final = Way(180 * _DAY, certificates=True)
"""By the buyer's device, which keeps a transaction until the app has finished it."""

ASKED: Final = Way(181 * _DAY, certificates=False)
"""As an answer of Apple's own server, which remembers 180 days."""


class App(NamedTuple):
    """Whose notifications are believed.

    Args:
        bundle: the bundle id, such as ``com.example.live``.
        id: the app's number in the App Store, which only live notifications have.
        live: real purchases; else those of Apple's sandbox, and never both.
        online: whether Apple is asked if a certificate was revoked.
    """

    bundle: str
    id: int
    live: bool
    online: bool


class Transaction(msgspec.Struct, frozen=True):
    """One purchase as Apple tells it. Times are ms since 1970; ``order`` is the ``appAccountToken``, '' for none."""

    id: str
    order: str
    product: str
    quantity: int
    consumable: bool
    bought_at: int
    revoked_at: int = 0
    revoked_share: int = 0
    """Of :data:`WHOLE`, what was refunded; 0 where nothing was."""


class Notification(msgspec.Struct, frozen=True):
    """``kind`` is Apple's ``notificationType``, also one that is not known here."""

    id: str
    kind: str
    signed_at: int
    transaction: Transaction | None


class _Dated(Protocol):
    signedDate: int | None  # noqa: N815


class Signed:
    """Checks what is signed for one application. Blocks, for seconds where ``app.online``."""

    def __init__(self, roots: list[bytes], app: App) -> None:
        environment = Environment.PRODUCTION if app.live else Environment.SANDBOX
        self._verifier = SignedDataVerifier(roots, app.online, environment, app.bundle, app.id)

    def notification(self, signed: str, way: Way, now_ms: int) -> Notification:
        """Raises BadWebhook, and ProviderFailed where Apple can't be asked about a certificate."""
        _check_size(signed)
        try:
            told = self._verifier.verify_and_decode_notification(signed)
        except Exception as error:
            raise _refusal(error) from None
        _check_time(signed, told, way, now_ms)
        inner = told.data.signedTransactionInfo if told.data else None
        transaction = self.transaction(inner, way, now_ms) if inner else None
        return _notification(told, transaction)

    def transaction(self, signed: str, way: Way, now_ms: int) -> Transaction:
        """As :meth:`notification`."""
        _check_size(signed)
        try:
            told = self._verifier.verify_and_decode_signed_transaction(signed)
        except Exception as error:
            raise _refusal(error) from None
        _check_time(signed, told, way, now_ms)
        return _transaction(told)


def _check_size(signed: str) -> None:
    if len(signed) > SIGNED_MAX:
        raise refused(Reason.MALFORMED, f"It is longer than {SIGNED_MAX} characters.")


def _refusal(error: Exception) -> Exception:
    """What a failure of the library means; what it does not foresee itself is a payload that makes no sense."""
    if not isinstance(error, VerificationException):
        return refused(Reason.MALFORMED)
    if error.status is VerificationStatus.RETRYABLE_VERIFICATION_FAILURE:
        return ProviderFailed("Apple can't be asked whether a certificate was revoked.")
    return refused(_REASONS.get(error.status, Reason.UNSIGNED), error.status.name.lower())


def _check_time(signed: str, told: _Dated, way: Way, now_ms: int) -> None:
    if told.signedDate is None:
        raise refused(Reason.MALFORMED, "It does not say when it was signed.")
    if not now_ms - way.age <= told.signedDate <= now_ms + AHEAD:
        raise refused(Reason.STALE)
    if way.certificates and not _certificates_hold(signed, now_ms):
        raise refused(Reason.STALE, "A certificate is over.")


def _certificates_hold(signed: str, now_ms: int) -> bool:
    """Of those that the library has found to lead to a root: the first two, since the third is read from our own."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    encoded = jwt.get_unverified_header(signed)["x5c"][:2]
    made = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in encoded]
    return all(one.not_valid_before_utc <= now <= one.not_valid_after_utc for one in made)


def _notification(told: ResponseBodyV2DecodedPayload, transaction: Transaction | None) -> Notification:
    if not told.notificationUUID or not told.rawNotificationType:
        raise refused(Reason.MALFORMED, "It has no id or no type.")
    return Notification(told.notificationUUID, told.rawNotificationType, told.signedDate or 0, transaction)


def _transaction(told: JWSTransactionDecodedPayload) -> Transaction:
    if not told.transactionId or not told.productId or not told.purchaseDate:
        raise refused(Reason.MALFORMED, "It names no transaction, product or time.")
    return Transaction(
        id=told.transactionId,
        order=(told.appAccountToken or "").lower(),
        product=told.productId,
        quantity=1 if told.quantity is None else told.quantity,
        consumable=told.rawType == "Consumable" and told.rawInAppOwnershipType in (None, "PURCHASED"),
        bought_at=told.purchaseDate,
        revoked_at=told.revocationDate or 0,
        revoked_share=_share(told),
    )


def _share(told: JWSTransactionDecodedPayload) -> int:
    """Without a percentage, of Apple's older payloads, a revocation is of everything."""
    if not told.revocationDate:
        return 0
    return WHOLE if told.revocationPercentage is None else max(0, min(told.revocationPercentage, WHOLE))
