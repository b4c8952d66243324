"""Which servers of this user run on this machine: each leaves a note, by which commands find it, while it runs."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from gifting.config import Settings

log = logging.getLogger(__name__)

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A server. The note is for its user only, and has no secret in it.

    Args:
        url: where it answers, without a path.
        data_dir: where its data is, if ``own_redis``, and its secret, if ``own_secret``.
        own_redis: it runs a Redis on ``data_dir``.
        own_secret: it made the secret that signs its tokens, or found it there; else it was given one.
        issuer, audience: what its tokens must have.
    """

    url: str
    pid: int
    data_dir: str
    own_redis: bool
    own_secret: bool
    issuer: str = ""
    audience: str = ""

    @classmethod
    def of(cls, settings: Settings, host: str, port: int) -> Running:
        """This process, that listens on ``host`` and ``port``."""
        return cls(
            url=address(settings, reached_by(host), port),
            pid=os.getpid(),
            data_dir=str(settings.data_path),
            own_redis=not settings.redis,
            own_secret=not settings.secret,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
        )


def reached_by(host: str) -> str:
    """The address by which this machine reaches who listens on ``host``, which may be all addresses."""
    return _ANYWHERE.get(host, host)


def address(settings: Settings, host: str, port: int) -> str:
    """The URL of a server on ``host`` and ``port``."""
    return f"{'https' if settings.tls_cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def notes_dir() -> Path:
    """Where the notes are: in ``XDG_RUNTIME_DIR`` or, where there is none, in ``XDG_STATE_HOME``."""
    base = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "gifting"


@contextmanager
def announced(running: Running) -> Iterator[None]:
    """The note is there while the context lasts. It is locked as long as the process lives, however that ends."""
    try:
        path, lock = _write(running)
    except (OSError, RuntimeError) as error:  # no home, or none to write in: it serves all the same
        log.info("commands will not find this server by themselves: %s", error)
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(lock)


def _write(running: Running) -> tuple[Path, int]:
    folder = notes_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{running.pid}.json"
    draft = path.with_suffix(".new")
    lock = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(lock, msgspec.json.encode(running))
        draft.replace(path)
    except OSError:
        os.close(lock)
        raise
    return path, lock


def find_running() -> list[Running]:
    """All that run, by their URLs. Notes that a killed server has left are cleared away."""
    try:
        found = [_read(path) for path in notes_dir().glob("*.json")]
    except (OSError, RuntimeError):
        return []
    return sorted(filter(None, found), key=lambda running: running.url)


def _read(path: Path) -> Running | None:
    with suppress(OSError, msgspec.DecodeError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # who wrote it lives
            return msgspec.json.decode(file.read(), type=Running)
        path.unlink()
    return None
