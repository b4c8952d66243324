"""Ways out of the room that a text shows: links, mail addresses, invitations. Pure; linear in the text."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Iterator
from itertools import pairwise
from typing import Final

_SCHEME: Final = re.compile(r"\b(?:https?|hxxps?|ftp|tg|whatsapp|market|intent) ?: ?/ ?/")
_SPELLED_DOT: Final = re.compile(
    r" ?[(\[{<*_]? ?(?:\bdot\b|\bpunto\b|\bponto\b|\bpunkt\b|\bpoint\b|\btitik\b|\bnokta\b|\btoчka\b|\bdott\b"
    r"|点|ドット|どっと|닷|점|نقطه) ?[)\]}>*_]? ?"
)
_DOTS: Final = (
    *("dot", "punto", "ponto", "punkt", "point", "titik", "nokta", "toчka"),
    *("点", "ドット", "どっと", "닷", "점", "نقط"),
)
_SIGNS: Final = (".", "@", "/", *_DOTS)
"""One of these is in each of them, but for invitations."""

_FRAMED_DOT: Final = re.compile(r" ?[(\[{<] ?[.,] ?[)\]}>] ?| \. (?=[a-z]{2,6}\b)| (?=\.[a-z]{2,6}(?:[/ ]|\Z))")
_SPELLED_AT: Final = re.compile(
    r" ?[(\[{<] ?(?:at|arroba|@) ?[)\]}>] ?| (?:at|arroba|arobase|klammeraffe) (?=\w)| @ (?=\w)"
)
_HOST: Final = re.compile(r"[^\s,;:!?()\[\]{}<>\"'`|\\/@]+")
_LABEL: Final = re.compile(r"[\w-]{1,63}")
_LATIN: Final = re.compile(r"[a-z]{2,}(?=[^\x00-\x7f])")

HOST_MAX: Final = 253
"""Characters of a host's name, at most."""

_SURE: Final = """
com net org info biz xyz online site shop store club vip gg ru ua pl fr cn jp kr br uk eu ir tk ml ga cf gq ws tv
icu cyou fun win bet casino page dev ly su pф
"""
SURE: Final = frozenset(_SURE.split())
"""Endings that are no words, so that what has one is an address, with whatever it goes on."""

_LIKELY: Final = """
me it is so to in no my be at us de es la am do id se io cc co app link click live top news tr mx ar nl pt au ca gl ai
"""
LIKELY: Final = frozenset(_LIKELY.split())
"""Endings that are words too, where a blank may be missing: one is an address if a path, www or a digit is there."""

_MAIL: Final = "gmail googlemail hotmail outlook yahoo ymail icloud proton protonmail aol gmx naver qq mail"
MAIL: Final = frozenset(_MAIL.split())
"""Mail services, which are known without their ending."""

_LOOKS: Final = "|".join(
    (
        r"\.[\s)\]}>*_]*[^\W\d_]|\d\.\d+\.\d+\.\d|[(\[{<]\s*[.,]\s*[)\]}>]|[@/]",
        rf"\b(?:at|arroba|arobase|klammeraffe)\b[\W_]*(?:{'|'.join(sorted(MAIL))})",
        *_DOTS,
    )
)
"""What they look like: a dot before a letter or between numbers, or a mail service; closer than its signs alone."""


def contact_signs(invites: Iterable[str]) -> re.Pattern[str]:
    """What a text must have for :func:`has_contact` to find anything: quickly looked for, and seldom there."""
    return re.compile("|".join((_LOOKS, *(re.escape(name).replace(r"\ ", r"\s+") for name in sorted(invites)))))


def has_contact(text: str, invites: Collection[str], allowed: Container[str]) -> bool:
    """Whether a :func:`~gifting.model.folding.plain` text has a link or a mail address.

    ``invites`` are addresses that count with a blank in the dot's place too; ``allowed`` are domains that don't count.
    """
    text = " ".join(text.split())
    if not any(sign in text for sign in _SIGNS) and not any(name in text for name in invites):
        return False
    text = _spelled_out(text)
    return any(not _is_allowed(found, allowed) for found in _found(text, invites))


def _spelled_out(text: str) -> str:
    if _SPELLED_DOT.search(text):
        text = _SPELLED_DOT.sub(".", text)
    return _SPELLED_AT.sub("@", _FRAMED_DOT.sub(".", text))


def _found(text: str, invites: Container[str]) -> Iterator[str]:
    """Hosts that are named; '?' for what is surely a link, wherever it leads."""
    if (scheme := _SCHEME.search(text)) and not _HOST.match(text, scheme.end()):
        yield "?"
    for match in _HOST.finditer(text):
        host = match[0].strip("._-*~")
        before, behind = text[max(match.start() - 1, 0) : match.start()], text[match.end() : match.end() + 1]
        if before == "@" and match.start() > 1 and host.partition(".")[0] in MAIL:
            yield "?"
        elif "." in host and _is_address(host, before, behind):
            yield host
    words = text.replace("/", " /").split()
    for first, second in pairwise(words):
        if f"{first} {second}" in invites:
            yield "?"


def _is_address(host: str, before: str, behind: str) -> bool:
    *labels, ending = host.split(".")
    if (latin := _LATIN.match(ending)) is not None:
        ending = latin[0]
    if not labels or not all(map(_LABEL.fullmatch, labels)):
        return False
    if before == "@" or behind == "@":
        return ending.isalpha() and len(ending) > 1
    if ending in SURE:
        return any(any(map(str.isalpha, label)) for label in labels)
    path = behind == "/" or labels[0] == "www"
    numbered = any(map(str.isdigit, host)) or "-" in host
    if ending in LIKELY:
        return path or before == "/" or (numbered and any(any(map(str.isalpha, label)) for label in labels))
    number = len(labels) == 3 and all(map(str.isdigit, (*labels, ending)))
    return (path or before == "/" or (number and behind == ":")) and (number or (ending.isalpha() and len(ending) > 1))


def _is_allowed(host: str, allowed: Container[str]) -> bool:
    labels = host[-HOST_MAX:].split(".")
    return any(".".join(labels[start:]) in allowed for start in range(len(labels) - 1))
