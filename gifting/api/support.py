"""Support: cases that users open about an order or a gift, and what operators decide."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from gifting.api.access import BUYER, BUYERS, OPERATORS
from gifting.api.call import Call
from gifting.api.case_evidence import Evidence, find_evidence
from gifting.api.endpoint import Endpoint
from gifting.errors import BadMessage
from gifting.model.cases import REASON_MAX, TEXT_MAX, Case, Decision, Kind, Outcome, case_id
from gifting.model.money import MAX_AMOUNT, parse_key
from gifting.model.text import PLAIN
from gifting.wire.messages import Key

LISTED_MAX: Final = 200


class CaseAbout(Struct):
    """One of the two: the id of an ``order``, or the key of a ``gift``."""

    order: Key | None = None
    gift: Key | None = None


class CaseBody(Struct):
    """``key`` is a UUIDv7, made once and kept for retries."""

    about: CaseAbout
    kind: Kind
    key: Key
    text: Annotated[str, Meta(max_length=TEXT_MAX, pattern=PLAIN)] = ""


class ResolveBody(Struct):
    """``reason`` is what the user reads. ``reversed`` reverses the gift; of ``refunded`` it is only noted here that the
    provider was told to.
    """

    outcome: Outcome
    reason: Annotated[str, Meta(min_length=1, max_length=REASON_MAX, pattern=PLAIN)]


class CaseReply(Struct):
    """``order`` or ``gift`` (its key) is what it is about, the other ''. ``outcome`` is '' while the case is ``open``;
    then it is ``closed``, for ``reason``, or ``deciding`` while its gift is to be reversed still, which is done by
    itself. Times are ms since 1970. ``by`` is the operator who decided: for operators alone, as is ``evidence``, of one
    case.
    """

    id: str
    state: str
    user: str
    kind: str
    order: str
    gift: str
    text: str
    at: int
    outcome: str
    reason: str
    decided_at: int
    by: str
    evidence: Evidence | None = None


class CasesReply(Struct):
    """``cursor`` is for the next page; 0 where there is none."""

    cases: list[CaseReply]
    cursor: int


async def open_case(call: Call) -> CaseReply:
    body: CaseBody = call.body
    user, key = call.identity.user, parse_key(body.key)
    order, gift = await _order(call, body.about.order), await _gift(call, body.about.gift)
    if bool(order) == bool(gift):
        raise BadMessage("Name an order or a gift.")
    case = Case(
        id=case_id(user, key),
        user=user,
        kind=body.kind,
        at=call.services.ledger.now_ms(),
        order=order,
        gift=gift,
        text=body.text,
    )
    return _reply(call, await call.services.ledger.cases.open(case))


async def _order(call: Call, order: str | None) -> str:
    """The id of one of the caller's orders. Raises OrderNotFound, BadKey."""
    if order is None:
        return ""
    parse_key(order)
    return (await call.services.economy.purchases.find(order.lower(), call.identity.user)).id


async def _gift(call: Call, gift: str | None) -> str:
    """The key of a gift that the caller gave. Raises GiftNotFound, BadKey, and what looking for it raises."""
    if gift is None:
        return ""
    await call.services.economy.reversals.find(call.identity.user, parse_key(gift))
    return gift.lower()


async def cases(call: Call) -> CasesReply:
    """Operators have those that are open, all others their own."""
    ledger, limit = call.services.ledger, max(call.query["limit"], 1)
    start, only_open = call.query["cursor"], call.words["state"] == "open"
    if call.identity.role == "operator":
        if not only_open:
            raise BadMessage("Operators ask for state=open.")
        found, following = await ledger.cases.page(start, limit)
    else:
        own = [one for one in await ledger.cases.of_user(call.identity.user) if not (only_open and one.outcome)]
        found, following = own[start : start + limit], start + limit if len(own) > start + limit else 0
    return CasesReply([_reply(call, one) for one in found], following)


async def case(call: Call) -> CaseReply:
    operator, name = call.identity.role == "operator", call.path["case"].lower()
    found = await call.services.ledger.cases.find(name, "" if operator else call.identity.user)
    evidence = await find_evidence(call, found) if operator else None
    return replace(_reply(call, found), evidence=evidence)


async def resolve_case(call: Call) -> CaseReply:
    body: ResolveBody = call.body
    ledger = call.services.ledger
    decision = Decision(body.outcome, body.reason, call.identity.user, ledger.now_ms())
    return _reply(call, await call.services.economy.support.resolve(call.path["case"].lower(), decision))


def _reply(call: Call, case: Case) -> CaseReply:
    return CaseReply(
        id=case.id,
        state="closed" if case.closed else "deciding" if case.outcome else "open",
        user=case.user,
        kind=case.kind,
        order=case.order,
        gift=case.gift,
        text=case.text,
        at=case.at,
        outcome=case.outcome,
        reason=case.reason,
        decided_at=case.decided_at,
        by=case.by if call.identity.role == "operator" else "",
    )


_ONE: Final = "/v1/support/cases/{case}"

ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/support/cases",
        "Open a case about an order or a gift of your own",
        BUYERS,
        open_case,
        CaseReply,
        CaseBody,
        status=201,
        cost=10,
    ),
    Endpoint(
        "GET",
        "/v1/support/cases",
        "Your own cases, the newest first; for operators those that are open, the oldest first",
        BUYER,
        cases,
        CasesReply,
        query=(("cursor", 0, MAX_AMOUNT), ("limit", 50, LISTED_MAX)),
        words=(("state", ("all", "open")),),
        page=50,
    ),
    Endpoint("GET", _ONE, "What became of a case", BUYER, case, CaseReply, cost=5),
    Endpoint(
        "POST",
        f"{_ONE}/resolve",
        "Decide a case",
        OPERATORS,
        resolve_case,
        CaseReply,
        ResolveBody,
        act="resolved a support case",
    ),
)
