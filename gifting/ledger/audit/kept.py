"""Kept keys against the ledger, both ways: what was accepted has its entry, and what was entered is known again.

Keys are read after the cut, in pages, without holding Redis. That is sound because above a partition's floor none is
ever taken away: what was entered before the cut must be there. What is there without an entry may have come after the
cut; then the rest of the ledger has it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from math import inf
from typing import Any, Final, NamedTuple, assert_never

from gifting.ledger.audit import about
from gifting.ledger.audit.cut import Cut
from gifting.ledger.audit.known_keys import CREDITED, DEBITED, GIFT_KEPT, GRANT_KEPT, GRANTED, KnownKeys
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.values import text
from gifting.ledger.connect import BinaryRedis
from gifting.ledger.entries import (
    AccountChange,
    Clawback,
    Credit,
    Debit,
    GiftReversal,
    Grant,
    Payout,
    Purchase,
    Reversal,
)
from gifting.ledger.keys import BUCKET_MS, DAY_MS, Keys
from gifting.ledger.status import Status
from gifting.ledger.stream import Span, read_ledger
from gifting.model.money import DIGEST_SIZE, key_time

SCAN_COUNT: Final = 1000
"""Keys, or fields of a bucket, that one call looks at."""

_STATUSES: Final = frozenset(Status)


class _Kind(NamedTuple):
    """Keys of gifts, or of grants: ms that a bucket spans, the setting of their window, and their bits in the books."""

    name: str
    what: str
    width: int
    window: str
    entered: int
    kept: int


_KINDS: Final = (
    _Kind("keys", "gift", BUCKET_MS, "dedupe_window", DEBITED, GIFT_KEPT),
    _Kind("grants", "grant", DAY_MS, "grant_window", GRANTED, GRANT_KEPT),
)


class _Bucket(NamedTuple):
    name: str
    base: str
    kind: _Kind
    number: int


async def audit_kept(redis: BinaryRedis, keys: Keys, cut: Cut, keys_told: KnownKeys, findings: Findings) -> None:
    """Compare all buckets with the books, which must be as of the cut."""
    unknown: dict[tuple[str, str, bytes], str] = {}
    async for bucket in _buckets(redis, keys):
        async for key, value in redis.hscan_iter(bucket.name, count=SCAN_COUNT):
            findings.keys += 1
            if _check(bucket, key, value, keys_told, findings):
                unknown[bucket.kind.what, bucket.base, key] = bucket.name
    await _find_later(redis, keys, cut, unknown)
    for (what, base, key), bucket_name in unknown.items():
        sentence = f"{what.title()} {key.hex()} is kept as accepted in {bucket_name}, but the ledger has no such entry."
        findings.found("key_without_entry", sentence, about.stream(base))
    await _find_holes(redis, keys, cut, keys_told, findings)


async def _buckets(redis: BinaryRedis, keys: Keys) -> AsyncIterator[_Bucket]:
    bases = {base: base for base in keys.bases}
    kinds = {kind.name: kind for kind in _KINDS}
    form = re.compile(r"(.*):(keys|grants):(\d+)", re.DOTALL)
    prefix = re.sub(r"([*?\[\]\\])", r"\\\1", keys.bases[0].rpartition("{")[0])
    async for name in redis.scan_iter(match=f"{prefix}{{p*:[kg]*s:*", count=SCAN_COUNT):
        found = form.fullmatch(text(name))
        if found and found[1] in bases:
            yield _Bucket(found[0], found[1], kinds[found[2]], int(found[3]))


def _check(bucket: _Bucket, key: bytes, value: bytes, keys_told: KnownKeys, findings: Findings) -> bool:
    """Whether the ledger, as far as it was read, lacks the entry of an accepted key."""
    kind = bucket.kind
    status = value[DIGEST_SIZE] if len(value) > DIGEST_SIZE else None  # msgpack has small numbers as they are
    if status not in _STATUSES or len(key) != 16:
        told = f"{_name(bucket, key)} holds {value[:40].hex()}."
        findings.found("kept_key_broken", told, about.gift(bucket.base, key))
        return False
    right = key_time(key) // kind.width == bucket.number
    known = keys_told.keep(keys_told.name(bucket.base, key), kind.entered, kind.kept if right else 0)
    entered = bool(known & kind.entered)
    if status == Status.OUTCOME_UNKNOWN:
        _doubt(bucket, key, known, findings)
    elif entered and status != Status.OK:
        told = f"{_name(bucket, key)} is kept as refused, but entered."
        findings.found("key_differs", told, about.gift(bucket.base, key))
    return status == Status.OK and not entered


def _doubt(bucket: _Bucket, key: bytes, known: int, findings: Findings) -> None:
    """A script broke off. That is in order where what it did for this key is whole, or nothing."""
    findings.doubts += 1
    if known & (DEBITED | CREDITED) == DEBITED and bucket.kind.entered == DEBITED:
        told = f"{_name(bucket, key)}: the script that took it broke off, and nobody was told of an outcome."
        findings.found("key_in_doubt", told, about.gift(bucket.base, key))


def _name(bucket: _Bucket, key: bytes) -> str:
    return f"{bucket.kind.what.title()} {key.hex()} in {bucket.name}"


async def _find_later(redis: BinaryRedis, keys: Keys, cut: Cut, unknown: dict[Any, str]) -> None:
    """Take out what was entered after the cut."""
    if not unknown:
        return
    spans = {base: Span.after(cut.ledger_ends.get(base, "0-0")) for base in keys.bases}
    async for base, _, entry in read_ledger(redis, spans, broken=lambda *_: None):
        match entry:
            case Debit():
                unknown.pop(("gift", base, entry.key), None)
            case Grant():
                unknown.pop(("grant", base, entry.key), None)
            case Purchase() | Reversal() | GiftReversal() | Credit() | Clawback() | Payout() | AccountChange():
                pass
            case _:
                assert_never(entry)


async def _find_holes(redis: BinaryRedis, keys: Keys, cut: Cut, keys_told: KnownKeys, findings: Findings) -> None:
    """What could be charged again. Floors are read last: they only rise, and a bucket below one may be gone."""
    seconds, _ = await redis.time()
    floors: dict[tuple[str, str], float] = {}
    for base in keys.bases:
        found = await redis.hgetall(f"{base}:floors")
        for kind in _KINDS:
            floors[base, kind.name] = _floor(found.get(kind.name.encode()), cut.meta.get(kind.window), seconds)
    for kind in _KINDS:
        for base, key in keys_told.unkept(kind.entered, kind.kept):
            if key_time(key) >= floors[base, kind.name]:
                sentence = f"{base}: {kind.what} {key.hex()} is entered, but not kept: it could be entered again."
                findings.found("entry_without_key", sentence, about.gift(base, key))


async def oldest_kept(redis: BinaryRedis, keys: Keys) -> dict[str, float]:
    """When the oldest key was made of which something may be kept, or must be (ms), of debits, credits and grants.

    What is forgotten meanwhile is asked after all the same, and what is kept meanwhile is newer.
    """
    window, (seconds, _) = await redis.hgetall(keys.meta), await redis.time()
    oldest = {kind.name: inf for kind in _KINDS}
    for base in keys.bases:
        found = await redis.hgetall(f"{base}:floors")
        for kind in _KINDS:
            told = (window.get(kind.window.encode()) or b"").decode() or None
            oldest[kind.name] = min(oldest[kind.name], _floor(found.get(kind.name.encode()), told, seconds))
    async for bucket in _buckets(redis, keys):
        oldest[bucket.kind.name] = min(oldest[bucket.kind.name], bucket.number * bucket.kind.width)
    return {"debit": oldest["keys"], "credit": oldest["keys"], "grant": oldest["grants"]}


def _floor(kept: bytes | None, window: str | None, now: int) -> float:
    """Ms from which on keys must be known. Where no floor was set yet only the window says so, else nothing does."""
    try:
        if kept is not None:
            return int(kept)
        return inf if window is None else (now - float(window)) * 1000
    except ValueError:
        return 0
