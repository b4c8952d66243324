"""Payouts: a creator's diamonds become money. Diamonds are in thousandths here, money in minor units."""

from __future__ import annotations

import time
from typing import Annotated, Final

from msgspec import Meta, Struct

from gifting.api.access import OPERATORS, Access
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.api.words import ANYBODY
from gifting.errors import BadId, PayoutNotFound
from gifting.ledger.calls import translated
from gifting.model.ids import valid_id
from gifting.model.money import MAX_AMOUNT, parse_key
from gifting.model.payouts import Payout, State, state
from gifting.model.text import PLAIN
from gifting.wire.messages import Key
from gifting.wire.second_factor import check_second_factor
from gifting.wire.tokens import Role

LISTED_MAX: Final = 200


class PayoutBody(Struct, forbid_unknown_fields=True):
    """``diamonds``: milli-diamonds; those that make no whole minor unit stay. ``key`` is a UUIDv7, made once and kept
    for retries.
    """

    diamonds: Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]
    key: Key


class DecisionBody(Struct, forbid_unknown_fields=True):
    """Why."""

    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=PLAIN)]


class PayoutReply(Struct):
    """``review``: why an operator must look, or ''. ``reason``: what an operator or the provider said. Times are
    in ms since 1970, 0 for what has not happened.
    """

    id: str
    creator: str
    state: State
    diamonds: int
    amount: int
    currency: str
    provider: str
    account: str
    review: str
    reason: str
    created: int
    decided_at: int
    sent_at: int
    paid_at: int
    failed_at: int
    returned_at: int


class PayoutsReply(Struct):
    """A creator's, the newest first; of all creators those that are under way, who waits longest first."""

    payouts: list[PayoutReply]


async def request_payout(call: Call) -> PayoutReply:
    """With a second factor. Asked again with the same key, it gives the same payout, as it stands."""
    body: PayoutBody = call.body
    check_second_factor(call.identity, now=time.time(), leeway=call.services.settings.token_leeway)
    payouts = call.services.economy.payouts
    return _reply(await payouts.request(call.identity.user, parse_key(body.key), body.diamonds))


async def payouts(call: Call) -> PayoutsReply:
    """A creator's own; operators name a creator."""
    host = call.words["creator"] if call.identity.role == "operator" else call.identity.user
    if not valid_id(host):
        raise BadId(f"{host[:40]!r} is no creator id.")
    found = await call.services.ledger.payouts.of_host(host)
    return PayoutsReply([_reply(one) for one in found[: call.query["limit"]]])


async def open_payouts(call: Call) -> PayoutsReply:
    """Of all creators: who waits longest first."""
    ledger = call.services.ledger
    with translated():
        found = await ledger.upkeep.waiting.open_payouts(ledger.creators.now_ms())
    return PayoutsReply([_reply(one) for one in found[: call.query["limit"]]])


async def payout(call: Call) -> PayoutReply:
    found = await call.services.ledger.payouts.get(call.path["payout"].lower())
    if call.identity.role != "operator" and found.host != call.identity.user:
        raise PayoutNotFound(f"There is no payout {found.id}.")
    return _reply(found)


async def approve_payout(call: Call) -> PayoutReply:
    return await _decide(call, rejected=False)


async def reject_payout(call: Call) -> PayoutReply:
    """What is not on its way yet comes back to what is available."""
    return await _decide(call, rejected=True)


async def _decide(call: Call, *, rejected: bool) -> PayoutReply:
    body: DecisionBody = call.body
    ledger, who = call.services.ledger, call.identity.user
    made = ledger.payouts.decide(
        call.path["payout"].lower(), ledger.creators.now_ms(), who, rejected=rejected, reason=body.reason
    )
    return _reply(await made)


def _reply(one: Payout) -> PayoutReply:
    money = (one.diamonds, one.amount, one.currency, one.provider, one.account)
    times = (one.created, one.decided_at, one.sent_at, one.paid_at, one.failed_at, one.returned_at)
    review = one.reason if one.stuck_at and state(one) is State.PROCESSING else one.review
    return PayoutReply(one.id, one.host, state(one), *money, review, one.reason, *times)


CREATORS: Final = Access("creators", frozenset[Role]({"creator"}))
PAID: Final = Access("operators and the creator", frozenset[Role]({"creator", "operator"}))
_ONE: Final = "/v1/payouts/{payout}"

ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/payouts",
        "Ask for money for diamonds",
        CREATORS,
        request_payout,
        PayoutReply,
        PayoutBody,
        cost=10,
    ),
    Endpoint(
        "GET",
        "/v1/payouts",
        "Your own payouts, or those of a creator",
        PAID,
        payouts,
        PayoutsReply,
        query=(("limit", 50, LISTED_MAX),),
        words=(("creator", ANYBODY),),
        cost=2,
        page=50,
    ),
    Endpoint(
        "GET",
        "/v1/admin/payouts",
        "Payouts that are under way, of all creators",
        OPERATORS,
        open_payouts,
        PayoutsReply,
        query=(("limit", 50, LISTED_MAX),),
        cost=20,
        page=50,
    ),
    Endpoint("GET", _ONE, "What became of a payout", PAID, payout, PayoutReply, cost=2),
    Endpoint(
        "POST",
        f"{_ONE}/approve",
        "Let a payout go out that somebody must look at",
        OPERATORS,
        approve_payout,
        PayoutReply,
        DecisionBody,
        cost=2,
        act="approved a payout",
    ),
    Endpoint(
        "POST",
        f"{_ONE}/reject",
        "Give a payout's diamonds back before it goes out",
        OPERATORS,
        reject_payout,
        PayoutReply,
        DecisionBody,
        cost=2,
        act="rejected a payout",
    ),
)
