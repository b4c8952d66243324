"""The key that signs seals (Ed25519), and the keys by which they are believed: files in PEM."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gifting.archive.seals import Seal
from gifting.errors import BadSetting

_PEM: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)

Public = Mapping[str, Ed25519PublicKey]
"""Keys that are believed, by their ids."""


def key_id(key: Ed25519PublicKey) -> str:
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


class Signer:
    """Who has the private key. ``believed`` are its public half and the keys before it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key()
        self.id = key_id(self.public)
        self.believed: Public = {self.id: self.public}

    def sign(self, seal: Seal) -> Seal:
        seal = seal._replace(key_id=self.id)
        return seal._replace(signature=self._key.sign(seal.said()))


def is_signed(seal: Seal, public: Public) -> str:
    """'' if one of the keys has signed the seal, else what is wrong."""
    if seal.key_id not in public:
        return f"it is signed by the key {seal.key_id}, which is not known"
    try:
        public[seal.key_id].verify(seal.signature, seal.said())
    except InvalidSignature:
        return "its signature is not of it"
    return ""


def find_signer(path: Path) -> Signer:
    """The key at ``path``, made there if there is none; its public half lies beside it (``.pub``).

    Raises:
        BadSetting: others can read it, or it can't be read or made, or is something else.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            _make(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise BadSetting(f"{path} can be read by others; chmod 600 it.")
        signer = Signer(_private(path, path.read_bytes()))
        _publish(path.with_suffix(".pub"), signer)
        signer.believed = read_public(path)
    except OSError as error:
        raise BadSetting(f"The key of seals can't be kept in {path}: {error.strerror}.") from None
    return signer


def _private(path: Path, data: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadSetting(f"{path} is no Ed25519 key in PEM, without a password.")
    return key


def _make(path: Path) -> None:
    """Whole or not at all: a name of its own first, then a link, which fails if another process was faster."""
    if path.exists():
        return
    data = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    finally:
        draft.unlink()


def _publish(path: Path, signer: Signer) -> None:
    """Keys that signed before stay in the file: a seal is for good."""
    pem = signer.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if not path.exists() or pem not in path.read_bytes():
        with path.open("ab") as file:
            file.write(pem)


def read_public(path: Path) -> Public:
    """The keys by which seals are believed: of a file of public keys, or those beside a private one.

    Raises BadSetting.
    """
    beside = path.with_suffix(".pub")
    source = beside if beside.exists() else path
    try:
        blocks = [match[0] for match in _PEM.finditer(source.read_bytes())]
        keys = [_public_of(block) for block in blocks]
    except OSError as error:
        raise BadSetting(f"The keys of seals can't be read from {source}: {error.strerror}.") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        keys = []
    if not keys:
        raise BadSetting(f"{source} has something else than Ed25519 keys in PEM.")
    return {key_id(key): key for key in keys}


def _public_of(block: bytes) -> Ed25519PublicKey:
    key = load_pem_private_key(block, None) if b"PRIVATE" in block else load_pem_public_key(block)
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    if not isinstance(public, Ed25519PublicKey):
        raise ValueError("no Ed25519 key")  # noqa: TRY004
    return public
