"""The App Store Server API, as far as it is needed: what was notified, and what was used up."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import jwt

from gifting.economy.providers.remote import Answer, Remote
from gifting.errors import ProviderFailed

LIVE: Final = "https://api.storekit.apple.com"
SANDBOX: Final = "https://api.storekit-sandbox.apple.com"

TOKEN_LIFE: Final = 300
"""Seconds; Apple allows an hour."""

PAGES_MAX: Final = 1000
"""Of 20 notifications each, in one look."""


class Key(NamedTuple):
    """An in-app purchase key of App Store Connect: ``pem`` is the .p8 file."""

    id: str
    issuer: str
    pem: str


class Api:
    """Raises ProviderFailed, and ProviderRefused where asking again is no help."""

    def __init__(self, remote: Remote, key: Key, bundle: str) -> None:
        self._remote = remote
        self._key = key
        self._bundle = bundle

    async def notifications(self, since_ms: int, until_ms: int) -> AsyncIterator[str]:
        """All that Apple sent or tried to send, as it was signed."""
        body = {"startDate": since_ms, "endDate": until_ms}
        params: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            page = await self._ask("POST", "/inApps/v1/notifications/history", params=params, body=body)
            for item in page.get("notificationHistory") or ():
                if isinstance(item, dict) and isinstance(signed := item.get("signedPayload"), str):
                    yield signed
            if not page.get("hasMore"):
                return
            params = {"paginationToken": str(page.get("paginationToken", ""))}
        raise ProviderFailed(f"Apple tells more than {PAGES_MAX} pages.")

    async def consumption(self, transaction: str, body: Answer) -> None:
        """Answer a request for consumption."""
        await self._ask("PUT", f"/inApps/v2/transactions/consumption/{transaction}", body=body)

    async def close(self) -> None:
        await self._remote.close()

    async def _ask(self, method: str, path: str, **sent: Any) -> Answer:
        return await self._remote.ask(method, path, headers={"Authorization": f"Bearer {self._token()}"}, **sent)

    def _token(self) -> str:
        now = int(time.time())
        claims = {"iss": self._key.issuer, "iat": now, "exp": now + TOKEN_LIFE, "aud": "appstoreconnect-v1"}
        named = {"kid": self._key.id}
        return jwt.encode({**claims, "bid": self._bundle}, self._key.pem, algorithm="ES256", headers=named)
