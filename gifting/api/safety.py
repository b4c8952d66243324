"""Safety: what users report, and whom operators ban."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from msgspec import Meta, Struct

from gifting.api.access import OPERATORS, REPORTERS
from gifting.api.call import Call
from gifting.api.endpoint import Done, Endpoint
from gifting.errors import BadMessage
from gifting.model.ids import ID, PERSON
from gifting.model.money import MAX_AMOUNT
from gifting.model.pseudonym import MARK
from gifting.model.reports import Kind, Report
from gifting.model.text import PLAIN

PAGE_MAX: Final = 200
Text = Annotated[str, Meta(max_length=500, pattern=PLAIN)]
Subject = Annotated[str, Meta(pattern=ID)]


class ReportBody(Struct):
    """Of a room, or a user; with ``seq`` of what was said in that event of the room, by whomever. With ``room`` the
    user may be the pseudonym by which the room knows it.
    """

    SCHEMA: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"required": ["room"], "properties": {"room": {"type": "string"}}},
            {"required": ["user"], "properties": {"user": {"type": "string", "pattern": ID}, "seq": {"type": "null"}}},
        ]
    }
    """What of it JSON Schema can't tell from the fields."""

    kind: Kind
    room: Subject | None = None
    user: Annotated[str, Meta(pattern=PERSON)] | None = None
    seq: Annotated[int, Meta(ge=1, le=MAX_AMOUNT)] | None = None
    text: Text = ""


class ReportReply(Struct):
    """The same report again has the same ``id``."""

    id: str


class ReportsReply(Struct):
    """Open reports, the oldest first. ``cursor`` is for the next page; 0 where there is none."""

    reports: list[Report]
    cursor: int


class BanBody(Struct):
    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=PLAIN)]


class BansReply(Struct):
    """Users who are banned, in the order of that. ``cursor`` is for the next page; 0 where there is none."""

    users: list[str]
    cursor: int


async def report(call: Call) -> ReportReply:
    """What was said is kept with the report: it may be removed meanwhile."""
    body: ReportBody = call.body
    ledger = call.services.ledger
    if body.room is None and (body.user is None or body.seq is not None):
        raise BadMessage("Name a room or a user; seq is of a room.")
    user, said, real = body.user or "", "", ""
    if body.room is None and user[:1] == MARK:
        raise BadMessage("A pseudonym is of a room: name that too.")
    if body.room is not None:
        room = await ledger.rooms.find(body.room)
        if body.seq is not None:
            author, said = await ledger.comments.said(room, body.seq)
            user = user or author
        if user[:1] == MARK:
            real = await ledger.people.behind(room, user)
    made = Report(
        by=call.identity.user,
        kind=body.kind,
        room=body.room or "",
        user=user,
        real=real,
        seq=body.seq or 0,
        said=said,
        text=body.text,
    )
    return ReportReply(await ledger.reports.add(made))


async def list_reports(call: Call) -> ReportsReply:
    return ReportsReply(*await call.services.ledger.reports.page(call.query["cursor"], max(call.query["limit"], 1)))


async def close_report(call: Call) -> Done:
    await call.services.ledger.reports.close(call.path["report"])
    return Done(True)


async def ban(call: Call) -> Done:
    """Then the user's tokens are revoked, so that its sockets close; with new ones it may watch."""
    services, user = call.services, call.path["user"]
    await services.ledger.bans.ban(user, call.body.reason, call.identity.user)
    await services.ledger.revocations.revoke_user(user)
    await services.gateway.close_revoked()
    return Done(True)


async def unban(call: Call) -> Done:
    await call.services.ledger.bans.unban(call.path["user"], call.body.reason, call.identity.user)
    return Done(True)


async def list_bans(call: Call) -> BansReply:
    return BansReply(*await call.services.ledger.bans.page(call.query["cursor"], max(call.query["limit"], 1)))


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/reports",
        "Report a room, a user or a comment",
        REPORTERS,
        report,
        ReportReply,
        ReportBody,
        status=201,
        cost=10,
    ),
    Endpoint(
        "GET",
        "/v1/reports",
        "Open reports",
        OPERATORS,
        list_reports,
        ReportsReply,
        query=(("cursor", 0, MAX_AMOUNT), ("limit", 50, PAGE_MAX)),
        page=50,
    ),
    Endpoint(
        "DELETE",
        "/v1/reports/{report}",
        "Close a report that is settled",
        OPERATORS,
        close_report,
        Done,
        act="closed a report",
    ),
    Endpoint(
        "POST",
        "/v1/users/{user}/ban",
        "Ban a user: no gifts, purchases and comments; its sockets close",
        OPERATORS,
        ban,
        Done,
        BanBody,
        act="banned",
    ),
    Endpoint(
        "POST",
        "/v1/users/{user}/unban",
        "Let a user be banned no longer",
        OPERATORS,
        unban,
        Done,
        BanBody,
        act="unbanned",
    ),
    Endpoint(
        "GET",
        "/v1/bans",
        "Who is banned",
        OPERATORS,
        list_bans,
        BansReply,
        query=(("cursor", 0, MAX_AMOUNT), ("limit", 100, PAGE_MAX)),
        page=100,
    ),
)
