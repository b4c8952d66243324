"""Statements of creators: what a month or a year began with, what came and went, and what it ended with."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from gifting.api.access import CREATOR
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint, File
from gifting.api.sheet import MEDIA, PRINTED
from gifting.archive.statement import Statements
from gifting.errors import BadPeriod, NoPdf
from gifting.model.statement import Line, Period, Statement, read_period


class StatementReply(Struct):
    """Milli-diamonds; times are ms since 1970, days and months UTC. ``opening + earned - taken_back - settled -
    paid_out + returned`` is ``closing``, and ``owed_before + became_debt - settled`` is ``owed``.

    ``earned`` is ``gross`` less ``commission``. Reversed gifts took ``taken_back`` of the balance; ``became_debt`` was
    not there any more, and ``borne`` the platform bears. ``so_far``: the period is not over yet at ``until``. What was
    entered late is of the period that was open then. ``lines`` say each of it by day, of a year by month, and each
    payout: how far it had come at ``until``.
    """

    creator: str
    period: str
    begins: int
    until: int
    so_far: bool
    opening: int
    gross: int
    commission: int
    earned: int
    taken_back: int
    settled: int
    paid_out: int
    returned: int
    closing: int
    owed_before: int
    became_debt: int
    owed: int
    borne: int
    lines: list[Line]


async def statement(call: Call) -> Struct:
    """Of a period that is over, the same bytes for ever."""
    ledger, creator, now = call.services.ledger, call.path["creator"], call.services.ledger.creators.now_ms()
    period = _period(call.path["period"], now)
    payouts = (await ledger.payouts.owned(creator)).payouts
    statements = Statements(call.services.archive, ledger.redis, ledger.keys)
    found = await statements.read(creator, period, payouts, now)
    return await asyncio.to_thread(_printed, found) if call.words["format"] == "pdf" else told(found)


def _printed(found: Statement) -> File:
    """Raises NoPdf."""
    try:
        from gifting.api.statement_pdf import print_statement  # noqa: PLC0415
    except ImportError:
        raise NoPdf from None
    return File(print_statement(found), MEDIA["pdf"], f"statement-{found.period.name}.pdf")


def _period(text: str, now: int) -> Period:
    """Raises BadPeriod."""
    try:
        period = read_period(text)
    except ValueError as error:
        raise BadPeriod(f"{error}.") from None
    if period.starts > now:
        raise BadPeriod(f"{period.name} has not begun.")
    return period


def told(of: Statement) -> StatementReply:
    earned, taken, settled = of.total("earned"), of.total("taken_back"), of.total("settled")
    return StatementReply(
        creator=of.creator,
        period=of.period.name,
        begins=of.period.starts,
        until=of.until,
        so_far=of.so_far,
        opening=of.opening.diamonds,
        gross=earned.gross,
        commission=earned.commission,
        earned=earned.diamonds,
        taken_back=-taken.diamonds,
        settled=-settled.diamonds,
        paid_out=-of.total("paid_out").diamonds,
        returned=of.total("returned").diamonds,
        closing=of.closing.diamonds,
        owed_before=of.opening.debt,
        became_debt=taken.debt,
        owed=of.closing.debt,
        borne=taken.borne,
        lines=of.lines,
    )


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/creators/{creator}/statements/{period}",
        "A creator's statement of a month or a year",
        CREATOR,
        statement,
        StatementReply,
        words=(PRINTED,),
        cost=10,
    ),
)
