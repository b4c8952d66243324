"""Tokens that were verified before are known again."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from gifting.errors import TokenExpired
from gifting.wire.keyring import Keyring
from gifting.wire.tokens import Identity, Rules, verify

KNOWN_MAX: Final = 20_000
"""Good tokens remembered, about 100 bytes each besides what their connections hold anyway."""


class Verifier:
    """:func:`verify` with memory: clients come back with the token they have."""

    def __init__(self, keyring: Keyring, rules: Rules) -> None:
        self.keyring = keyring
        self._rules = rules
        self._known: dict[bytes, Identity] = {}

    def verify(self, token: str, *, now: float) -> Identity:
        """Raises BadToken, UnknownSigner, TokenExpired."""
        digest = sha256(token.encode(errors="replace")).digest()
        identity = self._known.get(digest)
        if identity is None:
            identity = verify(self.keyring, token, now=now, rules=self._rules)
            while len(self._known) >= KNOWN_MAX:
                del self._known[next(iter(self._known))]
            self._known[digest] = identity
        elif identity.expires <= now:
            raise TokenExpired
        return identity

    def rekey(self, keyring: Keyring) -> None:
        """Believe these keys from now on, and no token by another that was known before."""
        self.keyring = keyring
        self._known = {digest: known for digest, known in self._known.items() if known.key in keyring.ids}
