"""Socket.IO's protocol over WebSocket, the same for its servers in Node and in Python."""

from __future__ import annotations

import json
from typing import Final

from benchmarks.compare.peer import KeepAlive, Opening, Peer

PATH: Final = "/socket.io/?EIO=4&transport=websocket"
IN: Final = b'42["in"]'
"""What the server sends once a client is in its room."""


class SocketIoPeer(Peer):
    """What all peers of this protocol have in common. Clients name their room in the payload of their CONNECT."""

    keep_alive = KeepAlive(b"2", b"3")

    def viewer(self, room: str, number: int) -> Opening:
        return _connect({"room": room})

    def publisher(self, room: str, number: int) -> Opening:
        return _connect({"room": room, "publishes": True})

    def publish(self, room: str, body: str) -> bytes:
        return b'42["event","%b"]' % body.encode()


def _connect(auth: dict[str, object]) -> Opening:
    return Opening(PATH, messages=(b"40" + json.dumps(auth, separators=(",", ":")).encode(),), ready=IN)
