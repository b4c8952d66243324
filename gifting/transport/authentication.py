"""Who may come in: tokens by the keys that are believed, unless they are revoked."""

from __future__ import annotations

import time

from gifting.config import Settings
from gifting.errors import TokenInUrl, TokenRevoked
from gifting.ledger.revocations import Revocations
from gifting.wire.keyring import Keyring
from gifting.wire.tokens import Identity, Rules
from gifting.wire.verifier import Verifier


class Authenticator:
    """What this process knows of keys and of revocations."""

    def __init__(self, keyring: Keyring, revocations: Revocations, settings: Settings) -> None:
        self._verifier = Verifier(keyring, Rules.of(settings))
        self._revocations = revocations

    @property
    def keyring(self) -> Keyring:
        return self._verifier.keyring

    def authenticate(self, token: str, *, in_url: bool = False) -> Identity:
        """Who a token speaks for; ``in_url`` says that it came in an address, where proxies log it.

        Raises:
            BadToken, UnknownSigner, TokenExpired, TokenRevoked.
            TokenInUrl: only an overlay's may be there, which can't spend.
        """
        identity = self._verifier.verify(token, now=time.time())
        if in_url and identity.role != "overlay":
            raise TokenInUrl
        if self._revocations.covers(identity):
            raise TokenRevoked
        return identity

    def revoked(self, identity: Identity) -> bool:
        """Whether the token of one who came in, or its key, is good no longer."""
        return self._revocations.covers(identity) or identity.key not in self.keyring.ids

    def rekey(self, keyring: Keyring) -> bool:
        """Believe these keys from now on. True if some are believed no longer."""
        gone = self.keyring.ids - keyring.ids
        self._verifier.rekey(keyring)
        return bool(gone)

    async def sync(self) -> bool:
        """Learn what was revoked meanwhile; whether anything was. Raises Unavailable."""
        return await self._revocations.sync()
