"""Creators: what of their diamonds is pending, reserved or available, and on which terms they are paid."""

from __future__ import annotations

import time
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from gifting.api.access import CREATOR, ONLY_CREATOR, OPERATORS
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.ledger.creators import KEEP, Creator, Rule
from gifting.ledger.notices import Notice
from gifting.model.calendar import DAY_MS
from gifting.model.creator import ENDING, IF_NOT_YOU, CreatorRecord, Kyc, with_destination
from gifting.model.creators import TIER, Tier
from gifting.model.events import DestinationEvent
from gifting.model.text import PLAIN
from gifting.wire.second_factor import check_second_factor

Reason = Annotated[str, Meta(min_length=1, max_length=200, pattern=PLAIN)]


class Amount(Struct):
    """Milli-diamonds, and what they are worth: minor units of the balance's currency, rounded down."""

    diamonds: int
    money: int


class BalanceReply(Struct):
    """``pending``, ``reserved``, ``available`` and ``owed`` are the balance. ``owed`` is kept for ``debt``, which may
    be more. At ``next_release`` (ms since 1970; 0: nothing is pending) some is no longer pending.
    """

    currency: str
    pending: Amount
    reserved: Amount
    available: Amount
    owed: Amount
    debt: Amount
    next_release: int


class DestinationReply(Struct):
    """Where the money goes: set at ``since``, paid to from ``good_at`` on (ms since 1970). ``help``: what to do if
    somebody else has set it.
    """

    provider: str
    account: str
    since: int
    good_at: int
    help: str


class CreatorReply(Struct):
    """``commission`` is what the next gift is taken off, ``reserve`` the share that is kept back, in basis points.
    ``held``: why payouts are stopped, or ''.
    """

    tier: str
    commission: int
    hold_days: int
    reserve: int
    reserve_days: int
    kyc: Kyc
    destination: DestinationReply | None
    held: str


class TierBody(Struct, forbid_unknown_fields=True):
    """One of the tiers of the file of --creators."""

    tier: Annotated[str, Meta(pattern=TIER)]
    reason: Reason


class KycBody(Struct, forbid_unknown_fields=True):
    """How far the creator's identity is verified."""

    state: Kyc
    reason: Reason


class HoldBody(Struct, forbid_unknown_fields=True):
    """Whether payouts are stopped, and why, or why no more."""

    held: bool
    reason: Reason


class DestinationBody(Struct, forbid_unknown_fields=True):
    """An account with a payout provider."""

    provider: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]
    account: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.:@-]{1,128}\Z")]


async def balance(call: Call) -> BalanceReply:
    creators = call.services.rulebook.rules.creators
    found = await call.services.ledger.creators.read(call.path["creator"])
    parts = found.split(creators.of(found.record.tier))
    pending, reserved, available, owed, debt = (Amount(part, creators.payout.money(part)) for part in parts[:5])
    ends = parts.next_day * DAY_MS
    return BalanceReply(creators.payout.currency, pending, reserved, available, owed, debt, ends)


async def read_creator(call: Call) -> CreatorReply:
    found = await call.services.ledger.creators.read(call.path["creator"])
    return _told(call, found)


def _told(call: Call, found: Creator) -> CreatorReply:
    creators, record = call.services.rulebook.rules.creators, found.record
    tier = creators.of(record.tier)
    commission = creators.usual.commission if found.commission is None else found.commission
    to = record.destination
    destination = None if to is None else DestinationReply(to.provider, to.account, to.since, to.good_at, IF_NOT_YOU)
    terms = (tier.hold_days, tier.reserve_bps, tier.reserve_days)
    return CreatorReply(tier.id, commission, *terms, record.kyc, destination, record.held)


async def put_tier(call: Call) -> CreatorReply:
    """It holds for every gift after the reply; what was earned before has the new hold and reserve too."""
    body: TierBody = call.body
    tier: Tier = call.services.rulebook.rules.creators[body.tier]
    value = f"{tier.id}: {body.reason}"
    return await _change(call, "tier", value, lambda record: replace(record, tier=tier.id), tier.commission)


async def put_kyc(call: Call) -> CreatorReply:
    body: KycBody = call.body
    return await _change(call, "kyc", f"{body.state}: {body.reason}", lambda record: replace(record, kyc=body.state))


async def put_hold(call: Call) -> CreatorReply:
    body: HoldBody = call.body
    value, held = f"{'on' if body.held else 'off'}: {body.reason}", body.reason if body.held else ""
    return await _change(call, "hold", value, lambda record: replace(record, held=held))


async def put_destination(call: Call) -> CreatorReply:
    """The creator's own act, with a second factor. The first destination is good at once, any other after 72 h. All
    the creator's sockets are told, whoever it was.
    """
    body: DestinationBody = call.body
    check_second_factor(call.identity, now=time.time(), leeway=call.services.settings.token_leeway)
    _, now = call.services.ledger.creators.span_ms()

    def rule(record: CreatorRecord) -> CreatorRecord:
        return with_destination(record, body.provider, body.account, now)

    reply = await _change(call, "destination", f"{body.provider}: {body.account}", rule)
    if reply.destination is not None and reply.destination.since == now:
        call.services.gateway.tell(_notice(call.path["creator"], reply.destination))
    asked = await call.services.economy.payouts.identities.look(call.path["creator"])
    return await read_creator(call) if asked else reply


def _notice(creator: str, to: DestinationReply) -> Notice:
    return Notice(creator, DestinationEvent(to.provider, to.account[-ENDING:], to.good_at, to.help))


async def _change(call: Call, what: str, value: str, rule: Rule, commission: int = KEEP) -> CreatorReply:
    creators, who = call.services.ledger.creators, call.identity.user
    await creators.change(call.path["creator"], rule, what=what, value=value, by=who, commission=commission)
    return await read_creator(call)


ENDPOINTS: Final = (
    Endpoint("GET", "/v1/creators/{creator}", "On which terms a creator is paid", CREATOR, read_creator, CreatorReply),
    Endpoint(
        "GET",
        "/v1/creators/{creator}/balance",
        "What of a creator's diamonds is pending, reserved, available",
        CREATOR,
        balance,
        BalanceReply,
        cost=2,
    ),
    Endpoint(
        "PUT",
        "/v1/creators/{creator}/tier",
        "Put a creator into a tier",
        OPERATORS,
        put_tier,
        CreatorReply,
        TierBody,
        act="put into a tier",
    ),
    Endpoint(
        "PUT",
        "/v1/creators/{creator}/kyc",
        "Say whether a creator's identity is verified",
        OPERATORS,
        put_kyc,
        CreatorReply,
        KycBody,
        act="said of the identity",
    ),
    Endpoint(
        "PUT",
        "/v1/creators/{creator}/hold",
        "Stop payouts to a creator, or let them go on",
        OPERATORS,
        put_hold,
        CreatorReply,
        HoldBody,
        act="held payouts",
    ),
    Endpoint(
        "PUT",
        "/v1/creators/{creator}/destination",
        "Say where a creator's money goes",
        ONLY_CREATOR,
        put_destination,
        CreatorReply,
        DestinationBody,
    ),
)
