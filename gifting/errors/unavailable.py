"""The ledger can't be asked, or this node can't."""

from __future__ import annotations

from gifting.errors.base import GiftingError


class Unavailable(GiftingError):
    temporary = True
    status = 503


class LedgerUnavailable(Unavailable):
    code = "ledger_unavailable"
    help = "This attempt charged nothing; try again in a moment, a gift with the same key."


class LedgerFull(Unavailable):
    code = "ledger_full"
    help = "This attempt charged nothing; the operator must give Redis more memory."


class LedgerHalted(Unavailable):
    code = "ledger_halted"
    help = "This attempt charged nothing; nothing is written before the operator has checked the books."


class NotReady(Unavailable):
    code = "not_ready"
    help = "Send clients to another node until this one works again; its log says more."


class OutcomeUnknown(Unavailable):
    code = "outcome_unknown"
    help = (
        "It may have happened or not. Send it again with the same key: you get the result, and are charged once at "
        "most. Where that says `key_expired`, ask with `gift_status`."
    )


class Unconfirmed(Unavailable):
    code = "unconfirmed"
    help = "It may have happened or not, and charged nothing. Look whether it did before you do it again."
    temporary = False
