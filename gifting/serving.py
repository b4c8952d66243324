"""What a node listens with: sockets, TLS, and uvicorn's servers, for clients and, where they are apart, for metrics."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

from gifting.config import Settings
from gifting.errors import BadSetting

BACKLOG = 4096
"""Connections that may wait to be accepted: a room's worth of viewers coming back at once."""

ACCEPTED_AT_ONCE = 8
"""Connections taken per pass of the loop; uvloop takes one from each listening file."""

RECEIVE_BUFFER = 32_768
"""Bytes that the kernel keeps of what a client sends and nobody reads yet: some eight of the largest messages."""

KEEP_ALIVE = 15
"""Seconds an idle HTTP connection stays open."""


def listen(settings: Settings) -> tuple[socket.socket, ...]:
    """The socket that clients connect to and, if it has one of its own, that of ``/metrics``.

    Raises:
        BadSetting: an address is taken, or TLS files can't be used.
    """
    check_tls(settings)
    clients = _listen(settings.host, settings.port, " --port 0 picks a free one.")
    if not settings.metrics_port:
        return (clients,)
    try:
        return clients, _listen(settings.metrics_host, settings.metrics_port)
    except BadSetting:
        clients.close()
        raise


def _listen(host: str, port: int, way_out: str = "") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        hint = way_out if error.errno == errno.EADDRINUSE else ""
        raise BadSetting(f"Can't listen on {host}:{port}: {error.strerror}.{hint}") from None
    listener.listen(BACKLOG)
    return listener


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the node decides when to stop, and in which order."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._listener = listener

    async def run_on_listener(self) -> None:
        self._listener.setblocking(False)  # else dup() would make the file blocking that all workers accept from
        with ExitStack() as stack:  # uvicorn closes what it is given, unless it fails
            more = [stack.enter_context(self._listener.dup()) for _ in range(1, ACCEPTED_AT_ONCE)]
            await self.serve([self._listener, *more])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def client_server(
    app: Starlette, protocol: Callable[..., asyncio.Protocol], settings: Settings, listener: socket.socket
) -> Server:
    """``protocol`` makes of each socket what takes its first bytes, with uvicorn's keyword arguments."""
    config = _config(
        app,
        settings,
        http=protocol,
        root_path=settings.root_path,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )
    return Server(config, listener)


def metrics_server(app: Starlette, settings: Settings, listener: socket.socket) -> Server:
    return Server(_config(app, settings, http="httptools", proxy_headers=False), listener)


def _config(app: Starlette, settings: Settings, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ws="none",  # UpgradeProtocol does it
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(settings.drain_timeout) or 1,
        **more,
    )


def check_tls(settings: Settings) -> None:
    """Raises BadSetting if the TLS files can't be used, so that it is said in a line and before clients may come."""
    if not settings.tls_cert:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except OSError as error:
        names = " and ".join(filter(None, (settings.tls_cert, settings.tls_key)))
        raise BadSetting(f"TLS can't be served with {names}: {error.strerror or error}.") from None


async def all_started(servers: Sequence[Server], serving: Sequence[asyncio.Task[None]]) -> bool:
    """Wait until all servers take connections. False if one has ended instead."""
    while not all(server.started for server in servers):
        if any(task.done() for task in serving):
            return False
        await asyncio.sleep(0.005)
    return True
