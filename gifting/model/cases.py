"""Support cases: what a user asks about an order or a gift, and what operators decide. Times are ms since 1970."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from gifting.errors import CaseClosed
from gifting.model.money import key_time, make_key

Kind = Literal["not_delivered", "unauthorised", "minor", "other"]
Outcome = Literal["reversed", "refunded", "refused", "other"]

TEXT_MAX: Final = 2000
REASON_MAX: Final = 500
"""Characters."""

ERASED: Final = bytes(16)
"""The digest of a case whose text is erased: nobody can find out from it what that was."""


class Case(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``order`` or ``gift`` (its key) is what it is about, the other ''. ``outcome`` is '' while the case is open; then
    it was decided by ``by``, for ``reason``, at ``decided_at``; a gift that is ``reversed`` was so at
    ``done_at``, and before it is to be done still.
    """

    id: str
    user: str
    kind: Kind
    at: int
    order: str = ""
    gift: str = ""
    text: str = ""
    outcome: Outcome | Literal[""] = ""
    reason: str = ""
    by: str = ""
    decided_at: int = 0
    done_at: int = 0

    @property
    def closed(self) -> bool:
        """Whether it is decided, and what was decided is done."""
        return bool(self.outcome) and (self.outcome != "reversed" or bool(self.done_at))


class Decision(Struct, frozen=True):
    """Of the operator ``by``."""

    outcome: Outcome
    reason: str
    by: str
    at: int


def case_id(user: str, key: bytes) -> str:
    """The id of the case that a user opens under a key: other than those of all other users and keys."""
    return make_key(key_time(key), hashlib.blake2b(b"case\n" + user.encode() + b"\n" + key, digest_size=10).digest())


def digest(case: Case) -> bytes:
    """Of what the user said, by which the same is known again."""
    said = "\n".join((case.order, case.gift, case.kind, case.text))
    return hashlib.blake2b(said.encode(), digest_size=16).digest()


def decided(case: Case, decision: Decision) -> Case:
    """The case with that outcome; one that has it already stays as it is.

    Raises:
        CaseClosed: it was decided otherwise.
    """
    if not case.outcome:
        return replace(
            case, outcome=decision.outcome, reason=decision.reason, by=decision.by, decided_at=max(decision.at, case.at)
        )
    if case.outcome != decision.outcome:
        raise CaseClosed(f"It was decided before: {case.outcome}.")
    return case


def finished(case: Case, at: int) -> Case:
    """The case, of which what was decided is done; once."""
    return case if case.closed else replace(case, done_at=max(at, case.decided_at))


def erased(case: Case) -> Case:
    """The case without what the user wrote and what it was answered: what was decided stays."""
    return replace(case, text="", reason="")
