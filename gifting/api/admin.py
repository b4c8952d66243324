"""The server itself: what operators have it do while it runs."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gifting.api.access import OPERATORS
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint


class ReloadReply(Struct):
    """How many gifts, packages, promotions and regions are in force now."""

    gifts: int
    packages: int
    promotions: int
    regions: int


async def reload(call: Call) -> ReloadReply:
    """A file that is bad is refused with its line and the reason, and then nothing has changed."""
    catalog, prices, regions = await call.services.rulebook.reload_everywhere()
    return ReloadReply(len(list(catalog)), len(prices.packages), len(prices.promotions), len(list(regions)))


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/admin/reload",
        "Read the gifts, prices and regions again",
        OPERATORS,
        reload,
        ReloadReply,
        cost=20,
        act="reloaded",
    ),
)
