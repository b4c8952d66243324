"""The HTTP API: the rows of all nouns. The routes, the OpenAPI document and docs/http-api.md are made from it."""

from __future__ import annotations

from typing import Final

from gifting.api import gifts, health, overlays, rooms, tokens, users
from gifting.api.endpoint import Endpoint

NOUNS: Final[dict[str, tuple[Endpoint, ...]]] = {
    "rooms": rooms.ENDPOINTS,
    "gifts": gifts.ENDPOINTS,
    "users": users.ENDPOINTS,
    "overlays": overlays.ENDPOINTS,
    "tokens": tokens.ENDPOINTS,
    "health": health.ENDPOINTS,
}
"""By the module that has them."""

ENDPOINTS: Final = tuple(endpoint for rows in NOUNS.values() for endpoint in rows)
