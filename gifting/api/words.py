"""What may be said in the query of an endpoint: one of several words, or a text of a form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gifting.errors import BadCursor, BadId, BadKey, BadMessage, BadRequest
from gifting.model.ids import ID


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the form ``pattern``, else ``refused``. It may be left out where '' is of that form."""

    pattern: str
    refused: type[BadRequest]

    @property
    def needed(self) -> bool:
        return re.match(self.pattern, "") is None

    def read(self, name: str, text: str) -> str:
        """Raises what it is refused for."""
        if re.match(self.pattern, text) is None:
            raise self.refused(f"{name} is {text[:40]!r}.")
        return text


Word = tuple[str, ...] | Text
"""Words, of which the first holds where nothing is said; none: any text. Or a text of a form."""


def or_none(pattern: str) -> str:
    """The same, or nothing."""
    return r"\A(?:" + pattern.removeprefix(r"\A").removesuffix(r"\Z") + r")?\Z"


SOMEBODY: Final = Text(ID, BadId)
ANYBODY: Final = Text(or_none(ID), BadId)
CURSOR: Final = Text(or_none("[0-9]{1,16}-[0-9]{1,16}-[0-9]{1,16}"), BadCursor)
"""The place of an entry of the ledger: its time, its item's number and its place in that."""
ACT_CURSOR: Final = Text(or_none("[0-9]{16}-[0-9]{8}"), BadCursor)
UUID_KEY: Final = Text(or_none("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), BadKey)
"""A key of the ledger: of a gift, and what stands in its place elsewhere."""
CURRENCY: Final = Text(or_none("[A-Z]{3}"), BadMessage)
