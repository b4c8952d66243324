"""Frames, against websockets' own."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gifting.wire.framing import INCOMPLETE, frame, measure, unmask

sizes = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 65_535, 65_536, 70_000]))


@given(sizes, st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING]))
def test_frames_are_those_of_websockets(size: int, opcode: Opcode) -> None:
    size = min(size, 125) if opcode is Opcode.PING else size
    assert frame(opcode, b"x" * size) == Frame(opcode, b"x" * size).serialize(mask=False)


@st.composite
def client_frames(draw: st.DrawFn) -> list[Frame]:
    """What a client may send: messages, whole or in fragments, with control frames between these."""
    frames: list[Frame] = []
    for kind in draw(st.lists(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), min_size=1, max_size=4)):
        pieces = [draw(st.binary(max_size=5)) * draw(st.integers(0, 60)) for _ in range(draw(st.integers(1, 3)))]
        for number, piece in enumerate(pieces):
            last = number == len(pieces) - 1
            frames.append(Frame(Opcode.CONT if number else kind, piece, fin=last))
            if draw(st.booleans()):
                control = draw(st.sampled_from([Opcode.PING, Opcode.PONG]))
                frames.append(Frame(control, draw(st.binary(max_size=125))))
    return frames


def measured(chunks: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """First byte and payload of every frame, taken as soon as it is there."""
    data = b""
    for chunk in chunks:
        data += chunk
        while True:
            mask, payload, end = measure(data, 0)
            if not end or end > len(data):
                break
            yield data[0], unmask(data, mask, payload, end)
            data = data[end:]
    assert data == b""


@given(client_frames(), st.data())
def test_frames_are_measured_as_websockets_parses_them(frames: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(sent.serialize(mask=True) for sent in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in itertools.pairwise([0, *cuts, len(stream)])]
    engine = ServerProtocol(state=State.OPEN, max_size=None, logger=logging.getLogger("quiet"))
    for chunk in chunks:
        if chunk:
            engine.receive_data(chunk)
    parsed = [event for event in engine.events_received() if isinstance(event, Frame)]
    found = list(measured(chunks))
    assert found == [(event.fin << 7 | event.opcode, bytes(event.data)) for event in parsed]
    assert [payload for _, payload in found] == [bytes(sent.data) for sent in frames]


@given(sizes, st.binary(max_size=5), st.integers(0, 255))
def test_a_client_frame_is_measured_wherever_it_is_cut(size: int, before: bytes, first: int) -> None:
    payload = (b"payload" * 10_001)[:size]
    sent = bytes((first,)) + Frame(Opcode.BINARY, payload).serialize(mask=True)[1:]
    mask, start, end = measure(before + sent, len(before))
    assert end == len(before + sent)
    assert unmask(before + sent, mask, start, end) == payload
    for cut in range(min(16, len(sent))):
        assert measure(sent[:cut], 0) in (INCOMPLETE, measure(sent, 0))


@given(sizes)
def test_a_frame_without_mask_is_told(size: int) -> None:
    mask, payload, end = measure(frame(Opcode.BINARY, b"x" * size), 0)
    assert mask == payload == end - size
