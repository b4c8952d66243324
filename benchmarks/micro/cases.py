"""The cases: each a name, how many calls are counted, and what makes the call.

A call is a plain function without arguments that leaves everything as it found it, so that any number of calls in a
row does the same work each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from benchmarks.micro import samples
from benchmarks.micro.stage import TTL, Stage
from gifting.hub.lane import Lane
from gifting.ledger.commit import deliver, pack_batch, read_replies
from gifting.ledger.commit_call import CommitCalls
from gifting.ledger.resp import bulk
from gifting.load.socket import masked
from gifting.model.values import Done
from gifting.wire.batch import read_batches
from gifting.wire.codec import BINARY, JSON, MSGPACK, Codec
from gifting.wire.framing import frame
from gifting.wire.messages import Lane as LaneName

READERS: Final = 1000
"""Viewers of the fan-out."""

BATCH: Final = 256
"""Gifts of a busy ledger batch, and of a burst."""

AUDIENCE: Final = 20
"""Viewers of a room that is one of many, and batches of many rooms in one message."""

FRAME_EVENTS: Final = 16
"""Events of the frames and of the transcode: what a busy room sends in one."""

OTHERS: Final = [f"other-{number}" for number in range(1, AUDIENCE)]
"""Rooms that are not on stage."""

Call = Callable[[], object]


class Case(NamedTuple):
    """``calls``: how many are counted; so many that what surrounds them does not show."""

    name: str
    calls: int
    make: Callable[[Stage], Call]


def _nobody(_: object) -> None:
    """Who is told of a gift."""


def _decode_msgpack(_: Stage) -> Call:
    data, decode = samples.message(MSGPACK), MSGPACK.decode
    return lambda: decode(data)


def _decode_json(_: Stage) -> Call:
    data, decode = samples.message(JSON), JSON.decode
    return lambda: decode(data)


def _pack_gift(stage: Stage) -> Call:
    ledger, sender, room, done = stage.ledger, stage.sender, stage.ref, _nobody

    def call() -> None:
        ledger.gifts.submit(sender, room, samples.GIFT, samples.KEY, 3, samples.TEXT, done)
        ledger.forget_queue()

    return call


def _pack_batch(stage: Stage) -> Call:
    done: Done = _nobody
    for _ in range(BATCH):
        stage.ledger.gifts.submit(stage.sender, stage.ref, samples.GIFT, samples.KEY, 1, None, done)
    items = stage.ledger.take_queue()

    return lambda: pack_batch(items)


def _pack_one(stage: Stage) -> Call:
    stage.ledger.gifts.submit(stage.sender, stage.ref, samples.GIFT, samples.KEY, 1, None, _nobody)
    items = stage.ledger.take_queue()
    return lambda: pack_batch(items)


def _call_of_one(stage: Stage) -> Call:
    calls = CommitCalls("chain", samples.OPTIONS, str)
    stage.ledger.gifts.submit(stage.sender, stage.ref, samples.GIFT, samples.KEY, 1, None, _nobody)
    items = stage.ledger.take_queue()
    return lambda: calls.pack(items, link=False, beside=False)


def _acknowledge(stage: Stage) -> Call:
    """From what the script says to what the sender's transport writes."""
    connection = stage.connection(MSGPACK)
    connection.data_received(masked(BINARY, samples.lone_gift()))
    items = stage.ledger.take_queue()

    def call() -> None:
        deliver(items, read_replies(samples.REPLY, len(items)))
        connection.flush()

    return call


def _frame(stage: Stage) -> Call:
    payload = samples.batch(stage.catalog, FRAME_EVENTS).events
    return lambda: frame(BINARY, payload)


def _read_frames(count: int) -> Callable[[Stage], Call]:
    def make(stage: Stage) -> Call:
        connection, data = stage.connection(MSGPACK), samples.client_frames(MSGPACK, count)

        def call() -> None:
            connection.data_received(data)
            stage.ledger.forget_queue()

        return call

    return make


def _read(message: bytes) -> Callable[[Stage], Call]:
    """A lone message, from the bytes of the socket to the queue."""

    def make(stage: Stage) -> Call:
        connection, data = stage.connection(MSGPACK), masked(BINARY, message)

        def call() -> None:
            connection.data_received(data)
            stage.ledger.forget_queue()

        return call

    return make


def _take_in(message: bytes) -> Callable[[Stage], Call]:
    """A lone message from the bytes of its socket to the call, and from Redis' reply to the bytes of the ack."""

    def make(stage: Stage) -> Call:
        connection, line = stage.connection(MSGPACK), stage.line()
        data, reply = masked(BINARY, message), bulk(samples.REPLY)
        batcher = stage.ledger.one

        def call() -> None:
            connection.data_received(data)
            batcher._send()
            line.data_received(reply)
            connection.flush()

        return call

    return make


def _fan_out(stage: Stage) -> Call:
    stage.watch("all", MSGPACK, READERS)
    lane: Lane = stage.room.lanes["all"]
    batch = samples.batch(stage.catalog, 1)

    def call() -> None:
        lane.push(batch)
        lane.flush(0.0)

    return call


def _deliver(lane: LaneName, codec: Codec) -> Callable[[Stage], Call]:
    """A lone event, from what was published to what the transports of its room write."""

    def make(stage: Stage) -> Call:
        stage.watch(lane, codec, AUDIENCE)
        payload = samples.published(stage.catalog, 1)

        def call() -> None:
            stage.room.history.seq = 0
            stage.hub.receive(payload)
            stage.run_pass()

        return call

    return make


def _receive(*rooms: str) -> Callable[[Stage], Call]:
    """A message with a batch of each room, of which the stage has one at most."""

    def make(stage: Stage) -> Call:
        payload = b"".join(samples.published(stage.catalog, 1, room) for room in rooms)

        def call() -> None:
            stage.room.history.seq = 0
            stage.hub.receive(payload)

        return call

    return make


def _conflate(stage: Stage) -> Call:
    lane, batches = stage.room.lanes["live"], [samples.batch(stage.catalog, BATCH)]
    return lambda: lane.message(BATCH, batches, [], frozenset())


def _transcode(stage: Stage) -> Call:
    batch = samples.batch(stage.catalog, FRAME_EVENTS)
    data = stage.room.lanes["all"].message(batch.last, [batch], [], frozenset()).data
    size = stage.hub.settings.frame_max
    return lambda: JSON.transcode(data, size)


def _read_batch(stage: Stage) -> Call:
    payload = samples.published(stage.catalog, FRAME_EVENTS)
    return lambda: read_batches(payload)


def _come_back(stage: Stage) -> Call:
    """Of many who come back: one that lacks what others lacked too."""
    stage.pass_on(FRAME_EVENTS)
    stage.watch("all", MSGPACK, 1)
    upgrade, join = samples.upgrade(MSGPACK, TTL), samples.rejoin(MSGPACK, FRAME_EVENTS // 2)

    def call() -> None:
        transport = stage.accept()
        transport.protocol.data_received(upgrade)
        transport.protocol.data_received(join)
        transport.protocol.connection_lost(None)

    return call


CASES: Final = (
    Case("decode send_gift, msgpack", 4000, _decode_msgpack),
    Case("decode send_gift, JSON", 4000, _decode_json),
    Case("pack a gift for the ledger", 1000, _pack_gift),
    Case("address and pack a batch of 256", 50, _pack_batch),
    Case("address and pack 1 gift", 1000, _pack_one),
    Case("write a call of 1 gift", 1000, _call_of_one),
    Case("acknowledge 1 gift", 1000, _acknowledge),
    Case("frame 16 events", 4000, _frame),
    Case("read 1 client frame", 1000, _read_frames(1)),
    Case("read a gift without a text", 1000, _read(samples.lone_gift())),
    Case("read a comment", 1000, _read(samples.comment())),
    Case("take in 1 gift", 1000, _take_in(samples.lone_gift())),
    Case("take in 1 comment", 1000, _take_in(samples.comment())),
    Case("read 16 client frames", 100, _read_frames(16)),
    Case("come back, join, lack 8 events, and go", 500, _come_back),
    Case("fan out to 1,000 viewers", 50, _fan_out),
    Case("deliver 1 event to 20 viewers", 1000, _deliver("all", MSGPACK)),
    Case("deliver 1 event to 20 viewers, JSON", 1000, _deliver("all", JSON)),
    Case("deliver 1 event to 20 viewers, lane live", 1000, _deliver("live", MSGPACK)),
    Case("receive 1 batch that nobody waits for", 1000, _receive("elsewhere")),
    Case("receive 20 batches, 1 of them wanted", 200, _receive(samples.ROOM, *OTHERS)),
    Case("conflate 256 events for lane live", 50, _conflate),
    Case("transcode 16 events to JSON", 500, _transcode),
    Case("read a published batch of 16", 2000, _read_batch),
)
