"""A JWKS (RFC 7517): the public keys by which a host application's tokens are checked."""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gifting.errors import BadSetting
from gifting.wire.keyring import KID_MAX, Key

log = logging.getLogger(__name__)

JWKS_MAX: Final = 65_536
"""Bytes of a JWKS."""

KEYS_MAX: Final = 32
"""Keys of a JWKS."""

RSA_BITS: Final = range(2048, 8193)
"""Fewer can be broken, more take long to check."""

_ALGORITHMS: Final = {("EC", "P-256"): "ES256", ("RSA", None): "RS256", ("OKP", "Ed25519"): "EdDSA"}
"""Type and curve of a key → the one algorithm that it is for."""

_SECRET_PARTS: Final = {"d", "k", "p", "q", "dp", "dq", "qi", "oth"}


class _Jwks(msgspec.Struct):
    keys: list[dict[str, Any]]


def read_jwks(data: bytes) -> list[Key]:
    """The keys of a JWKS that can be used here; of the others the log says why not.

    Raises:
        BadSetting: it is none, is too large, has no usable key, or has a secret in it.
    """
    if len(data) > JWKS_MAX:
        raise BadSetting(f"The JWKS has more than {JWKS_MAX} bytes.")
    try:
        found = msgspec.json.decode(data, type=_Jwks).keys
    except (ValueError, RecursionError) as error:
        raise BadSetting(f"The JWKS can't be read: {error}.") from None
    if len(found) > KEYS_MAX:
        raise BadSetting(f"The JWKS has more than {KEYS_MAX} keys.")
    if any(_SECRET_PARTS & one.keys() for one in found):
        raise BadSetting("The JWKS has a private or symmetric key in it; whoever could read it has that key now.")
    keys: dict[tuple[str, str], Key] = {}
    for one in found:
        try:
            key = _read_key(one)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            log.warning("a key of the JWKS is left out: %s", str(error)[:200])
            continue
        if keys.setdefault((key.algorithm, key.kid), key) is not key:
            log.warning("a key of the JWKS is left out: another one has its name")
    if not keys:
        raise BadSetting("The JWKS has no key that can be used: ES256, RS256 or EdDSA (Ed25519), for signatures.")
    return list(keys.values())


def _read_key(one: dict[str, Any]) -> Key:
    """Raises ValueError, TypeError and PyJWT's errors."""
    kty, kid = one.get("kty"), one.get("kid", "")
    algorithm = _ALGORITHMS.get((kty, None if kty == "RSA" else one.get("crv")))  # type: ignore[arg-type]
    if algorithm is None or one.get("alg", algorithm) != algorithm:
        raise ValueError("it is for no algorithm that is used here")
    if one.get("use", "sig") != "sig" or "verify" not in one.get("key_ops", ["verify"]):
        raise ValueError("it is not for signatures")
    if not isinstance(kid, str) or len(kid) > KID_MAX:
        raise ValueError(f"its kid is no string of {KID_MAX} characters at most")
    material = jwt.PyJWK(one, algorithm).key
    if isinstance(material, RSAPublicKey) and material.key_size not in RSA_BITS:
        raise ValueError(f"it has {material.key_size} bits, not {RSA_BITS.start} to {RSA_BITS.stop - 1}")
    digest = sha256(msgspec.json.encode(one, order="sorted")).hexdigest()
    return Key(digest, kid, algorithm, material, public=True)
