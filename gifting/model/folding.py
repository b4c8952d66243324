"""Text as moderation compares it: what only looks or is spaced differently is the same. Pure; linear in the text."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from typing import Final

_UNSEEN: Final = re.compile(
    r"[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u20e3\u2800\u3164\ufdfa\ufdfb\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e01ff]"
)
"""What is not seen: format characters, joiners, fillers, variants, the frame of a keycap; and two letters that stand
for whole sentences, which would make a text eighteen times as long.
"""

_MARKS: Final = re.compile(r"[\u0300-\u036f\u0640\u064b-\u065f\u0670]")
"""Accents, and the vowel signs and stretching of Arabic. Of scripts whose marks are letters, none."""

_ALIKE: Final[dict[int, str | int]] = {
    **str.maketrans("авекмнорстухіїјѕԁԛԝһҽӏ", "abekmhopctyxiijsdqwhei"),
    **str.maketrans("αβεηικνορτυχγ", "abenikvoptuxy"),
    **str.maketrans("ıłøđħŧɡɑɩʀօսո", "iloohtgairoun"),
    **{ord(letter): same for letter, same in {"æ": "ae", "œ": "oe", "þ": "th"}.items()},
    **{
        ord(letter): same
        for letter, same in {"ى": "ي", "ة": "ه", "ک": "ك", "ی": "ي", "。": ".", "․": ".", "‧": "."}.items()
    },
}
"""Letters that look like Latin ones, and what is written in two ways."""

_MEANT: Final = str.maketrans("013457892$@!|€", "oieastbgzsaiie")
"""Digits and signs that stand for letters within a word."""

_MEANING: Final = re.compile(r"[0-9$@!|€_]")
"""Without one of these, words are as they are written."""

_DIGIT: Final = re.compile(r"[^\D0-9]")
_WORD: Final = re.compile(r"[\w$@!|€\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+")
_AMOUNT: Final = re.compile(r"(\d{2,})?(.*?)(\d{3,})?", re.DOTALL)
_TWICE: Final = re.compile(r"([^\d ])(?=\1)")


def plain(text: str) -> str:
    """A text in lower case without accents, look-alikes and what is not seen; digits of all scripts are 0 to 9."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).casefold()
    text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text))).translate(_ALIKE)
    return _DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), text)


class Folded:
    """The words of a text, ``size`` of them, and ``joined``, all of them in one without anything between."""

    def __init__(self, words: list[str]) -> None:
        self.size = len(words)
        self._line = " ".join(words).replace("l", "i")
        self.joined = _TWICE.sub("", self._line.replace(" ", ""))

    @cached_property
    def words(self) -> list[str]:
        return _TWICE.sub("", self._line).split(" ")


def fold(text: str) -> Folded:
    """The words of a :func:`plain` text: digits in them as letters, of which none is there twice; l is as i."""
    words = _WORD.findall(text)
    if _MEANING.search(text) is None:
        return Folded(words)
    return Folded([part for word in words for part in ((word,) if word.isalpha() or word.isdigit() else _meant(word))])


def _meant(word: str) -> list[str]:
    """A word with digits and signs, and the amounts that stand before and behind it."""
    match = _AMOUNT.fullmatch(word)
    parts = match.groups() if match else ()
    letters = [part if not part or part.isdigit() else part.translate(_MEANT).replace("_", "") for part in parts]
    return [part for part in letters if part]
