"""What costs nothing is bounded per user, over all its connections."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gifting import errors
from gifting.config import load
from gifting.ledger.cluster.credits import Credits
from gifting.ledger.cluster.parcels import Parcel
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from gifting.model.events import encode_post
from gifting.model.packing import unpack
from gifting.wire.codec import MSGPACK
from tests.support.engine import Engine
from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = pytest.mark.attack

LIKE_RATE, LIKE_BURST = 50, 500
COMMENT_RATE, COMMENT_BURST = 2, 10
BATCH = 50
"""Gifts or comments in a call at most."""


def dial(server: Server, token: str) -> connect:
    headers = {"Authorization": f"Bearer {token}"}
    url = server.url.replace("http", "ws") + "/v1/ws"
    return connect(url, subprotocols=[Subprotocol(MSGPACK.subprotocol)], additional_headers=headers)


async def flood(sockets: list[ClientConnection], messages: list[dict[str, Any]]) -> Counter[str]:
    """Every message on each socket, and how often each answer came: 'ok', or the code of an error."""
    answers: Counter[str] = Counter()
    for socket in sockets:
        for number, message in enumerate(messages):
            await socket.send(MSGPACK.encode({"id": number, "room": "r1", **message}))
    for socket in sockets:
        left = len(messages)
        while left:
            reply = unpack(await socket.recv(decode=False))
            if "re" in reply:
                answers["ok" if reply["ok"] else reply["error"]["code"]] += 1
                left -= 1
    return answers


async def test_likes_and_comments_are_bounded(redis_url: str, redis_client: Any, tmp_path: Path) -> None:
    async with Server(tmp_path / "data", redis_url, message_rate=10_000, message_burst=10_000) as server:
        await server.room("r1")
        token = server.token("ann")
        async with dial(server, token) as one, dial(server, token) as other:
            began = time.monotonic()
            assert await flood([one], [{"op": "like", "count": 9_999}] * 200) == {"bad_amount": 200}
            liked = await flood([one, other], [{"op": "like", "count": 100}] * 50)
            likes = (await server.operator.room("r1"))["likes"]
            assert likes == 100 * liked["ok"]
            assert LIKE_BURST <= likes <= LIKE_BURST + LIKE_RATE * (time.monotonic() - began)
            assert set(liked) == {"ok", "rate_limited"}
            said = await flood([one, other], [{"op": "comment", "text": "hi"}, {"op": "share"}, {"op": "follow"}] * 30)
            assert COMMENT_BURST <= said["ok"] <= COMMENT_BURST + COMMENT_RATE * (time.monotonic() - began)
            assert set(said) == {"ok", "rate_limited"}
        async with dial(server, server.token("bob")) as bob:
            assert await flood([bob], [{"op": "like"}, {"op": "comment", "text": "hi"}]) == {"ok": 2}


async def test_gifts_go_before_what_is_free(redis_url: str, redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments are waiting in thousands: gifts that come then are in the next call, and comments are refused first.

    On a cluster that holds from when they are debited, in another partition: one call of comments is under way then,
    and one more goes with them.
    """
    settings = load({"batch_max": BATCH, "free_queue": 2_000}, environ={})
    ledger = Ledger(redis_url, settings, load_catalog())
    await ledger.start()
    try:
        await ledger.wallets.grant("ann", 1_000, new_key(), "test", "op")
        room = await ledger.rooms.open("r1", "host", "Host", "")
        ann = ledger.gifts.sender("ann", {"id": "ann", "name": "Ann", "picture": "", "level": 1})
        told: list[str] = []
        debited: list[int] = []
        append = Credits.append

        def note(self: Credits, parcel: Parcel) -> None:
            debited.append(len(told))
            append(self, parcel)

        monkeypatch.setattr(Credits, "append", note)
        for _ in range(2_000):
            ledger.free.post(room, encode_post("comment", ann.user, "spam"), lambda _: told.append("comment"))
        with pytest.raises(errors.Overloaded):
            ledger.free.post(room, encode_post("comment", ann.user, "spam"), lambda _: told.append("comment"))
        for _ in range(30):
            ledger.gifts.submit(ann, room, "spark", new_key(), 1, None, lambda _: told.append("gift"))
        await ledger.batcher.drain()
        first = told.index("gift")
        assert first <= (debited[0] + 2 * BATCH if Engine.cluster else 0)
        assert told[first : first + 30] == ["gift"] * 30
        assert told[:first] + told[first + 30 :] == ["comment"] * 2_000
    finally:
        await ledger.stop()
