"""Which comments are held for the host: those that promise free coins, lead out of the room or tell personal data.

The rules are a TOML file. Pure; the time that a text takes is linear in it and in the rules.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from functools import partial
from itertools import combinations
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from gifting.errors import BadModeration
from gifting.model.contacts import contact_signs, has_contact
from gifting.model.folding import Folded, fold, plain
from gifting.model.numbers import has_number
from gifting.model.tomlfile import TomlFile, read_toml

Reason = Literal["free_coins", "link", "personal"]
"""Why a comment is held."""

PROMISES_MAX: Final = 100
WORDS_MAX: Final = 200
NEAR: Final = 4
"""Words from what is free to what it is, at most."""

GAP: Final = 3
"""Characters between both where they are hidden, at most: an ending."""

Word = Annotated[str, Meta(min_length=1, max_length=40)]
Words = Annotated[list[Word], Meta(max_length=WORDS_MAX)]


class Promise(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How free coins are promised in one language.

    A comment is held that has, within :data:`NEAR` words, one of ``free`` and one of ``coins``, and anywhere one of
    ``lures``, unless it has one of ``harmless`` and nothing else; and one that has any of ``phrases``. A word that ends
    in ``*`` stands for all that begin so. Where ``spaced`` is false, words are found anywhere, as in Japanese.
    """

    language: Annotated[str, Meta(pattern=r"\A[a-z]{2,3}\Z")]
    free: Words = []
    coins: Words = []
    lures: Words = []
    harmless: Words = []
    phrases: Words = []
    spaced: bool = True


class Contacts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``allow``: domains that may be named. ``invites``: addresses that count without their dot too. ``phones``: words
    near which 8 digits are a phone number, and ``digits`` those that stand for 0 to 9, by language.
    """

    allow: Words = []
    invites: Words = []
    phones: Words = []
    digits: dict[str, Annotated[list[Word], Meta(min_length=10, max_length=10)]] = {}


DIGITS_LEAST: Final = 8
"""Digits in words that may be a number."""

_IN_A_ROW: Final = re.compile(rf"\d{{{DIGITS_LEAST},15}}")


class _Words:
    """Words to be looked up: whole ones, and beginnings by their first two letters."""

    def __init__(self, words: Iterable[str]) -> None:
        self._whole: set[str] = set()
        self._begin: dict[str, list[str]] = defaultdict(list)
        for word in words:
            folded = fold_word(word)
            if word.endswith("*"):
                self._begin[folded[:2]].append(folded)
            else:
                self._whole.add(folded)

    def has(self, word: str) -> bool:
        return word in self._whole or any(map(word.startswith, self._begin.get(word[:2], ())))


class _Language:
    """One language's promise, ready to be looked for."""

    def __init__(self, promise: Promise) -> None:
        self._spaced = promise.spaced
        self._free, self._coins, self._lures = map(_Words, (promise.free, promise.coins, promise.lures))
        self._harmless = [joined(text) for text in promise.harmless]
        self._phrases = [joined(text) for text in promise.phrases]
        self._names = [joined(word) for word in promise.coins]
        self._offers = [joined(word) for word in promise.free]
        self._calls = [joined(word) for word in promise.lures]

    @property
    def needed(self) -> list[str]:
        """What a text must have one of to promise anything."""
        return [*self._phrases, *self._names]

    def promises(self, said: Folded) -> bool:
        text = said.joined
        if _has_any(text, self._phrases):
            return True
        if not _has_any(text, self._names):
            return False
        if not self._spaced:
            return self._unspaced(text)
        if self._near(said.words):
            return self._lured(said) and not any(harmless in text for harmless in self._harmless)
        return self._disguised(text)

    def _unspaced(self, text: str) -> bool:
        lured = any(offer in text for offer in self._offers) and any(call in text for call in self._calls)
        return lured and not any(harmless in text for harmless in self._harmless)

    def _near(self, words: list[str]) -> bool:
        free = [place for place, word in enumerate(words) if self._free.has(word)]
        if not free:
            return False
        coins = [place for place, word in enumerate(words) if self._coins.has(word)]
        return any(abs(one - other) <= NEAR for one in free for other in coins)

    def _lured(self, said: Folded) -> bool:
        return any(map(self._lures.has, said.words))

    def _disguised(self, text: str) -> bool:
        """Both words side by side where no blank shows them: whoever hides them means them."""
        places = [(text.find(name), len(name)) for name in self._names if name in text]
        offers = [(text.find(offer), len(offer)) for offer in self._offers if offer in text]
        return any(0 <= _between(one, other) <= GAP for one in places for other in offers)


def _between(one: tuple[int, int], other: tuple[int, int]) -> int:
    """How many characters are between two parts of a text, each by its place and length."""
    (first, size), (second, _) = sorted((one, other))
    return second - first - size


def _has_any(text: str, parts: list[str]) -> bool:
    return any(map(text.__contains__, parts))


def _has_another(text: str, known: Container[str]) -> bool:
    """Whether a part of a text, but not all of it, is one of those: in a time that does not grow with them."""
    ends = combinations(range(len(text) + 1), 2)
    return any(text[start:end] in known for start, end in ends if end - start < len(text))


def _finder(parts: Iterable[str]) -> Callable[[str], object]:
    """Finds whether a text has any of these, in one search."""
    known = set(parts)
    least = [part for part in known if not _has_another(part, known)]
    return re.compile("|".join(map(re.escape, sorted(least))) or r"(?!)").search


def fold_word(word: str) -> str:
    return fold(plain(word.rstrip("*"))).joined


def joined(text: str) -> str:
    return fold(plain(text.rstrip("*"))).joined


class Moderation:
    """The rules of a file, ready to be asked."""

    def __init__(self, promises: list[Promise], contacts: Contacts) -> None:
        self._languages = [_Language(promise) for promise in promises]
        self._allow = frozenset(map(plain, contacts.allow))
        self._invites = frozenset(form for name in contacts.invites for form in _forms(plain(name)))
        self._may_lead_out = contact_signs(self._invites).search
        self._may_promise = _finder(part for language in self._languages for part in language.needed)
        self._phones = _Words(contacts.phones)
        self._may_speak = _finder(map(joined, contacts.phones))
        self._spoken = [joined(word) for word in contacts.phones if not word.isascii()]
        self._digits = {
            fold_word(word): str(value) for each in contacts.digits.values() for value, word in enumerate(each)
        }

    def __len__(self) -> int:
        return len(self._languages)

    def look(self, text: str) -> Reason | None:
        """Why a comment is held; None: it is not."""
        simple = plain(text)
        said = fold(simple)
        if self._may_lead_out(simple) and has_contact(simple, self._invites, self._allow):
            return "link"
        if has_number(simple, partial(self._speaks_of_phones, said)) or has_number(self._spelled(said), lambda: True):
            return "personal"
        if self._may_promise(said.joined) and any(language.promises(said) for language in self._languages):
            return "free_coins"
        return None

    def _speaks_of_phones(self, said: Folded) -> bool:
        if not self._may_speak(said.joined):
            return False
        return any(map(self._phones.has, said.words)) or _has_any(said.joined, self._spoken)

    def _spelled(self, said: Folded) -> str:
        """The digits that are written as words; '' if there are too few in a row to be a number."""
        if said.size < DIGITS_LEAST:
            return ""
        digits = [self._digits.get(word, ";") for word in said.words]
        found = _IN_A_ROW.search("".join(digits))
        return found[0] if found else ""


def _forms(name: str) -> tuple[str, ...]:
    """An address with a blank in place of its last dot, and before its path."""
    return (name.replace(".", " "),)


def load_moderation(path: str = "") -> Moderation:
    """Read the rules at ``path``, or the package's own.

    Raises:
        BadModeration: with the file, the line and the reason.
    """
    return read_moderation(read_toml(path, "moderation.toml", BadModeration))


def read_moderation(file: TomlFile) -> Moderation:
    """The rules of a file. Raises BadModeration."""
    file.only("promise", "contacts")
    promises = file.tables("promise", Promise, PROMISES_MAX, least=0)
    file.once("promise", [promise.language for promise in promises], "language")
    for number, promise in enumerate(promises):
        for field in ("free", "coins", "lures", "harmless", "phrases"):
            for place, word in enumerate(getattr(promise, field)):
                if not fold_word(word):
                    raise file.wrong("promise", number, [field, place], f"{word!r} has no letters to be found by")
        if any(len(joined(phrase)) < (5 if promise.spaced else 2) for phrase in promise.phrases):
            raise file.wrong("promise", number, ["phrases"], "a phrase is so short that it is in other words")
    return Moderation(promises, file.table("contacts", Contacts) or Contacts())
