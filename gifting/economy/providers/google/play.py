"""The Google Play Developer API, as far as it is needed: purchases, what was voided, refunds and their reviews."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote

from gifting.economy.providers.base import ProviderRefused
from gifting.economy.providers.google.access import Access
from gifting.economy.providers.remote import Answer, Remote, Unauthorised
from gifting.errors import ProviderFailed

LIVE: Final = "https://androidpublisher.googleapis.com"

PAGES_MAX: Final = 100
"""Of 1,000 voided purchases each, in one look."""

TOKEN_MAX: Final = 2048
"""Characters of a purchase token; Google's have a few hundred."""

_REFUNDED: Final = ("REFUNDED", "PENDING_REFUND")


class Play:
    """One application's purchases. Raises ProviderFailed, and ProviderRefused where asking again is no help."""

    def __init__(self, remote: Remote, access: Access, package: str) -> None:
        self._remote = remote
        self._access = access
        self._base = f"/androidpublisher/v3/applications/{quote(package, safe='')}"

    async def purchase(self, token: str) -> Answer:
        """A ``ProductPurchaseV2``."""
        return await self._ask("GET", f"/purchases/productsv2/tokens/{_part(token)}")

    async def consume(self, product: str, token: str) -> None:
        """Acknowledge it for good, so that it can be bought again and is not given back by itself."""
        await self._ask("POST", f"/purchases/products/{_part(product)}/tokens/{_part(token)}:consume")

    async def voided(self, since_ms: int, until_ms: int) -> AsyncIterator[Answer]:
        """The one-time purchases that were given back in this time."""
        params = {"startTime": str(since_ms), "endTime": str(until_ms), "type": "0", "maxResults": "1000"}
        for _ in range(PAGES_MAX):
            page = await self._ask("GET", "/purchases/voidedpurchases", params=params)
            for item in page.get("voidedPurchases", ()):
                yield item
            if not (following := page.get("tokenPagination", {}).get("nextPageToken")):
                return
            params["token"] = following
        raise ProviderFailed(f"Google tells more than {PAGES_MAX} pages.")

    async def refund(self, order: str) -> None:
        """Give all of the money back, once; the purchase is gone with it."""
        path = f"/orders/{_part(order)}"
        try:
            await self._ask("POST", f"{path}:refund", params={"revoke": "true"})
        except ProviderRefused:
            if (await self._ask("GET", path)).get("state") not in _REFUNDED:
                raise

    async def review(self, order: str, body: Answer) -> None:
        """Say what we know of a purchase whose refund is under review. Google takes the first word, and no other."""
        await self._ask("POST", f"/orders/{_part(order)}:reviewrefund", body=body)

    async def close(self) -> None:
        await self._remote.close()
        await self._access.close()

    async def _ask(self, method: str, path: str, **sent: Any) -> Answer:
        token = await self._access.token()
        try:
            return await self._with(token, method, path, **sent)
        except Unauthorised:
            return await self._with(await self._access.token(refused=token), method, path, **sent)

    async def _with(self, token: str, method: str, path: str, **sent: Any) -> Answer:
        return await self._remote.ask(method, self._base + path, headers={"Authorization": f"Bearer {token}"}, **sent)


def _part(name: str) -> str:
    """One part of a path, which what others sent can't leave."""
    if not 0 < len(name) <= TOKEN_MAX or name in {".", ".."}:
        raise ProviderRefused("That is no name of anything at Google's.")
    return quote(name, safe="")
