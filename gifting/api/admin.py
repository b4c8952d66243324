"""The server itself: what operators have it do while it runs."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gifting.api.access import OPERATORS
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.api.sheet import FORMAT
from gifting.api.words import ACT_CURSOR, ANYBODY
from gifting.archive.act_history import acts_page
from gifting.model.money import MAX_AMOUNT


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


class ActReply(Struct):
    """What an operator did: ``about`` whom and what, as JSON (cut off after 1000), and ``why`` ("": not said)."""

    id: str
    at: int
    who: str
    role: str
    act: str
    about: str
    why: str


class ActsReply(Struct):
    """The newest first. ``next`` is the ``cursor`` of the page after, '' where there is none."""

    acts: list[ActReply]
    next: str


async def acts(call: Call) -> ActsReply:
    ledger, limit = call.services.ledger, max(call.query["limit"], 1)
    who, since, cursor = call.words["who"], call.query["since"], call.words["cursor"]
    found, following = await acts_page(call.services.archive, ledger.redis, ledger.keys, who, since, cursor, limit)
    return ActsReply([ActReply(*act) for act in found], following)


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/admin/acts",
        "What operators did, and why, the newest first",
        OPERATORS,
        acts,
        ActsReply,
        query=(("since", 0, MAX_AMOUNT), ("limit", 100, 500)),
        words=(("who", ANYBODY), ("cursor", ACT_CURSOR), FORMAT),
        cost=5,
        page=100,
    ),
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
