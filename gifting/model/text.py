"""What people may write, wherever they do: names, titles, reasons, messages, comments."""

from __future__ import annotations

import re
from typing import Final

PLAIN: Final = r"\A[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*\Z"
"""One line: no control character or line break, no lone surrogate, and nothing that turns the direction of what
follows (the bidi embeddings, overrides and isolates); the marks that join emoji or hint at a direction may stay."""

PLAIN_MEANS: Final = "text of one line without control characters, lone surrogates and direction overrides"

_is_plain = re.compile(PLAIN).match


def plain(text: str) -> bool:
    """Whether ``text`` may be shown to others. Most is printable, which is found out faster; joined emoji are not."""
    return text.isprintable() or _is_plain(text) is not None
