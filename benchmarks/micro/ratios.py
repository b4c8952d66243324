"""Where instructions can't be counted: CPU time of a case over that of a reference loop, in alternation.

Both run for a few milliseconds, one after the other, many times over; the ratio is taken pair by pair and the median of
the pairs is the figure. What slows the machine down slows both halves of a pair, so the ratio stays.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Sequence
from typing import Final

import msgpack

from benchmarks.micro.cases import CASES, Call
from benchmarks.micro.stage import Stage

HALF_NS: Final = 5_000_000
"""CPU time of each half of a pair: long against the clock's step, short against a neighbour's turn."""

PAIRS: Final = 101
PAIRS_LEAST: Final = 11
WARM_UP: Final = 20
PROBE: Final = 3
"""Times a loop is tried to find how many calls make a half; the fastest counts."""

_WORDS: Final = [{"id": number, "name": f"name {number}", "list": [number] * 4} for number in range(16)]


def reference() -> object:
    """A bit of what the cases are made of: calls, dictionaries, joined bytes, msgpack."""
    found: dict[int, bytes] = {}
    for word in _WORDS:
        found[hash(word["name"]) & 7] = msgpack.packb(word)
    return b"".join(found.values())


def measure(names: Sequence[str], scale: float) -> dict[str, float]:
    """CPU time per call over that of :func:`reference`, of each case; ``scale`` times the usual pairs."""
    pairs = max(PAIRS_LEAST, round(PAIRS * scale))
    found = {}
    was_on = gc.isenabled()
    gc.disable()
    try:
        for case in CASES:
            if case.name in names:
                with Stage() as stage:
                    found[case.name] = _ratio(case.make(stage), pairs)
                gc.collect()
    finally:
        if was_on:
            gc.enable()
    return found


def _ratio(call: Call, pairs: int) -> float:
    calls, beats = _calls_in_half(call), _calls_in_half(reference)
    found = [(_cpu_ns(call, calls) / calls) / (_cpu_ns(reference, beats) / beats) for _ in range(pairs)]
    return statistics.median(found)


def _calls_in_half(call: Call) -> int:
    _cpu_ns(call, WARM_UP)
    fastest = min(_cpu_ns(call, WARM_UP) for _ in range(PROBE)) / WARM_UP
    return max(1, round(HALF_NS / max(fastest, 1)))


def _cpu_ns(call: Call, calls: int) -> int:
    began = time.process_time_ns()
    for _ in range(calls):
        call()
    return time.process_time_ns() - began
