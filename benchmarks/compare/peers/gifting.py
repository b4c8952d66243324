"""This server: ``gifting serve`` with the Redis it brings along, audited after every run."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import psutil

from benchmarks.compare.giver import Giver
from benchmarks.compare.peer import BINARY, TEXT, Opening, PeerError, Running
from gifting.bench.options import Audit
from gifting.bench.reconcile import check_ledger
from gifting.bench.server import OVERRIDES, private
from gifting.bench.spec import Replies
from gifting.bench.usage import is_redis
from gifting.load.operator import Operator
from gifting.load.plan import Target

GIFT: Final = "spark"


class Gifting(Giver):
    """Messages in msgpack, lane ``all``: every event, in order."""

    name = "gifting"
    family = "gifting"
    install = "pip install -e '.[embedded,compare]'"
    about = (
        "One process, msgpack, lane `all`; every comment is in the room's log on disk (`appendfsync always`) before "
        "it is shown. Limits per user and `member` events are off."
    )
    replays = True
    opcode = BINARY
    gift_opcode = BINARY
    replies = Replies(b"\xa2ok", b"\xc3")
    subprotocol: ClassVar[str] = "gifting.v1.msgpack"
    settings: ClassVar[dict[str, str]] = {}
    joined: ClassVar[bytes] = b"\xa3gap"

    def __init__(self) -> None:
        self._secret = secrets.token_hex(32)
        self._tokens: dict[str, str] = {}
        self._target: Target
        self._operator: Operator

    @classmethod
    def version(cls) -> str | None:
        """Of the package."""
        try:
            return version("gifting")
        except PackageNotFoundError:
            return None

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        """The server; at the end it is stopped and its data audited.

        Raises:
            StartError: it did not start.
            PeerError: the audit failed.
        """
        data = directory / "data"
        async with private(data, self._secret, OVERRIDES | self.settings) as server:
            self._target = Target.at(server.url, self._secret)
            self._operator = Operator(self._target)
            await self._operator.open_rooms(rooms)
            redis = [child.pid for child in psutil.Process(server.pid).children(recursive=True) if is_redis(child)]
            yield Running(server.port, [server.pid], redis)
        await audit(data)

    def viewer(self, room: str, number: int) -> Opening:
        return self._join(number, {"room": room})

    def returning(self, room: str, number: int, position: str) -> Opening:
        return self._join(number, {"room": room, "since": int(position)})

    async def position(self, running: Running, room: str) -> str:
        """The room's last seq."""
        return str((await self._operator.room(room))["seq"])

    def publisher(self, room: str, number: int) -> Opening:
        """The room's host, whose words are not read for links and telephone numbers, for which a marker passes."""
        return self._opening(f"host-{room}")

    def sender(self, room: str, number: int) -> Opening:
        return self._opening(f"sender-{number}")

    def publish(self, room: str, body: str) -> bytes:
        return self._encode({"op": "comment", "id": 1, "room": room, "text": body})

    def gift(self, room: str, key: str) -> bytes:
        return self._encode({"op": "send_gift", "id": 1, "room": room, "gift": GIFT, "key": key})

    async def grant(self, running: Running, senders: Sequence[int], coins: int) -> None:
        await self._operator.grant_each([f"sender-{number}" for number in senders], coins)

    async def coins(self, running: Running, senders: Sequence[int]) -> int:
        wallets = await self._operator.wallets([f"sender-{number}" for number in senders])
        return sum(wallets.values())

    def _join(self, number: int, fields: dict[str, Any]) -> Opening:
        join = self._encode({"op": "join", "id": 1, "lane": "all", **fields})
        return self._opening(f"viewer-{number}")._replace(messages=[join], ready=self.joined)

    def _opening(self, user: str) -> Opening:
        if user not in self._tokens:  # who comes back has the token still
            self._tokens[user] = self._target.token(user)
        headers = [("Authorization", f"Bearer {self._tokens[user]}"), ("Sec-WebSocket-Protocol", self.subprotocol)]
        return Opening("/v1/ws", headers, opcode=self.opcode)

    def _encode(self, message: dict[str, Any]) -> bytes:
        return msgspec.msgpack.encode(message)


class GiftingPaced(Gifting):
    """Frames at most 20 times a second, as peers that batch are set up."""

    name = "gifting, paced"
    about = (
        "As above with `--all-interval 0.05 --batch-pause 0.01`: at most one frame per viewer in 50 ms, as batching "
        "peers are set up, and one ledger call in 10 ms."
    )
    settings: ClassVar[dict[str, str]] = {"GIFTING_ALL_INTERVAL": "0.05", "GIFTING_BATCH_PAUSE": "0.01"}


class GiftingTwoWorkers(Gifting):
    """As many processes as the machine has cores."""

    name = "gifting, two workers"
    about = "As above with `--workers 2`: two processes share the port and the Redis."
    settings: ClassVar[dict[str, str]] = {"GIFTING_WORKERS": "2"}


class GiftingJson(Gifting):
    """The same in JSON, as a page in a browser would."""

    name = "gifting, JSON"
    about = "As above with JSON for every viewer and publisher, which is transcoded once per batch and room."
    opcode = TEXT
    gift_opcode = TEXT
    replies = Replies(b'"ok":', b"t")
    subprotocol = "gifting.v1.json"
    joined = b'"gap":'

    def _encode(self, message: dict[str, Any]) -> bytes:
        return msgspec.json.encode(message)


async def audit(data: Path) -> None:
    """``gifting audit`` on a data directory.

    Raises:
        PeerError: the books don't hold; with what it said.
    """
    found = Audit()
    await check_ledger(found, str(data))
    if not found.passed:
        raise PeerError("\n".join(found.problems))
