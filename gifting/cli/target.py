"""Which server and which data a command is about: what it was told, else the server that runs."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gifting import config
from gifting.errors import BadSetting, NoData, NoServer, SeveralServers, Unconfirmed
from gifting.model.ids import valid_id
from gifting.running import Running, find_running

if TYPE_CHECKING:
    from gifting.client.admin import Admin
    from gifting.wire.tokens import Role

T = TypeVar("T")

TOKEN_TTL = 3600.0
"""Seconds for which a command's own token is good."""


class Beside(NamedTuple):
    """Settings for a command, and the server that runs on their data directory, if one does."""

    settings: config.Settings
    running: Running | None

    def secret(self) -> str:
        """What signs tokens; it is never made here.

        Raises:
            BadSetting: the server was given one that is not known here.
            NoData: there is none.
        """
        from gifting.signing.secretfile import read_secret_file, secret_path

        if self.settings.secret:
            return self.settings.secrets[0]
        if self.running is not None and not self.running.own_secret:
            raise BadSetting(f"The server at {self.running.url} was given its secret: set GIFTING_SECRET here too.")
        path = secret_path(self.settings)
        if not path.exists():
            raise NoData(f"{self._nobody()}there is no secret in {path.parent}, {say_state(path.parent)}.")
        return read_secret_file(path)[0]

    def _nobody(self) -> str:
        return "" if self.running else "No server runs, and "

    def token(self, user: str, role: Role, *, ttl: float = TOKEN_TTL, **claims: Any) -> str:
        """A token that the server takes. Raises BadSetting for ids, and BadToken for claims, that none does."""
        from gifting.wire.keyring import Keyring
        from gifting.wire.tokens import Rules, issue, verify

        if not valid_id(user) or not valid_id(claims.get("room") or "-"):
            raise BadSetting("User and room ids are 1 to 64 letters, digits and _ . : @ -")
        secret, rules, now = self.secret(), Rules.of(self.settings), time.time()
        made = issue(secret, user, role, now=now, ttl=ttl, rules=rules, **claims)
        verify(Keyring([secret]), made, now=now, rules=rules)
        return made


def beside(flags: Mapping[str, Any]) -> Beside:
    """What a command with these flags is about.

    A data directory or a Redis that was named is taken, else the default one if a server runs on it, else the only
    server that runs, else the default one.

    Raises:
        SeveralServers: more than one runs, and none was named.
    """
    settings = config.load(flags)
    if settings.redis:
        return Beside(settings, None)
    servers = find_running()
    here = [one for one in servers if Path(one.data_dir) == settings.data_path]
    named = flags.get("data_dir") is not None or "GIFTING_DATA_DIR" in os.environ
    chosen = here or ([] if named else servers)
    if len(chosen) > 1:
        raise SeveralServers("These run: " + "; ".join(f"{one.url} on {one.data_dir}" for one in chosen) + ".")
    return _of(settings, chosen[0]) if chosen else Beside(settings, None)


def data_beside(flags: Mapping[str, Any]) -> config.Settings:
    """Settings for a command on data, live or stopped. It says on stderr which data that is, if nobody named it.

    Raises:
        BadSetting: the server that runs keeps it elsewhere.
    """
    settings, running = beside(flags)
    if running is not None and not running.own_redis:
        raise BadSetting(f"The server at {running.url} keeps its data in a Redis that it was given: say --redis URL.")
    if running is not None and flags.get("data_dir") is None:
        print(f"the data of the server at {running.url}, in {running.data_dir}", file=sys.stderr)
    return settings


def _of(settings: config.Settings, running: Running) -> Beside:
    issuer, audience = settings.token_issuer or running.issuer, settings.token_audience or running.audience
    settings = replace(settings, data_dir=running.data_dir, token_issuer=issuer, token_audience=audience)
    return Beside(settings, running)


class Reach(NamedTuple):
    """A server that can be talked to."""

    url: str
    beside: Beside

    def admin(self) -> Admin:
        from gifting.client.admin import Admin

        return Admin(self.url, self.beside.token("operator", "operator"))


def reach(url: str | None, data_dir: str | None) -> Reach:
    """The server at ``url``, or the one that runs beside.

    Raises:
        NoServer: none runs.
    """
    if url:
        url = url.rstrip("/")
        settings = config.load({"data_dir": data_dir})
        at = [one for one in find_running() if one.url == url] if data_dir is None else []
        return Reach(url, _of(settings, at[0]) if at else Beside(settings, None))
    found = beside({"data_dir": data_dir})
    if found.running is None:
        raise NoServer(f"No server of this user runs{f' on {data_dir}' if data_dir else ''}.")
    return Reach(found.running.url, found)


def run_asking(work: Coroutine[Any, Any, T], *, changes: bool = False) -> T:
    """Run what talks to a server; ``changes`` something there that can't be asked for by a key.

    Raises:
        NoServer: the server did not answer, and nothing depends on whether it heard.
        Unconfirmed: it did not answer, and may have done it.
    """
    try:
        return asyncio.run(work)
    except (OSError, TimeoutError) as error:
        raise (Unconfirmed if changes else NoServer)(f"{error or 'The server did not answer in time.'}") from None


def say_state(path: Path) -> str:
    """What can be said of a directory that lacks something."""
    if not path.exists():
        return "which is not there"
    return "which has other things in it" if any(path.iterdir()) else "which is empty"
