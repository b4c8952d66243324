"""Support cases and reversals: why one is not opened, decided or made."""

from __future__ import annotations

from gifting.errors.refusals import Limited, NotFound, Refused


class CaseNotFound(NotFound):
    code = "case_not_found"
    help = "Check the case's id; GET /v1/support/cases lists your own."


class GiftNotFound(NotFound):
    code = "gift_not_found"
    help = "Check the gift's key; nothing was ever taken under this one."


class CaseClosed(Refused):
    code = "case_closed"
    help = "This case was decided otherwise already; read it, and open another if that was wrong."


class NotReversible(Refused):
    code = "not_reversible"
    help = "This can't be reversed; the words before say why. Nothing was changed."


class TooManyCases(Limited):
    code = "too_many_cases"
    help = "Wait until some of your open cases are decided, or add what is new to one of them."
    temporary = False
