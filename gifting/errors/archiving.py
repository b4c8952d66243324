"""The archive of the books: it can't be asked, or it is not that of these books."""

from __future__ import annotations

from gifting.errors.refusals import NotFound, Refused
from gifting.errors.requests import BadRequest
from gifting.errors.starting import StartError
from gifting.errors.unavailable import Unavailable


class BadCursor(BadRequest):
    code = "bad_cursor"
    help = "Send the `next` of the page before as `cursor`, with the same other parameters, or none to begin anew."


class BadPeriod(BadRequest):
    code = "bad_period"
    help = "Name a month of UTC as 2026-11 or a year as 2026, one that has begun."


class NoPdf(BadRequest):
    code = "no_pdf"
    help = "Ask for format=csv or json; the operator lets it be printed with pip install 'gifting[pdf]'."
    status = 406


class NoArchive(NotFound):
    code = "no_archive"
    help = "This server keeps no archive; the operator names one with --archive."


class PeriodLocked(Refused):
    code = "period_locked"
    help = "The month is locked: what it was is kept, and what comes late belongs to the next one."


class PeriodOpen(Refused):
    code = "period_open"
    help = "The month is not over, or not sealed in the archive yet; ask again when it is."


class ArchiveUnavailable(Unavailable):
    code = "archive_unavailable"
    help = "The archive can't be asked just now; try again in a moment. Gifts go on without it."


class BadArchive(StartError):
    code = "bad_archive"
    help = "Nothing was written. Name the archive of these books; docs/archive.md says what to do after a restore."


class ArchiveNeeded(StartError):
    code = "archive_needed"
    help = "The older part of these books is in their archive only: name it with --archive."
