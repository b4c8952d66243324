"""Reversals: a gift is given back to who sent it, and what it earned is taken of its creator."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from gifting.api.access import OPERATORS
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.model.reversals import Reversal
from gifting.model.text import PLAIN

Reason = Annotated[str, Meta(min_length=1, max_length=200, pattern=PLAIN)]


class ReverseBody(Struct):
    """``reason`` is kept with the reversal."""

    reason: Reason


class ReversalReply(Struct):
    """``paid`` and ``bonus`` coins came back, ``settled`` of them for a debt. In milli-diamonds: ``taken`` of
    the creator's balance, ``debt`` that the creator owes, ``borne`` by the platform. ``by``, ``at`` (ms) and ``reason``
    are those of who asked first. ``done``: the creator's side is done, too.
    """

    user: str
    creator: str
    room: str
    gift: str
    count: int
    coins: int
    paid: int
    bonus: int
    settled: int
    taken: int
    debt: int
    borne: int
    at: int
    by: str
    reason: str
    done: bool


def reversal_reply(one: Reversal) -> ReversalReply:
    """A reversal as it is told."""
    given, back, taken = one.given, one.returned, one.taken
    return ReversalReply(
        user=given.user,
        creator=given.host,
        room=given.room,
        gift=given.gift,
        count=given.count,
        coins=given.coins,
        paid=back.paid,
        bonus=back.bonus,
        settled=back.settled,
        taken=taken.diamonds,
        debt=taken.debt,
        borne=taken.borne,
        at=one.at,
        by=one.by,
        reason=one.reason,
        done=bool(one.done_at),
    )


async def reverse_gift(call: Call) -> ReversalReply:
    """Asked again, it gives what was done then."""
    body: ReverseBody = call.body
    reversals = call.services.economy.reversals
    return reversal_reply(await reversals.reverse(call.path["user"], call.path["key"], call.identity.user, body.reason))


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/users/{user}/gifts/{key}/reverse",
        "Reverse a gift, once for ever",
        OPERATORS,
        reverse_gift,
        ReversalReply,
        ReverseBody,
        cost=10,
        act="reversed a gift",
    ),
)
