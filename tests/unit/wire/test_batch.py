"""Room batches: read, cut at events, and joined to messages."""

from __future__ import annotations

import itertools

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from gifting.ledger.entry_parser import UNREADABLE
from gifting.model.packing import pack, unpack
from gifting.wire.batch import FIELDS, BatchReader, RoomBatch, Totals, array_header, join_events, read_batches, split


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=12), st.integers(1, 50), st.data())
def test_after_is_the_rest(blobs: list[bytes], first: int, data: st.DataObject) -> None:
    last = first + len(blobs) - 1
    index = tuple(number for at, blob in enumerate(blobs) for number in (len(blob), at, at + 1, at % 2))
    whole = RoomBatch("r", last, len(blobs), index, Totals(1, 2, 3), b"".join(blobs), ["rank"])
    found = [(entry.seq, whole.events[entry.start : entry.end]) for entry in whole.entries()]
    assert found == list(enumerate(blobs, first))
    seq = data.draw(st.integers(0, last))
    rest = whole.after(seq)
    assert [(entry.seq, rest.events[entry.start : entry.end]) for entry in rest.entries()] == [
        pair for pair in found if pair[0] > seq
    ]
    assert [astuple(entry)[3:] for entry in rest.entries()] == [
        astuple(entry)[3:] for entry in whole.entries() if entry.seq > seq
    ]
    assert (rest.last, rest.count, len(rest.index)) == (last, len(list(rest.entries())), rest.count * FIELDS)
    assert (rest.room, rest.totals, rest.rank) == ("r", whole.totals, whole.rank)


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=12), st.integers(1, 50), st.integers(1, 30))
def test_a_batch_is_cut_at_events(blobs: list[bytes], first: int, size: int) -> None:
    last = first + len(blobs) - 1
    index = tuple(number for at, blob in enumerate(blobs) for number in (len(blob), at, at + 1, at % 2))
    whole = RoomBatch("r", last, len(blobs), index, Totals(1, 2, 3), b"".join(blobs))
    parts = list(whole.pieces(size))
    told = [
        (entry.seq, part.events[entry.start : entry.end], *astuple(entry)[3:])
        for part in (*parts, whole)
        for entry in part.entries()
    ]
    assert told[: len(blobs)] == told[len(blobs) :]
    for part, following in itertools.pairwise(parts):
        assert part.last + 1 == following.first
        assert len(part.events) + following.index[0] > size, "the next event would have fitted"
    for part in parts:
        assert part.last - part.first + 1 == part.count == len(part.index) // FIELDS
        assert len(part.events) <= size or part.count == 1


@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=6), max_size=6), st.integers(1, 60))
def test_runs_of_batches_keep_to_a_size(made: list[list[int]], size: int) -> None:
    seq, batches = 0, []
    for sizes in made:
        seq += len(sizes)
        index = tuple(number for length in sizes for number in (length, 0, 0, 0))
        batches.append(RoomBatch("r", seq, len(sizes), index, Totals(0, 0, 0), bytes(sum(sizes))))
    runs = split(batches, size)
    assert [entry.seq for run in runs for part in run for entry in part.entries()] == list(range(1, seq + 1))
    for run in runs:
        assert sum(len(part.events) for part in run) <= size or (len(run), run[0].count) == (1, 1)


@given(st.lists(st.tuples(st.integers(1, 2**53 - 1), st.integers(1, 5)), max_size=4))
def test_batches_are_read_one_after_another(made: list[tuple[int, int]]) -> None:
    payload = b"".join(
        pack(("room", last, count, (1, 0, 0, 0) * count, 1, 2, 3, "e" * count, None)) for last, count in made
    )
    found = read_batches(payload)
    assert [(batch.last, batch.count) for batch in found] == made
    for read in found:
        assert read.first == read.last - read.count + 1
        assert (read.room, read.events, read.totals) == ("room", b"e" * read.count, Totals(1, 2, 3))


names = st.one_of(st.text("ab", min_size=1, max_size=3), st.text("ab", min_size=30, max_size=64))


@pytest.mark.parametrize("use_bin_type", [True, False], ids=["as Redis packs", "as Redis once did"])
@given(made=st.lists(st.tuples(names, st.integers(1, 3)), max_size=6), data=st.data())
def test_only_wanted_rooms_are_unpacked(made: list[tuple[str, int]], data: st.DataObject, use_bin_type: bool) -> None:
    wanted = data.draw(st.sets(st.sampled_from([room for room, _ in made]))) if made else set()
    head = msgpack.Packer(use_bin_type=use_bin_type).pack
    payload = b"".join(
        b"\x99" + head(room) + b"".join(map(pack, (count, count, (1, 0, 0, 0) * count, 1, 2, 3, "e" * count, None)))
        if room in wanted
        else b"\x99" + head(room) + b"\xc0" * 8  # what would break, if it were looked into
        for room, count in made
    )
    reader = BatchReader()
    for _ in range(2):
        found = reader.read(payload, wanted)
        assert [(batch.room, batch.count) for batch in found] == [pair for pair in made if pair[0] in wanted]


BROKEN = [b"\xc1", b"\x91\xa1r", b"r1", pack(("r", 1)), pack(("s", *range(8)))[:-1]]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("wanted", [None, {"r"}, {"s"}])
def test_what_is_no_batch_is_neither_passed_over_nor_left_to_the_next(broken: bytes, wanted: set[str] | None) -> None:
    reader, sound = BatchReader(), pack(("s", 1, 1, (1, 0, 0, 0), 1, 2, 3, "e", None))
    with pytest.raises(UNREADABLE):
        reader.read(sound + broken, wanted)
    assert [batch.last for batch in reader.read(sound)] == [1]


@pytest.mark.parametrize("count", [0, 15, 16, 65_535, 65_536])
def test_array_headers_are_msgpack(count: int) -> None:
    assert array_header(count) == msgpack.Packer().pack_array_header(count)
    assert unpack(array_header(count) + b"\xc0" * count) == [None] * count


def test_join_events_is_the_message_of_the_protocol() -> None:
    made = unpack(join_events(pack("r"), 7, [b"\x01", b"\x02\x03"], 3, {"coins": 1}))
    assert made == {"room": "r", "seq": 7, "events": [1, 2, 3], "totals": {"coins": 1}}
    assert unpack(join_events(pack("r"), 7, [], 0)) == {"room": "r", "seq": 7, "events": []}
