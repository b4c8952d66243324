"""nchan: a module for nginx, with Debian's packages and a configuration of its own."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

from benchmarks.compare.peer import Opening, Peer, PeerError, Running
from benchmarks.compare.peers._install import says
from benchmarks.compare.peers._redis import private_redis
from benchmarks.compare.process import FILES, POLL, START_WITHIN, process
from gifting.ledger.embedded.ports import free_port

MODULE: Final = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
HISTORY: Final = 100_000
"""Events kept in a room."""
ANSWER_WITHIN: Final = 10.0
"""Longest wait for a reply, seconds."""
OLDEST: Final = "0:0"
"""Id before the first event of a room."""

CONFIG: Final = """\
load_module {module};
daemon off;
pid nginx.pid;
error_log stderr warn;
worker_processes {workers};
worker_rlimit_nofile {files};
{user}
events {{
    worker_connections {files};
    multi_accept on;
}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    nchan_shared_memory_size 1024M;
    nchan_message_buffer_length {history};
    nchan_message_timeout 1h;
{upstream}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location ~ ^/sub/(.+)$ {{
            nchan_subscriber websocket;
            nchan_subscriber_first_message newest;
            nchan_channel_id $1;
            {redis}
        }}
        location ~ ^/pub/(.+)$ {{
            nchan_publisher http websocket;
            nchan_channel_id $1;
            {redis}
        }}
    }}
}}
"""


class _Nchan(Peer):
    family = "nchan"
    install = "apt-get install nginx libnginx-mod-nchan"
    replays = True
    workers: ClassVar[int] = 1

    @classmethod
    def version(cls) -> str | None:
        nginx = says([_nginx(), "-v"], r"nginx/([\d.]+)") if MODULE.exists() else None
        package = says(["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan"], r"(?:\d+:)?(\d[\d.]+)")
        return f"{package or 'unknown'}, nginx {nginx}" if nginx else None

    def viewer(self, room: str, number: int) -> Opening:
        return Opening(f"/sub/{room}")

    def publisher(self, room: str, number: int) -> Opening:
        return Opening(f"/pub/{room}")

    def publish(self, room: str, body: str) -> bytes:
        return body.encode()

    async def position(self, running: Running, room: str) -> str:
        """The id of the room's last event, as its publisher endpoint tells.

        Raises:
            PeerError: it does not tell.
        """
        return await asyncio.to_thread(_last_id, f"http://127.0.0.1:{running.port}/pub/{room}")

    def returning(self, room: str, number: int, position: str) -> Opening:
        return Opening(f"/sub/{room}?last_event_id={position}")

    def run(self, directory: Path, rooms: Sequence[str]) -> AbstractAsyncContextManager[Running]:
        return self._server(directory)

    @asynccontextmanager
    async def _server(self, directory: Path, upstream: str = "", redis: str = "") -> AsyncIterator[Running]:
        port, config = free_port(), directory / "nginx.conf"
        user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""  # workers write in the directory
        settings = {"workers": self.workers, "upstream": upstream, "redis": redis, "user": user, "port": port}
        config.write_text(CONFIG.format(module=MODULE, files=FILES, history=HISTORY, **settings))
        command = [_nginx(), "-p", str(directory), "-c", str(config), "-e", "stderr"]
        async with process(command, directory, "nginx", port) as pid:
            yield Running(port, (pid,))


def _nginx() -> str:
    return shutil.which("nginx") or "/usr/sbin/nginx"


def _last_id(url: str) -> str:
    request = urllib.request.Request(url, headers={"Accept": "text/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN) as reply:
            found = json.load(reply)["last_message_id"]
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 404:  # nobody was in the room yet
                return OLDEST
        raise PeerError(f"{url}: {error}") from error
    except (OSError, ValueError, KeyError) as error:
        raise PeerError(f"{url}: {error}") from error
    return str(found) if re.fullmatch(r"\d+:\d+", str(found)) else OLDEST


class Nchan(_Nchan):
    name = "nchan"
    about = (
        "memory store with 100 000 events per room, WebSocket for viewers and publishers, no compression, one worker: "
        "the least CPU per delivery, as nothing passes between workers"
    )


class NchanTwoWorkers(_Nchan):
    name = "nchan, two workers"
    about = "as nchan, with two workers: more events per second where there are two cores"
    workers = 2


class NchanRedis(_Nchan):
    name = "nchan, Redis"
    about = "as nchan, with every event published through Redis and stored there, so that several servers can share"

    @asynccontextmanager
    async def run(self, directory: Path, rooms: Sequence[str]) -> AsyncIterator[Running]:
        async with private_redis(directory, tcp=True) as redis:
            upstream = f"    upstream redis {{ nchan_redis_server redis://127.0.0.1:{redis.port}; }}"
            async with self._server(directory, upstream, "nchan_redis_pass redis;") as running:
                await self._has_redis(running)
                yield Running(running.port, running.servers, (redis.pid,))

    async def _has_redis(self, running: Running) -> None:
        """Until it has one it refuses with 503, some milliseconds after it accepts."""
        refused: PeerError | None = None
        try:
            async with asyncio.timeout(START_WITHIN):
                while True:
                    try:
                        await self.position(running, "-")
                    except PeerError as error:
                        refused = error
                        await asyncio.sleep(POLL)
                    else:
                        return
        except TimeoutError:
            raise PeerError(f"nchan has no Redis after {START_WITHIN:.0f} s: {refused}") from refused
