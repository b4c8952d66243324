"""The pure parts: framing, room batches, conflation, keys and tokens."""

from __future__ import annotations

import os
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from gifting import errors
from gifting.model.economy import diamonds_for, key_time, make_key, parse_key
from gifting.wire.batch import RoomBatch, Totals, array_header, join_events
from gifting.wire.codec import unpack
from gifting.wire.conflate import conflate
from gifting.wire.framing import INCOMPLETE, frame, measure, unmask
from gifting.wire.tokens import issue, verify

SECRET = "a secret for tests only, 32 bytes+"


@given(st.binary(max_size=70_000), st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
def test_frames_are_those_of_websockets(payload: bytes, opcode: Opcode) -> None:
    assert frame(opcode, payload) == Frame(opcode, payload).serialize(mask=False)


@given(st.binary(max_size=70_000), st.binary(max_size=5))
def test_a_client_frame_is_measured_wherever_it_is_cut(payload: bytes, before: bytes) -> None:
    sent = Frame(Opcode.BINARY, payload).serialize(mask=True)
    mask, start, end = measure(before + sent, len(before))
    assert end == len(before + sent)
    assert unmask(before + sent, mask, start, end) == payload
    for cut in range(1, min(14, len(sent))):
        assert measure(sent[:cut], 0) in (INCOMPLETE, measure(sent, 0))


def batch(first: int, events: list[tuple[int, int, int]]) -> RoomBatch:
    """A batch of (streak, weight, closes); each event's bytes are its seq as one byte."""
    index = tuple(number for event in events for number in (1, *event))
    blobs = bytes(range(first, first + len(events)))
    return RoomBatch("r", first + len(events) - 1, len(events), index, Totals(0, 0, 0), blobs)


@given(st.integers(0, 20))
def test_after_is_the_rest(seq: int) -> None:
    rest = batch(5, [(0, 0, 0)] * 8).after(min(seq, 12))
    assert rest.events == bytes(range(max(5, seq + 1), 13))
    assert [entry.seq for entry in rest.entries()] == list(rest.events)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 99), st.integers(0, 1)), max_size=60), st.integers(1, 4))
def test_conflation_is_bounded_ordered_and_ends_what_it_showed(events: list[tuple[int, int, int]], top: int) -> None:
    shown: set[int] = set()
    hanging: set[int] = set()
    for start in range(0, len(events), 10):
        part = events[start : start + 10]
        kept = conflate([batch(start, part)], top, shown)
        seqs = [blob[0] for blob in kept]
        assert seqs == sorted(set(seqs))
        assert sum(events[seq][0] == 0 for seq in seqs) <= top
        newest = {streak: start + n for n, (streak, _, _) in enumerate(part) if streak}
        assert {seq for seq in seqs if events[seq][0]} <= set(newest.values())
        for streak, seq in newest.items():
            if events[seq][2] and streak in hanging:
                assert seq in seqs
        for seq in seqs:
            streak, _, closes = events[seq]
            if streak:
                hanging = hanging - {streak} if closes else hanging | {streak}
        assert shown == hanging


@pytest.mark.parametrize("count", [0, 15, 16, 65_535, 65_536])
def test_array_headers_are_msgpack(count: int) -> None:
    assert unpack(array_header(count) + b"\xc0" * count) == [None] * count


def test_join_events_is_the_message_of_the_protocol() -> None:
    made = unpack(join_events("r", 7, [b"\x01", b"\x02\x03"], 3, {"coins": 1}))
    assert made == {"room": "r", "seq": 7, "events": [1, 2, 3], "totals": {"coins": 1}}


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_keys_keep_their_time(now: int, random: bytes) -> None:
    assert key_time(parse_key(make_key(now, random))) == now


@pytest.mark.parametrize("text", ["", "x" * 36, "0193-6f2e", make_key(1, os.urandom(10)).replace("-", ""), "é" * 36])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(errors.BadKey):
        parse_key(text)


@given(st.lists(st.integers(1, 10**9), max_size=20), st.integers(1, 1000), st.integers(1, 1000))
def test_diamonds_lose_nothing_to_rounding(gifts: list[int], numerator: int, denominator: int) -> None:
    total = carry = 0
    for coins in gifts:
        diamonds, carry = diamonds_for(coins, (numerator, denominator), carry)
        total += diamonds
    assert (total, carry) == divmod(sum(gifts) * numerator, denominator)


def test_tokens() -> None:
    now = time.time()
    token = issue(SECRET, "ann", "overlay", now=now, ttl=60, room="r1")
    assert verify(SECRET, token, now=now).room == "r1"
    with pytest.raises(errors.TokenExpired):
        verify(SECRET, token, now=now + 61)
    claims = {"sub": "ann", "role": "operator", "jti": "x", "exp": int(now) + 60}
    forged = [
        jwt.encode(claims, None, algorithm="none"),
        jwt.encode(claims, SECRET + "x", algorithm="HS256"),
        jwt.encode({**claims, "role": "god"}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "sub": "a\nb"}, SECRET, algorithm="HS256"),
        jwt.encode({**claims, "role": "overlay"}, SECRET, algorithm="HS256"),
        jwt.encode({"sub": "ann", "role": "viewer"}, SECRET, algorithm="HS256"),
        token[:-3] + "abc",
    ]
    for bad in forged:
        with pytest.raises(errors.BadToken):
            verify(SECRET, bad, now=now)
