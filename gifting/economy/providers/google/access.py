"""The service account by which Google's servers are asked: a token for an hour, got with a key that stays here."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Final
from urllib.parse import urlsplit

from google.auth import crypt, jwt

from gifting.economy.providers.base import ProviderRefused
from gifting.economy.providers.remote import Remote
from gifting.errors import BadSetting, ProviderFailed

SCOPE: Final = "https://www.googleapis.com/auth/androidpublisher"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"

LIFE: Final = 3600
"""Seconds that are asked for."""

EARLY: Final = 300.0
"""Seconds before its end that a token is replaced."""


class Access:
    """``account`` is the JSON file of the service account. Raises BadSetting where it is none."""

    def __init__(self, account: str) -> None:
        try:
            told: dict[str, Any] = json.loads(account)
            self._signer = crypt.RSASigner.from_service_account_info(told)
            self._email, uri = str(told["client_email"]), urlsplit(str(told["token_uri"]))
        except Exception as error:
            raise BadSetting(
                f"google_service_account is no key of a service account ({type(error).__name__})."
            ) from None
        self._audience = uri.geturl()
        self._remote = Remote("Google", f"{uri.scheme}://{uri.netloc}")
        self._path = uri.path
        self._token = ""
        self._ends = 0.0
        self._asking = asyncio.Lock()

    async def token(self, refused: str = "") -> str:
        """One that holds for a while, and is not the one that was ``refused``. Raises ProviderFailed."""
        async with self._asking:
            if time.monotonic() >= self._ends or self._token == refused:
                await self._get()
            return self._token

    async def close(self) -> None:
        await self._remote.close()

    async def _get(self) -> None:
        now = int(time.time())
        claims = {"iss": self._email, "scope": SCOPE, "aud": self._audience, "iat": now, "exp": now + LIFE}
        signed = jwt.encode(self._signer, claims).decode()
        try:
            answer = await self._remote.ask("POST", self._path, form={"grant_type": GRANT, "assertion": signed})
        except ProviderRefused as error:  # our key, not what was asked with it: somebody may mend that
            raise ProviderFailed(error.detail) from None
        token, life = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(life, int):
            raise ProviderFailed("Google gives no token.")
        self._token, self._ends = token, time.monotonic() + life - EARLY
