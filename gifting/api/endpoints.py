"""The HTTP API, endpoint by endpoint: a table that the routes and the OpenAPI document are both made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from gifting.api import types
from gifting.api.access import HOST, MEMBERS, OPENER, OPERATORS, PUBLIC, SENDERS, USER, WATCHERS, Access
from gifting.api.call import Call
from gifting.api.tokens import make_overlay_token, revoke, revoke_overlay_token
from gifting.errors import NotReady
from gifting.ledger.listing import SETS
from gifting.model.events import GiftInfo
from gifting.wire.codec import unpack
from gifting.wire.replies import GiftReply, GiftStatusReply, Snapshot, gift_reply

if TYPE_CHECKING:
    from gifting.ledger.listing import Sort

ROOMS_MAX = 200
EVENTS_MAX = 1000
EVENTS_SIZE = 262_144
"""Bytes of events after which a reply ends, however many were asked for."""

TOP_MAX = 100


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the table.

    Args:
        access: who may.
        query: whole numbers: name, default, most.
        words: texts: name, and what may be said, the first by default; any text, '' by default, where that is empty.
        cost: in messages of the caller's allowance (one is worth about half a ms); 0: free, and nobody is asked who.
        page: items of the query's ``limit`` that cost one message more; 0: they cost nothing.
    """

    method: str
    path: str
    summary: str
    access: Access | None
    handler: Callable[[Call], Awaitable[Any]]
    reply: type
    body: type | None = None
    query: tuple[tuple[str, int, int], ...] = ()
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()
    status: int = 200
    cost: float = 1
    page: int = 0


async def health(call: Call) -> types.Health:
    return types.Health(ok=True)


async def ready(call: Call) -> types.Health:
    problems = call.services.health.problems
    if problems:
        raise NotReady(" ".join(f"{part}: {why}" for part, why in problems.items()))
    return types.Health(ok=True)


async def catalog(call: Call) -> types.CatalogReply:
    return types.CatalogReply([GiftInfo(**gift.public()) for gift in call.services.ledger.catalog])


async def open_room(call: Call) -> Snapshot:
    body: types.OpenRoom = call.body
    name = body.host_name or (call.identity.name if call.identity.user == body.host else "")
    ledger = call.services.ledger
    return await ledger.snapshot(await ledger.open_room(body.room, body.host, name, body.title))


async def list_rooms(call: Call) -> types.RoomsReply:
    sort, cursor, limit = cast("Sort", call.words["sort"]), call.words["cursor"], max(call.query["limit"], 1)
    return types.RoomsReply(*await call.services.ledger.live_rooms(sort, cursor, limit))


async def read_room(call: Call) -> Snapshot:
    ledger = call.services.ledger
    return await ledger.snapshot(await ledger.room(call.path["room"]))


async def end_room(call: Call) -> types.Health:
    ledger = call.services.ledger
    await ledger.end_room(await ledger.room(call.path["room"]))
    return types.Health(ok=True)


async def read_events(call: Call) -> types.EventsReply:
    ledger = call.services.ledger
    room = await ledger.room(call.path["room"])
    since, limit = call.query["since"], call.query["limit"]
    events: list[Any] = []
    size = 0
    async for batch in ledger.batches(room, since):
        for entry in islice(batch.entries(), limit - len(events)):
            events.append(unpack(batch.events[entry.start : entry.end]))
        size += len(batch.events)
        if len(events) >= limit or size >= EVENTS_SIZE:
            break
    gap = bool(events) and events[0]["seq"] > since + 1
    return types.EventsReply(room.id, events[-1]["seq"] if events else since, events, gap)


async def read_top(call: Call) -> types.TopReply:
    ledger = call.services.ledger
    return types.TopReply(await ledger.top(await ledger.room(call.path["room"]), call.query["limit"]))


async def send_gift(call: Call) -> GiftReply:
    ledger, identity = call.services.ledger, call.identity
    room = await ledger.room(call.path["room"])
    body: types.SendGiftBody = call.body
    sender = ledger.sender(identity.user, identity.public())
    result = await ledger.gift(sender, room, body.gift, body.key, body.count, body.message)
    return gift_reply(room.id, result)


async def wallet(call: Call) -> types.Wallet:
    coins, diamonds = await call.services.ledger.wallet(call.path["user"])
    return types.Wallet(coins, diamonds)


async def gift_status(call: Call) -> GiftStatusReply:
    return await call.services.ledger.gift_status(call.path["user"], call.path["key"])


async def grant(call: Call) -> types.GrantReply:
    body: types.GrantBody = call.body
    coins, duplicate = await call.services.ledger.grant(
        call.path["user"], body.coins, body.key, body.reason, call.identity.user
    )
    return types.GrantReply(coins, duplicate)


ENDPOINTS = (
    Endpoint("GET", "/healthz", "Whether the process is alive", PUBLIC, health, types.Health, cost=0),
    Endpoint("GET", "/readyz", "Whether it works; names what does not", PUBLIC, ready, types.Health, cost=0),
    Endpoint("GET", "/v1/catalog", "All gifts", PUBLIC, catalog, types.CatalogReply),
    Endpoint("POST", "/v1/rooms", "Begin a stream", OPENER, open_room, Snapshot, types.OpenRoom, status=201),
    Endpoint(
        "GET",
        "/v1/rooms",
        "Live rooms",
        MEMBERS,
        list_rooms,
        types.RoomsReply,
        query=(("limit", 100, ROOMS_MAX),),
        words=(("sort", tuple(SETS)), ("cursor", ())),
        cost=4,
    ),
    Endpoint("GET", "/v1/rooms/{room}", "One room", WATCHERS, read_room, Snapshot),
    Endpoint("DELETE", "/v1/rooms/{room}", "End a stream", HOST, end_room, types.Health),
    Endpoint(
        "GET",
        "/v1/rooms/{room}/events",
        "Logged events",
        WATCHERS,
        read_events,
        types.EventsReply,
        query=(("since", 0, 2**53 - 1), ("limit", 100, EVENTS_MAX)),
        cost=5,
        page=100,
    ),
    Endpoint(
        "GET",
        "/v1/rooms/{room}/top",
        "Who sent the most",
        WATCHERS,
        read_top,
        types.TopReply,
        query=(("limit", 10, TOP_MAX),),
        page=100,
    ),
    Endpoint("POST", "/v1/rooms/{room}/gifts", "Send a gift", SENDERS, send_gift, GiftReply, types.SendGiftBody),
    Endpoint("GET", "/v1/users/{user}/wallet", "Coins and diamonds", USER, wallet, types.Wallet),
    Endpoint(
        "GET",
        "/v1/users/{user}/gifts/{key}",
        "What became of a gift",
        USER,
        gift_status,
        GiftStatusReply,
        cost=5,
    ),
    Endpoint("POST", "/v1/users/{user}/grants", "Issue coins", OPERATORS, grant, types.GrantReply, types.GrantBody),
    Endpoint(
        "POST",
        "/v1/rooms/{room}/overlay-tokens",
        "Make a token for an overlay",
        HOST,
        make_overlay_token,
        types.OverlayTokenReply,
        types.OverlayTokenBody,
        status=201,
    ),
    Endpoint(
        "DELETE",
        "/v1/rooms/{room}/overlay-tokens/{token_id}",
        "Revoke a token; its sockets close",
        HOST,
        revoke_overlay_token,
        types.Health,
    ),
    Endpoint(
        "POST",
        "/v1/tokens/revocations",
        "Revoke a token, or all of a user, or all",
        OPERATORS,
        revoke,
        types.RevocationReply,
        types.Revocation,
    ),
)
