"""Apple's provider as the settings want it."""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gifting.economy.providers.apple.api import LIVE, SANDBOX, Api, Key
from gifting.economy.providers.apple.provider import Apple
from gifting.economy.providers.apple.signed import App, Signed
from gifting.economy.providers.apple.told import NAME
from gifting.economy.providers.registry import Parts
from gifting.economy.providers.remote import Remote
from gifting.economy.providers.shelf import needed, read_file, shelf_of
from gifting.errors import BadSetting

NEEDED: Final = ("apple_bundle", "apple_roots", "apple_key", "apple_key_id", "apple_issuer")


def make(parts: Parts) -> Apple:
    """Raises BadSetting."""
    settings = parts.settings
    needed(NAME, settings, *NEEDED, *(["apple_app_id"] if settings.stores_live else []))
    app = App(settings.apple_bundle, settings.apple_app_id, settings.stores_live, settings.apple_online_checks)
    roots = [root for path in settings.apple_roots.split(",") for root in read_roots(path.strip())]
    key = Key(settings.apple_key_id, settings.apple_issuer, read_key(settings.apple_key))
    remote = Remote("Apple", settings.apple_api or (LIVE if app.live else SANDBOX))
    api = Api(remote, key, app.bundle)
    return Apple(Signed(roots, app), api, shelf_of(NAME, parts), live=app.live, consent=settings.apple_consent)


def read_roots(path: str) -> list[bytes]:
    """The certificates of a file, as DER, which Apple gives, or PEM. Raises BadSetting."""
    data = read_file("apple_roots", path)
    try:
        if b"-----BEGIN" not in data:
            return [x509.load_der_x509_certificate(data).public_bytes(Encoding.DER)]
        return [one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(data)]
    except ValueError:
        raise BadSetting(f"apple_roots has {path}, which is no certificate.") from None


def read_key(path: str) -> str:
    """The private key of a .p8 file. Raises BadSetting."""
    data = read_file("apple_key", path)
    try:
        if isinstance(load_pem_private_key(data, None), EllipticCurvePrivateKey):
            return data.decode()
    except (ValueError, TypeError):
        pass
    raise BadSetting(f"apple_key is {path}, which is no key of App Store Connect (.p8).")
