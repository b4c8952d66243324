"""Rooms: begin and end a stream, list and read them, their events and their ranking."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from msgspec import Meta, Struct

from gifting.api.access import HOST, MEMBERS, OPENER, WATCHERS
from gifting.api.call import Call
from gifting.api.endpoint import Done, Endpoint
from gifting.ledger.listing import SETS
from gifting.model.events import LoggedEvent, Ranked
from gifting.model.ids import ID
from gifting.model.packing import unpack
from gifting.model.text import PLAIN
from gifting.wire.messages import MAX_INT
from gifting.wire.replies import Snapshot

if TYPE_CHECKING:
    from gifting.ledger.listing import Sort

ROOMS_MAX = 200
EVENTS_MAX = 1000
EVENTS_SIZE = 262_144
"""Bytes of events after which a reply ends, however many were asked for."""

TOP_MAX = 100

NewId = Annotated[str, Meta(pattern=ID)]


class OpenRoom(Struct):
    """A new stream. ``host_name`` is what gift events show; without it, the host's id."""

    room: NewId
    host: NewId
    title: Annotated[str, Meta(max_length=200, pattern=PLAIN)] = ""
    host_name: Annotated[str, Meta(max_length=64, pattern=PLAIN)] = ""


class RoomsReply(Struct):
    """Live rooms, by viewers or the newest first. ``cursor`` is for the next page; '' where there is none."""

    rooms: list[str]
    cursor: str


class EventsReply(Struct):
    """Events after ``since``: at most ``limit``, and fewer where they are large; none where there are no more.
    ``seq`` is where to go on; ``gap`` says that the log no longer reaches back so far.
    """

    room: str
    seq: int
    events: list[LoggedEvent]
    gap: bool


class TopReply(Struct):
    top: list[Ranked]


async def open_room(call: Call) -> Snapshot:
    body: OpenRoom = call.body
    name = body.host_name or (call.identity.name if call.identity.user == body.host else "")
    ledger = call.services.ledger
    return await ledger.rooms.snapshot(await ledger.rooms.open(body.room, body.host, name, body.title))


async def list_rooms(call: Call) -> RoomsReply:
    sort, cursor, limit = cast("Sort", call.words["sort"]), call.words["cursor"], max(call.query["limit"], 1)
    return RoomsReply(*await call.services.ledger.rooms.live(sort, cursor, limit))


async def read_room(call: Call) -> Snapshot:
    ledger = call.services.ledger
    return await ledger.rooms.snapshot(await ledger.rooms.find(call.path["room"]))


async def end_room(call: Call) -> Done:
    ledger = call.services.ledger
    await ledger.rooms.end(await ledger.rooms.find(call.path["room"]))
    return Done(True)


async def read_events(call: Call) -> EventsReply:
    """Events as they were logged; a test holds those to the structs, so they are not made into them first."""
    ledger = call.services.ledger
    room = await ledger.rooms.find(call.path["room"])
    since, limit = call.query["since"], call.query["limit"]
    events: list[Any] = []
    size = 0
    async for batch in ledger.rooms.batches(room, since):
        for entry in islice(batch.entries(), limit - len(events)):
            events.append(unpack(batch.events[entry.start : entry.end]))
        size += len(batch.events)
        if len(events) >= limit or size >= EVENTS_SIZE:
            break
    gap = bool(events) and events[0]["seq"] > since + 1
    return EventsReply(room.id, events[-1]["seq"] if events else since, events, gap)


async def read_top(call: Call) -> TopReply:
    ledger = call.services.ledger
    return TopReply(await ledger.rooms.top(await ledger.rooms.find(call.path["room"]), call.query["limit"]))


ENDPOINTS: Final = (
    Endpoint("POST", "/v1/rooms", "Begin a stream", OPENER, open_room, Snapshot, OpenRoom, status=201, act="opened"),
    Endpoint(
        "GET",
        "/v1/rooms",
        "Live rooms",
        MEMBERS,
        list_rooms,
        RoomsReply,
        query=(("limit", 100, ROOMS_MAX),),
        words=(("sort", tuple(SETS)), ("cursor", ())),
        cost=4,
    ),
    Endpoint("GET", "/v1/rooms/{room}", "One room", WATCHERS, read_room, Snapshot),
    Endpoint("DELETE", "/v1/rooms/{room}", "End a stream", HOST, end_room, Done, act="ended"),
    Endpoint(
        "GET",
        "/v1/rooms/{room}/events",
        "Logged events",
        WATCHERS,
        read_events,
        EventsReply,
        query=(("since", 0, MAX_INT), ("limit", 100, EVENTS_MAX)),
        cost=5,
        page=100,
    ),
    Endpoint(
        "GET",
        "/v1/rooms/{room}/top",
        "Who sent the most",
        WATCHERS,
        read_top,
        TopReply,
        query=(("limit", 10, TOP_MAX),),
        page=100,
    ),
)
