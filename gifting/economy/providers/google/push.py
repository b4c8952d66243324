"""Who pushes: a token of Google's for the service account of our subscription, and for no other audience."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from google.auth import jwt

from gifting.economy.providers.base import Reason, refused
from gifting.economy.providers.remote import Remote
from gifting.errors import ProviderFailed

HOST: Final = "https://www.googleapis.com"
CERTIFICATES: Final = "/oauth2/v1/certs"
"""Where Google's certificates are."""

ISSUERS: Final = ("accounts.google.com", "https://accounts.google.com")

TOKEN_MAX: Final = 8192
"""Characters of a token."""

AHEAD: Final = 300
"""Seconds by which Google's clock may be off ours."""

LIFE_MAX: Final = 3600 + AHEAD
"""Seconds that a token of Google's lives at most."""

FRESH, USABLE = 3600.0, 86_400.0
"""Seconds after which certificates are got anew, and after which old ones are believed no more, if there are no new."""

PAUSE: Final = 60.0
"""Seconds between two looks for a certificate that nobody knows."""

_EVER: Final = 10**10
"""Seconds. The library would go by the wall clock; what is checked here goes by the time that is given."""


class Certificates:
    """Google's certificates by key id, got when needed, and again where a token names one that is not known."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._known: Mapping[str, Any] = {}
        self._got = self._asked = -USABLE
        self._getting = asyncio.Lock()

    async def known(self, key_id: str) -> Mapping[str, Any]:
        """Raises ProviderFailed where there are none to go by."""
        if not self._serves(key_id):
            async with self._getting:
                now = time.monotonic()
                if not self._serves(key_id) and now - self._asked > PAUSE:
                    self._asked = now
                    await self._get(now)
        return self._known

    def _serves(self, key_id: str) -> bool:
        """So that who names keys that there are not holds up nobody else."""
        return key_id in self._known and time.monotonic() - self._got <= FRESH

    async def close(self) -> None:
        await self._remote.close()

    async def _get(self, now: float) -> None:
        try:
            self._known, self._got = await self._remote.ask("GET", CERTIFICATES), now
        except ProviderFailed:
            if now - self._got > USABLE:
                self._asked = -USABLE
                raise


class Pusher:
    """Checks the ``Authorization`` of a push for one ``audience`` and service ``account`` (an email address)."""

    def __init__(self, certificates: Certificates, audience: str, account: str) -> None:
        self._certificates = certificates
        self._audience = audience
        self._account = account

    async def check(self, authorization: str, now_ms: int) -> None:
        """Raises BadWebhook, or ProviderFailed where Google's certificates can't be had."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not 0 < len(token) <= TOKEN_MAX:
            raise refused(Reason.UNSIGNED, "There is no bearer token.")
        claims = await self._claims(token)
        issued, ends = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or not isinstance(ends, int):
            raise refused(Reason.MALFORMED)
        now = now_ms / 1000
        if not issued - AHEAD <= now < ends + AHEAD or ends - issued > LIFE_MAX:
            raise refused(Reason.STALE)
        who = (claims.get("aud"), claims.get("email"), claims.get("email_verified"))
        if claims.get("iss") not in ISSUERS or who != (self._audience, self._account, True):
            raise refused(Reason.FOREIGN, "The token is of another account, or for somebody else.")

    async def close(self) -> None:
        await self._certificates.close()

    async def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            key_id = jwt.decode_header(token).get("kid")
        except Exception:
            raise refused(Reason.UNSIGNED) from None
        known = await self._certificates.known(key_id if isinstance(key_id, str) else "")
        try:
            return dict(jwt.decode(token, certs=known, clock_skew_in_seconds=_EVER))
        except Exception:
            raise refused(Reason.UNSIGNED) from None
