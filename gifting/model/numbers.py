"""Numbers that say who somebody is or what pays: phones, cards, bank accounts, by their form and checksums. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

_GROUPED: Final = re.compile(r"\+?\(?\d(?:[ ().\-/]{0,3}\d){6,24}")
"""Digits with little between them: at most 25, so a search is linear."""

_DIGIT: Final = re.compile(r"[0-9]")
_SEVEN: Final = re.compile(r"\d(?:[ ().\-/]{0,3}\d){6}")
"""Without a digit there is no number, and without seven only an account: most that is said has none."""

_DATE: Final = re.compile(r"\b(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4})\b")
_THOUSANDS: Final = re.compile(r"[1-9]\d{0,2}(?:[ .]\d{3})+")
_CPF: Final = re.compile(r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}")
_IBAN_HEAD: Final = re.compile(r"(?<![a-z0-9])[a-z]{2} ?\d ?\d")

_DOUBLED: Final = dict(zip("0123456789", (0, 2, 4, 6, 8, 1, 3, 5, 7, 9), strict=True))
"""The sum of the digits of twice a digit."""

CARD: Final = range(13, 20)
PHONE: Final = range(8, 16)
NATIONAL: Final = range(9, 13)
"""How many digits cards, phones with their country, and phones with a leading 0 have."""

SURELY: Final = range(10, 12)
"""How many digits a phone has that is written in three groups and begins with no 0."""

_LENGTHS: Final = """
no 15, be 16, dk fi fo gl nl 18, mk si 19, at ba ee kz lt lu xk 20, ch cr hr li lv 21, bg bh de gb ge ie me rs 22,
ae gi il 23, ad cz es md pk ro sa se sk tn 24, pt 25, is tr 26, fr gr it mc sm 27, al az cy do gt hu lb pl 28,
br eg ps qa ua 29, jo kw mu 30, mt 31
"""
IBAN_LENGTHS: Final = {
    country: int(length) for *countries, length in map(str.split, _LENGTHS.split(",")) for country in countries
}
"""How long a bank account is, by its country."""


def has_number(text: str, asked: Callable[[], bool]) -> bool:
    """Whether a :func:`~gifting.model.folding.plain` text tells a phone, a card or an account.

    ``asked``: whether it speaks of phones, so that 8 digits are one; called only if there are as many.
    """
    if _DIGIT.search(text) is None:
        return False
    if _SEVEN.search(text) is None:
        return _has_iban(text)
    return _has_iban(text) or any(_is_one(found, asked) for found in _grouped(text))


def _grouped(text: str) -> Iterator[str]:
    for match in _GROUPED.finditer(_DATE.sub(" ; ", text)):
        yield match[0]


def _is_one(found: str, asked: Callable[[], bool]) -> bool:
    digits = "".join(filter(str.isdigit, found))
    if len(digits) in CARD and digits[0] in "23456" and luhn(digits):
        return True
    if _CPF.fullmatch(found) and cpf(digits):
        return True
    if _THOUSANDS.fullmatch(found) and not asked():
        return False
    return _is_phone(found, digits, asked)


def _is_phone(found: str, digits: str, asked: Callable[[], bool]) -> bool:
    if found[0] == "+" or digits.startswith("00"):
        return len(digits) - 2 * digits.startswith("00") in PHONE
    if digits[0] == "0" or found[0] == "(":
        return len(digits) in NATIONAL and len(set(digits)) > 2
    if len(digits) in PHONE and asked():
        return True
    return len(digits) in SURELY and len(re.findall(r"\d+", found)) == 3


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of a card."""
    total = sum(map(int, digits[::-2])) + sum(map(_DOUBLED.__getitem__, digits[-2::-2]))
    return total % 10 == 0 and len(set(digits)) > 1


def cpf(digits: str) -> bool:
    """Whether 11 digits are a Brazilian taxpayer's number."""
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    for size in (9, 10):
        total = sum(int(digit) * (size + 1 - place) for place, digit in enumerate(digits[:size]))
        if (total * 10 % 11) % 10 != int(digits[size]):
            return False
    return True


def iban(account: str) -> bool:
    """Whether a bank account in lower case, without blanks, has its country's length and its check digits."""
    if IBAN_LENGTHS.get(account[:2]) != len(account):
        return False
    turned = account[4:] + account[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def _has_iban(text: str) -> bool:
    for match in _IBAN_HEAD.finditer(text):
        rest = text[match.start() : match.start() + 50]
        account = "".join(char for char in rest if char.isascii() and char.isalnum())
        if iban(account[: IBAN_LENGTHS.get(account[:2], 0)]):
            return True
    return False
