"""The server itself: what operators have it do while it runs."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gifting.api.access import OPERATORS
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint


class ReloadReply(Struct):
    """How many gifts, packages, promotions, regions, languages of moderation and tiers of creators are in force now."""

    gifts: int
    packages: int
    promotions: int
    regions: int
    languages: int
    tiers: int


async def reload(call: Call) -> ReloadReply:
    """A file that is bad is refused with its line and the reason, and then nothing has changed."""
    catalog, prices, regions, moderation, creators = await call.services.rulebook.reload_everywhere()
    gifts, packages, promotions = len(list(catalog)), len(prices.packages), len(prices.promotions)
    return ReloadReply(gifts, packages, promotions, len(list(regions)), len(moderation), len(creators))


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/admin/reload",
        "Read the gifts, prices, regions, moderation and creators' terms again",
        OPERATORS,
        reload,
        ReloadReply,
        cost=20,
        act="reloaded",
    ),
)
