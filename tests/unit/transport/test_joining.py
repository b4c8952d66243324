"""Coming back to a room whose snapshot is at hand: what is written, and when."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.micro import samples
from benchmarks.micro.stage import NullTransport, Stage
from gifting.load.socket import masked
from gifting.wire.codec import MSGPACK
from gifting.wire.framing import measure

PING = masked(MSGPACK.opcode, MSGPACK.encode({"op": "ping", "id": 7}))


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as built:
        built.pass_on(16)
        yield built


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """All writes, to whomever."""
    found: list[bytes] = []
    monkeypatch.setattr(NullTransport, "write", lambda transport, data: found.append(data))
    return found


def said(data: bytes) -> list[str]:
    """What is in each of some frames: a reply, or the seqs of events."""
    found, at = [], 0
    while at < len(data):
        _, start, at = measure(data, at)
        message = MSGPACK.decode_any(data[start:at])
        found.append(f"re {message['re']}" if "re" in message else f"to {message['seq']}")
    return found


def test_the_reply_and_what_was_missed_leave_in_one_write(stage: Stage, written: list[bytes]) -> None:
    for _ in range(2):  # what the first was given is at hand for the second
        stage.connection(MSGPACK).data_received(samples.rejoin(MSGPACK, 8))
    assert [said(data) for data in written] == [["re 1", "to 16"]] * 2


def test_what_waits_goes_before_it(stage: Stage, written: list[bytes]) -> None:
    stage.connection(MSGPACK).data_received(PING + samples.rejoin(MSGPACK, 8))
    assert [said(data) for data in written] == [["re 7", "re 1", "to 16"]]


def test_who_missed_nothing_has_its_reply_at_once(stage: Stage, written: list[bytes]) -> None:
    stage.connection(MSGPACK).data_received(samples.rejoin(MSGPACK, 16))
    assert [said(data) for data in written] == [["re 1"]]


def test_a_join_that_fails_does_not_keep_what_follows(
    stage: Stage, written: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = stage.connection(MSGPACK)
    with monkeypatch.context() as patch:
        patch.setattr(stage.hub, "subscribe", None)
        connection.data_received(samples.rejoin(MSGPACK, 16))
    connection.data_received(PING)
    stage.turn()
    assert said(written[-1])[-1] == "re 7"
