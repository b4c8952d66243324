"""All that the server says is what its structs say, field for field: the bytes of the scripts, and what a client hears.

A value is held to a struct by reading it as one and writing it again: a field that is too much would be gone, one that
is missing can't be read.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, get_args

import msgpack
import msgspec
import pytest
from msgspec import to_builtins
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect

from gifting.api import asyncapi, history, openapi, payouts, purchases, sandbox, statements, support, webhooks
from gifting.api.endpoints import ENDPOINTS
from gifting.model import events
from gifting.model.events import LoggedEvent, Ranked, encode_post
from gifting.model.money import parse_key
from gifting.model.packing import unpack
from gifting.model.reversals import Given
from gifting.wire.batch import RoomBatch, read_batches
from gifting.wire.codec import CODECS, Codec
from gifting.wire.messages import OPS
from gifting.wire.replies import ON_SOCKET, REPLIES, Problem, Refusal, RoomEvents
from tests.support.keys import new_key
from tests.support.raw_http import ask
from tests.support.server import Server
from tests.support.world import STREAK, World, a_world

LOGGED = frozenset(get_args(events.Logged))
RARE = {"budget", "reminder", "destination", "comment_removed"}  # test_notices.py and test_comments.py tell them
EVENTS = frozenset(str(kind.__struct_config__.tag) for kind in get_args(events.Event)) - RARE


def held(value: Any, kind: Any) -> Any:
    """The value as one of a struct, of which it has all fields and no other."""
    found = msgspec.convert(value, kind)
    assert to_builtins(found) == value
    return found


# The scripts.


def blobs(batches: list[RoomBatch]) -> Iterator[bytes]:
    for batch in batches:
        for entry in batch.entries():
            yield batch.events[entry.start : entry.end]


async def play(world: World) -> None:
    """A stream with every type of event, and a streak that ends in each of the ways there are."""
    ann = world.sender("ann").user
    await world.told(partial(world.ledger.free.post, world.room, encode_post("member", ann)))
    await world.send(message="first")
    await world.send(count=3)
    world.clock[0] += STREAK + 1
    await world.send()  # which ends the streak before it
    world.clock[0] += STREAK + 1
    await world.ledger.sweeper.sweep()
    await world.send(gift="skateboard", count=2)
    ledger, room = world.ledger, world.room
    for count in (1, 40):
        await world.told(partial(ledger.free.like, room, count))
    await world.told(partial(ledger.free.post, room, encode_post("comment", ann, "hello")))
    await world.told(partial(ledger.free.post, room, encode_post("share", ann)))
    await world.told(partial(ledger.free.post, room, encode_post("follow", ann)))
    await world.ledger.comments.remove(room, (await world.log())[-3]["seq"])
    await reverse(world)
    await world.send()
    assert len((await world.ledger.rooms.snapshot(world.room)).streaks) == 1
    await world.ledger.rooms.end(world.room)


async def reverse(world: World) -> None:
    """A gift goes back, and its room is told."""
    key, room, reversals = world.key(), world.room, world.ledger.reversals
    sent = await world.send(gift="skateboard", key=key)
    gift = Given(parse_key(key), "ann", room.id, room.host, sent.seq, "skateboard", 1, 1, 333, world.clock[0])
    await reversals.take_from_host(await reversals.give_back(gift, "op", "a test", "", world.clock[0]), world.clock[0])


@pytest.mark.one_redis("it hears by a subscription to one server")
async def test_what_the_scripts_log_and_publish_is_what_the_structs_say(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url) as world, redis_client.pubsub() as feed:
        await feed.ssubscribe(f"{world.room.base}:events")
        await world.grant("ann", 1_000_000)
        await play(world)
        logged = [batch async for batch in world.ledger.rooms.batches(world.room, 0)]
        published: list[RoomBatch] = []
        async with asyncio.timeout(10):
            while not published or published[-1].last < logged[-1].last:
                if message := await feed.get_message(ignore_subscribe_messages=True, timeout=10):
                    published += read_batches(message["data"])
    both = zip(blobs(published), blobs(logged), strict=True)
    assert [unpack(one)["text"] for one, other in both if one != other] == ["hello"], "it was removed"
    found = [held(unpack(blob), LoggedEvent) for blob in blobs(logged)]
    assert [msgspec.msgpack.decode(blob, type=LoggedEvent) for blob in blobs(logged)] == found
    assert {type(one).__struct_config__.tag for one in found} == LOGGED
    assert sum(isinstance(one, events.GiftEvent) and one.repeat_end and not one.count for one in found) == 3
    ranks = [batch.rank for batch in published if batch.rank]
    assert ranks
    for user, coins in ranks[0]:
        held({"user": unpack(user), "coins": coins}, Ranked)


# A server, over its sockets.


@pytest.fixture
async def server(redis_url: str, redis_client: Any, tmp_path: Path) -> AsyncIterator[Server]:
    # The burst: one caller asks all of the API, as fast as it answers.
    flags: dict[str, Any] = {"viewers_interval": 0.05, "live_interval": 0, "message_burst": 10_000}
    async with Server(tmp_path / "data", redis_url, **flags) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann", "bob"], 100)
        yield running


def messages(server: Server) -> list[dict[str, Any]]:
    """One of each op that is done, and then one of each that is refused."""
    key = new_key()
    done: list[dict[str, Any]] = [
        {"op": "join", "room": "r1", "lane": "all"},
        {"op": "send_gift", "room": "r1", "gift": "spark", "key": key, "count": 2, "message": "for you"},
        {"op": "gift_status", "key": key},
        {"op": "gift_status", "key": new_key()},
        {"op": "like", "room": "r1", "count": 5},
        {"op": "comment", "room": "r1", "text": "hello"},
        {"op": "share", "room": "r1"},
        {"op": "follow", "room": "r1"},
        {"op": "refresh", "token": server.token("ann", name="Ann")},
        {"op": "join", "room": "r1", "since": 0, "lane": "live"},
        {"op": "ping"},
        {"op": "leave", "room": "r1"},
    ]
    refused: list[dict[str, Any]] = [
        {"op": "leave", "room": "r1"},
        {"op": "send_gift", "room": "r1", "gift": "spark", "key": key, "count": 3},
        {"op": "join", "room": "nowhere"},
        {"op": "dance"},
    ]
    return [message | {"id": number} for number, message in enumerate([*done, *refused], 1)]


AWAITED = {"send_gift": {"gift", "rank"}, "refresh": {"viewers"}, "ping": {"totals"}}
"""What must have come before what follows an op."""


class Listener:
    """A client that holds all it hears to the structs, and keeps the types of events it was told, and "totals"."""

    def __init__(self, socket: ClientConnection, codec: Codec) -> None:
        self._socket = socket
        self._codec = codec
        self.seen: set[str] = set()

    async def say(self, message: Any) -> None:
        data = self._codec.encode(message)
        await self._socket.send(data.decode() if self._codec.name == "json" else data)

    async def hear(self) -> dict[str, Any]:
        """The next message; if it has events, they have been looked at."""
        async with asyncio.timeout(10):
            data = await self._socket.recv()
        message: dict[str, Any] = json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)
        if "events" in message:
            held(message, RoomEvents)
            self.seen |= {event["type"] for event in message["events"]} | {name for name in message if name == "totals"}
        return message

    async def reply(self) -> dict[str, Any]:
        while "re" not in (message := await self.hear()):
            pass
        return message


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
async def test_every_reply_and_event_is_what_its_struct_says(server: Server, codec: Codec) -> None:
    async with connect(
        server.url.replace("http", "ws") + "/v1/ws",
        subprotocols=[codec.subprotocol],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {server.token('ann', name='Ann')}"},
        compression=None,
    ) as socket:
        listener = Listener(socket, codec)
        answered = set()
        for message in messages(server):
            await listener.say(message)
            reply = await listener.reply()
            kind = ON_SOCKET[REPLIES[message["op"]]] if reply["ok"] else Refusal
            assert held(reply, kind).re == message["id"]
            if reply["ok"]:
                answered.add(message["op"])
            while reply["ok"] and not AWAITED.get(message["op"], set()) <= listener.seen:
                await listener.hear()
        assert answered == OPS
        await listener.say("no map")
        assert held(await listener.reply(), Refusal).re is None
        await listener.say({"op": "join", "room": "r1", "id": 99, "since": 0, "lane": "all"})
        gift = {"gift": "spark", "key": new_key()}
        await server.caller("ann", "viewer").call("POST", "/v1/rooms/r1/gifts", gift)
        await server.operator.call("POST", f"/v1/users/ann/gifts/{gift['key']}/reverse", {"reason": "a test"})
        await server.operator.call("DELETE", "/v1/rooms/r1")
        while not {"stream_end", "wallet"} <= listener.seen:
            await listener.hear()
        assert listener.seen == EVENTS | {"totals"}


# The API.

CALLS = {
    "open_room": ({"room": "r1", "host": "host"}, ""),
    "list_rooms": (None, ""),
    "read_events": (None, "?since=0"),
    "send_gift": ({"gift": "spark"}, ""),
    "grant": ({"coins": 5, "reason": "a test"}, ""),
    "make_overlay_token": ({"ttl": 100}, ""),
    "revoke": ({"user": "nobody"}, ""),
    "change_rules": ({"min_age": 18}, ""),
    "change_person": ({"muted_for": 5}, ""),
    "report": ({"user": "bob", "kind": "spam"}, ""),
    "ban": ({"reason": "a test"}, ""),
    "unban": ({"reason": "a test"}, ""),
    "set_limits": ({"purchases": {"h24": None}}, ""),
    "take_break": ({"hours": 1}, ""),
    "exclude": ({"days": 1}, ""),
    "ask_guardian": ({"guardian": "bob"}, ""),
    "payouts": (None, "?creator=host"),
    "cases": (None, "?state=open"),
    "reverse_gift": ({"reason": "a test"}, ""),
    "put_tier": ({"tier": "managed", "reason": "a test"}, ""),
    "put_kyc": ({"state": "verified", "reason": "a test"}, ""),
    "put_hold": ({"held": True, "reason": "a test"}, ""),
}
"""What handlers want besides their path: a body, to which a key comes where one is needed, and a query."""

_STORIES = (history, payouts, purchases, sandbox, statements, support, webhooks)
_TOLD_HERE = {"payouts", "open_payouts", "cases"}
TOLD_ELSEWHERE = {one.handler.__name__ for noun in _STORIES for one in noun.ENDPOINTS} - _TOLD_HERE | {
    "accept_guardian",
    "close_report",
    "erase",
    "gifts_since",
    "refund_purchase",
    "put_destination",
    "decide_held",
    "remove_comment",
}
"""Handlers that are refused here: they need a story of their own, which their tests tell, and those of the schema."""


async def test_every_answer_of_the_api_is_what_its_struct_says(server: Server) -> None:
    sent = new_key()
    path = dict.fromkeys(("token_id", "held", "report", "order", "checkout", "case", "payout"), "none")
    path |= {
        "room": "r1",
        "user": "op",
        "person": "op",
        "creator": "host",
        "key": sent,
        "seq": "1",
        "provider": "sandbox",
        "period": "2026-01",
    }
    await server.operator.grant_each(["op"], 100)
    last = [one for one in ENDPOINTS if one.method == "DELETE"]
    told_elsewhere = set()
    for endpoint in sorted(ENDPOINTS, key=last.__contains__):
        body, query = CALLS.get(endpoint.handler.__name__, (None, ""))
        if body is not None and endpoint.path.endswith(("gifts", "grants")):
            body = {**body, "key": sent if endpoint.path.endswith("gifts") else new_key()}
        url = endpoint.path.format(**path)
        answer = await ask(server, endpoint.method, url + query, json.dumps(body).encode() if body else b"")
        if answer.status >= 400:
            told_elsewhere.add(endpoint.handler.__name__)
            held(answer.body, Problem)
            continue
        assert answer.status == endpoint.status, answer.body
        held(answer.body, endpoint.reply)
        path |= {name: str(answer.body[name]) for name in path.keys() & answer.body.keys()}
    assert told_elsewhere == TOLD_ELSEWHERE
    events_now = await ask(server, "GET", "/v1/rooms/r1/events")
    assert {"gift", "stream_end"} <= {event["type"] for event in events_now.body["events"]}
    for url in ("/v1/rooms/nowhere", "/nowhere", "/v1/users/a%20b/wallet"):
        refused = await ask(server, "GET", url)
        assert held(refused.body, Problem).status == refused.status


async def test_the_documents_are_served(server: Server) -> None:
    assert (await ask(server, "GET", "/asyncapi.json", token="")).body == asyncapi.document()
    served = (await ask(server, "GET", "/openapi.json", token="")).body
    gift = served["components"]["schemas"]["SendGiftBody"]["properties"]["gift"]
    assert "spark" in gift["enum"]
    made = openapi.document(gift["enum"])
    assert served == made
