"""Webhooks: what payment providers say. The address pays before they are read; what is not signed changes nothing."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from gifting.api.access import PUBLIC
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint

WEBHOOK_MAX: Final = 256 * 1024
"""Bytes of one."""


class WebhookReply(Struct):
    """``changed``: how many orders, payouts or creators it was news for."""

    ok: Literal[True]
    changed: int


async def webhook(call: Call) -> WebhookReply:
    changed = await call.services.economy.webhook(call.path["provider"], call.body, call.headers)
    return WebhookReply(True, changed)


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/webhooks/{provider}",
        "What a payment provider says, signed by it",
        PUBLIC,
        webhook,
        WebhookReply,
        raw=WEBHOOK_MAX,
    ),
)
