"""The HTTP API, endpoint by endpoint: a table that the routes and the OpenAPI document are both made from."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from gifting.api import types
from gifting.api.services import Services
from gifting.errors import BadMessage, Forbidden, NotFound, NotReady, RateLimited
from gifting.hub.commands import gift_reply
from gifting.wire.codec import unpack
from gifting.wire.tokens import Identity, issue, token_room

ROOMS_LISTED = 1000
EVENTS_MAX = 1000
EVENTS_SIZE = 262_144
"""Bytes of events after which a reply ends, however many were asked for."""

TOP_MAX = 100


class Call(NamedTuple):
    """One request: who makes it (NOBODY where no token is needed), its values and body, and the server's parts."""

    services: Services
    identity: Identity
    path: dict[str, str]
    query: dict[str, int]
    body: Any
    base_url: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the table. ``query`` has whole-number parameters: name → (default, most)."""

    method: str
    path: str
    summary: str
    handler: Callable[[Call], Awaitable[Any]]
    reply: type
    body: type | None = None
    query: tuple[tuple[str, int, int], ...] = ()
    token: bool = True
    status: int = 200


async def health(call: Call) -> types.Health:
    return types.Health(ok=True)


async def ready(call: Call) -> types.Health:
    problems = call.services.health.problems
    if problems:
        raise NotReady(" ".join(f"{part}: {why}" for part, why in problems.items()))
    return types.Health(ok=True)


async def catalog(call: Call) -> types.CatalogReply:
    return types.CatalogReply([types.CatalogGift(**gift.public()) for gift in call.services.ledger.catalog])


def _only(call: Call, allowed: bool, who: str) -> None:
    if not allowed:
        raise Forbidden(f"This is for {who}.")


def _watch(call: Call, room: str) -> None:
    _only(call, call.identity.room in ("", room), f"tokens that are not bound to room {call.identity.room!r}")


async def open_room(call: Call) -> dict[str, Any]:
    body: types.OpenRoom = call.body
    identity = call.identity
    own = identity.role == "creator" and identity.user == body.host
    _only(call, own or identity.role == "operator", "operators and the creator who is the host")
    name = body.host_name or (identity.name if own else "")
    ledger = call.services.ledger
    return await ledger.snapshot(await ledger.open_room(body.room, body.host, name, body.title))


async def list_rooms(call: Call) -> types.RoomsReply:
    return types.RoomsReply(await call.services.ledger.live_rooms(ROOMS_LISTED))


async def read_room(call: Call) -> dict[str, Any]:
    _watch(call, call.path["room"])
    ledger = call.services.ledger
    return await ledger.snapshot(await ledger.room(call.path["room"]))


async def end_room(call: Call) -> types.Health:
    room = await _hosted_room(call)
    await call.services.ledger.end_room(room)
    return types.Health(ok=True)


async def _hosted_room(call: Call) -> Any:
    room = await call.services.ledger.room(call.path["room"])
    own = call.identity.role == "creator" and call.identity.user == room.host
    _only(call, own or call.identity.role == "operator", "operators and the room's host")
    return room


async def read_events(call: Call) -> types.EventsReply:
    _watch(call, call.path["room"])
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


async def read_top(call: Call) -> dict[str, Any]:
    _watch(call, call.path["room"])
    ledger = call.services.ledger
    return {"top": await ledger.top(await ledger.room(call.path["room"]), call.query["limit"])}


async def send_gift(call: Call) -> dict[str, Any]:
    _only(call, call.identity.role != "overlay", "viewers, creators and operators")
    _watch(call, call.path["room"])
    hub, ledger, identity = call.services.hub, call.services.ledger, call.identity
    if not hub.limits.visit(identity.user, hub.time()):
        raise RateLimited
    room = await ledger.room(call.path["room"])
    body: types.SendGiftBody = call.body
    sender = ledger.sender(identity.user, identity.public())
    result = await ledger.gift(sender, room, body.gift, body.key, body.count, body.message)
    return gift_reply(room.id, result)


async def wallet(call: Call) -> types.Wallet:
    user, identity = call.path["user"], call.identity
    own = identity.user == user and identity.role in ("viewer", "creator")
    _only(call, own or identity.role == "operator", "operators and the user")
    coins, diamonds = await call.services.ledger.wallet(user)
    return types.Wallet(coins, diamonds)


async def grant(call: Call) -> types.GrantReply:
    _only(call, call.identity.role == "operator", "operators")
    body: types.GrantBody = call.body
    coins, duplicate = await call.services.ledger.grant(
        call.path["user"], body.coins, body.key, body.reason, call.identity.user
    )
    return types.GrantReply(coins, duplicate)


async def make_overlay_token(call: Call) -> types.OverlayTokenReply:
    room = await _hosted_room(call)
    now, ttl = time.time(), call.body.ttl
    token = issue(call.services.secret, room.host, "overlay", now=now, ttl=ttl, room=room.id)
    made = call.services.hub.authenticate(token)
    url = f"{call.base_url}/overlay?token={token}"
    return types.OverlayTokenReply(token, made.token_id, room.id, int(made.expires), url)


async def revoke_overlay_token(call: Call) -> types.Health:
    room = await _hosted_room(call)
    if token_room(call.path["token_id"]) != room.id:
        raise NotFound("The token is not of this room.")
    await call.services.ledger.revocations.add(call.path["token_id"], types.OVERLAY_TTL_MAX)
    return types.Health(ok=True)


ENDPOINTS = (
    Endpoint("GET", "/healthz", "Whether the process is alive", health, types.Health, token=False),
    Endpoint("GET", "/readyz", "Whether it works; names what does not", ready, types.Health, token=False),
    Endpoint("GET", "/v1/catalog", "All gifts", catalog, types.CatalogReply, token=False),
    Endpoint("POST", "/v1/rooms", "Begin a stream", open_room, types.RoomReply, types.OpenRoom, status=201),
    Endpoint("GET", "/v1/rooms", "Live rooms", list_rooms, types.RoomsReply),
    Endpoint("GET", "/v1/rooms/{room}", "One room", read_room, types.RoomReply),
    Endpoint("DELETE", "/v1/rooms/{room}", "End a stream", end_room, types.Health),
    Endpoint(
        "GET",
        "/v1/rooms/{room}/events",
        "Logged events",
        read_events,
        types.EventsReply,
        query=(("since", 0, 2**53 - 1), ("limit", 100, EVENTS_MAX)),
    ),
    Endpoint(
        "GET", "/v1/rooms/{room}/top", "Who sent the most", read_top, types.TopReply, query=(("limit", 10, TOP_MAX),)
    ),
    Endpoint("POST", "/v1/rooms/{room}/gifts", "Send a gift", send_gift, types.GiftReply, types.SendGiftBody),
    Endpoint("GET", "/v1/users/{user}/wallet", "Coins and diamonds", wallet, types.Wallet),
    Endpoint("POST", "/v1/users/{user}/grants", "Issue coins", grant, types.GrantReply, types.GrantBody),
    Endpoint(
        "POST",
        "/v1/rooms/{room}/overlay-tokens",
        "Make a token for an overlay",
        make_overlay_token,
        types.OverlayTokenReply,
        types.OverlayTokenBody,
        status=201,
    ),
    Endpoint(
        "DELETE",
        "/v1/rooms/{room}/overlay-tokens/{token_id}",
        "Revoke a token; its sockets close",
        revoke_overlay_token,
        types.Health,
    ),
)


def read_number(name: str, text: str, most: int) -> int:
    """A whole-number query parameter. Raises BadMessage."""
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= most):
        raise BadMessage(f"{name} is {text[:20]!r}; it must be a whole number of at most {most}.")
    return int(text)
