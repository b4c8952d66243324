"""The HTTP API: the rows of all nouns. The routes, the OpenAPI document and docs/http-api.md are made from it."""

from __future__ import annotations

from typing import Final, NamedTuple

from gifting.api import (
    admin,
    creators,
    gifts,
    health,
    history,
    limits,
    moderation,
    overlays,
    packages,
    payouts,
    personal_data,
    purchases,
    refunds,
    reversals,
    rooms,
    safety,
    sandbox,
    spending,
    statements,
    support,
    tokens,
    users,
    webhooks,
)
from gifting.api.endpoint import Endpoint


class Noun(NamedTuple):
    """A module of endpoints: its name, and what it says it is about."""

    name: str
    about: str | None
    endpoints: tuple[Endpoint, ...]


NOUNS: Final = (
    Noun("rooms", rooms.__doc__, rooms.ENDPOINTS),
    Noun("moderation", moderation.__doc__, moderation.ENDPOINTS),
    Noun("safety", safety.__doc__, safety.ENDPOINTS),
    Noun("gifts", gifts.__doc__, gifts.ENDPOINTS),
    Noun("refunds", refunds.__doc__, refunds.ENDPOINTS),
    Noun("reversals", reversals.__doc__, reversals.ENDPOINTS),
    Noun("packages", packages.__doc__, packages.ENDPOINTS),
    Noun("purchases", purchases.__doc__, purchases.ENDPOINTS),
    Noun("support", support.__doc__, support.ENDPOINTS),
    Noun("sandbox", sandbox.__doc__, sandbox.ENDPOINTS),
    Noun("webhooks", webhooks.__doc__, webhooks.ENDPOINTS),
    Noun("users", users.__doc__, users.ENDPOINTS),
    Noun("limits", limits.__doc__, limits.ENDPOINTS),
    Noun("spending", spending.__doc__, spending.ENDPOINTS),
    Noun("history", history.__doc__, history.ENDPOINTS),
    Noun("creators", creators.__doc__, creators.ENDPOINTS),
    Noun("statements", statements.__doc__, statements.ENDPOINTS),
    Noun("payouts", payouts.__doc__, payouts.ENDPOINTS),
    Noun("personal_data", personal_data.__doc__, personal_data.ENDPOINTS),
    Noun("overlays", overlays.__doc__, overlays.ENDPOINTS),
    Noun("tokens", tokens.__doc__, tokens.ENDPOINTS),
    Noun("admin", admin.__doc__, admin.ENDPOINTS),
    Noun("health", health.__doc__, health.ENDPOINTS),
)
ENDPOINTS: Final = tuple(endpoint for noun in NOUNS for endpoint in noun.endpoints)
