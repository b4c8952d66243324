"""The exchange in docs/protocol.md is what happens: played against a server, in JSON and octet by octet in msgpack."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.support.engine import Engine
from tests.support.keys import new_key
from tests.support.paths import ROOT
from tests.support.server import Server

pytestmark = pytest.mark.slow

DOCUMENT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
CLOCK_FIELDS = {"ts", "started"}
"""What differs from one evening to the next, the key aside; on a cluster there are epochs too."""


class Step(NamedTuple):
    """What the client says, and all that the server says before the client goes on."""

    said: Any
    heard: list[Any]


def blocks() -> tuple[str, str]:
    """The exchange in JSON, and a part of it in hex."""
    json_block, hex_block = re.findall(r"```\n(.*?)\n```", DOCUMENT.split("## An exchange")[1].split("\n## ")[0], re.S)
    return json_block, hex_block


def json_steps() -> list[Step]:
    steps: list[Step] = []
    for line in blocks()[0].splitlines():
        who, message = line[0], json.loads(line[2:])
        if who == ">":
            steps.append(Step(message, []))
        else:
            steps[-1].heard.append(message)
    return steps


def hex_messages() -> Iterator[bytes]:
    for message in blocks()[1].split("\n\n"):
        yield bytes.fromhex(message[2:])


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        shown = {name: item for name, item in value.items() if not (Engine.cluster and name == "epoch")}
        return {name: 0 if name in CLOCK_FIELDS else timeless(item) for name, item in shown.items()}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def in_any_order(messages: list[Any]) -> list[str]:
    return sorted(json.dumps(timeless(message), sort_keys=True) for message in messages)


async def hear(socket: ClientConnection, count: int) -> list[Any]:
    async with asyncio.timeout(10):
        return [await socket.recv() for _ in range(count)]


@pytest.fixture
async def server(redis_url: str, redis_client: Any, tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", redis_url, viewers_interval=60) as running:
        room = {"room": "r1", "host": "host", "host_name": "Host", "title": "Evening"}
        await running.operator.call("POST", "/v1/rooms", room)
        await running.operator.grant_each(["ann"], 100)
        yield running


def dial(server: Server, codec: str) -> Any:
    return connect(
        server.url.replace("http", "ws") + "/v1/ws",
        subprotocols=[f"gifting.v1.{codec}"],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {server.token('ann', name='Ann')}"},
        compression=None,
    )


async def test_in_json(server: Server) -> None:
    key = new_key()
    async with dial(server, "json") as socket:
        for said, heard in json_steps():
            await socket.send(json.dumps(said | {"key": key} if "key" in said else said))
            got = [json.loads(text) for text in await hear(socket, len(heard))]
            assert in_any_order(got) == in_any_order(heard)
    assert await server.operator.wallets(["ann"]) == {"ann": 98}


@pytest.mark.one_redis("its frames have no epoch, octet by octet")
async def test_in_msgpack(server: Server) -> None:
    join, gift, *_ = json_steps()
    said, *heard = hex_messages()
    assert [msgpack.unpackb(message) for message in (said, *heard)] == [gift.said, *gift.heard]
    async with dial(server, "msgpack") as socket:
        await socket.send(msgpack.packb(join.said))
        await hear(socket, len(join.heard))
        await socket.send(said.replace(gift.said["key"].encode(), new_key().encode()))
        reply, event = sorted(await hear(socket, 2), key=len)
    shown, now = (msgpack.packb(msgpack.unpackb(data)["events"][0]["ts"]) for data in (heard[1], event))
    assert [reply, event.replace(now, shown)] == heard
