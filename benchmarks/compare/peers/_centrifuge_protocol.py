"""Centrifuge's protocol (JSON over WebSocket), the same for the library and for Centrifugo."""

from __future__ import annotations

import json
from typing import Any, Final

import websockets

from benchmarks.compare.peer import Opening, Peer, PeerError, Running

# pings are WebSocket frames: a `{}` of its own protocol may share a message with events, and would not be seen
PATH: Final = "/connection/websocket?cf_ws_frame_ping_pong=true"
CONNECT: Final = b'{"id":1,"connect":{}}'


class CentrifugePeer(Peer):
    """What all peers of this protocol have in common."""

    replays = True

    def viewer(self, room: str, number: int) -> Opening:
        return _subscribe({"channel": room})

    def publisher(self, room: str, number: int) -> Opening:
        return Opening(PATH, messages=(CONNECT,), ready=b'"id":1,"connect":')

    def publish(self, room: str, body: str) -> bytes:
        return b'{"id":3,"publish":{"channel":"%b","data":"%b"}}' % (room.encode(), body.encode())

    async def position(self, running: Running, room: str) -> str:
        """``offset:epoch``, as the reply to a subscription says.

        Raises:
            PeerError: it says no such thing.
        """
        opening = self.viewer(room, 0)
        async with websockets.connect(f"ws://127.0.0.1:{running.port}{PATH}", compression=None) as connection:
            for message in opening.messages:
                await connection.send(message.decode())
            async for text in connection:
                for reply in (json.loads(line) for line in str(text).splitlines()):
                    if reply.get("id") == 2:
                        return _position(reply)
        raise PeerError(f"no reply to a subscription to {room}")

    def returning(self, room: str, number: int, position: str) -> Opening:
        offset, _, epoch = position.partition(":")
        return _subscribe({"channel": room, "recover": True, "offset": int(offset), "epoch": epoch})


def _subscribe(request: dict[str, object]) -> Opening:
    command = json.dumps({"id": 2, "subscribe": request}, separators=(",", ":")).encode()
    return Opening(PATH, messages=(CONNECT, command), ready=b'"id":2,"subscribe":')


def _position(reply: dict[str, Any]) -> str:
    if "subscribe" not in reply:
        raise PeerError(f"subscription refused: {reply}")
    return f"{reply['subscribe'].get('offset', 0)}:{reply['subscribe'].get('epoch', '')}"
