"""Keeps the keys current while the server runs: secrets and JWKS files that are edited, a JWKS that is fetched.

What can't be read changes nothing: the keys stay what they were, and the log says why. Only a fetched JWKS that stays
away too long is let go of, since it could have lost a key in the meantime.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gifting.config import Settings
from gifting.errors import BadSetting
from gifting.health import Health
from gifting.signing.fetch import FetchFailed, check_url, fetch, is_url
from gifting.signing.secretfile import find_secrets, read_secret_file, secret_path
from gifting.signing.watched import WatchedFile
from gifting.wire.jwks import read_jwks
from gifting.wire.keyring import KID_MAX, Key, Keyring, kid_of

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the files."""

ASKED_EVERY: Final = 10.0
"""Seconds between two fetches that are made because of an unknown key, or because the last one failed."""

ASKED_MAX: Final = 64
"""Names of unknown keys that are remembered."""


class KeyKeeper:
    """``changed`` is called with every new keyring; ``monotonic`` is the process' own clock, in seconds."""

    def __init__(self, settings: Settings, health: Health, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._health = health
        self._time = monotonic
        self._url = settings.jwks if is_url(settings.jwks) else ""
        self._secrets: Sequence[str] = find_secrets(settings)
        self._public: Sequence[Key] = ()
        self._fetched_at = 0.0
        self._wanted: set[str] = set()
        self._absent: frozenset[str] = frozenset()
        self._asked = asyncio.Event()
        self._watched: list[tuple[WatchedFile, Callable[[Path], None]]] = []
        if not settings.secret:
            self._watched.append((WatchedFile(secret_path(settings)), self._read_secrets))
        if self._url:
            check_url(self._url)
            health.fail("jwks", "The JWKS has not been fetched yet.")
        elif settings.jwks:
            file = WatchedFile(Path(settings.jwks))
            self._watched.append((file, self._read_jwks))
            self._read_jwks(file.path)
        self.changed: Callable[[Keyring], None] = lambda keyring: None
        self._say_which()

    @property
    def secrets(self) -> Sequence[str]:
        """Those of the server, as they are now: the first signs."""
        return self._secrets

    def keyring(self) -> Keyring:
        """The keys as they are now."""
        return Keyring(self._secrets, self._public, self._ask)

    def _say_which(self) -> None:
        signs, *others = map(kid_of, self._secrets)
        log.info("secret %s signs tokens; believed besides: %s", signs, ", ".join(others) or "none")

    # Files.

    async def watch(self) -> None:
        """For ever: read the files that changed."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.look()

    def look(self) -> None:
        for file, read in self._watched:
            if not file.changed():
                continue
            try:
                read(file.path)
            except BadSetting as error:
                log.error("the keys stay what they were: %s", error)
            else:
                log.warning("%s has changed: new keys are in use", file.path)
                self._say_which()
                self.changed(self.keyring())

    def _read_secrets(self, path: Path) -> None:
        self._secrets = read_secret_file(path)

    def _read_jwks(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadSetting(f"The JWKS can't be read from {path}: {error.strerror}.") from None
        self._public = read_jwks(data)

    # The JWKS at a URL.

    @property
    def age(self) -> float:
        """Seconds since the JWKS was fetched; 0 where none is."""
        return self._time() - self._fetched_at if self._url and self._fetched_at else 0.0

    async def refresh(self) -> None:
        """For ever: fetch the JWKS when it is due, or when a token names a key that is not there."""
        while self._url:
            fetched = await self.fetch()
            await asyncio.sleep(ASKED_EVERY)
            if fetched:
                await self._wait_for_ask(max(0.0, self._settings.jwks_refresh - ASKED_EVERY))
        await asyncio.Event().wait()

    async def _wait_for_ask(self, longest: float) -> None:
        try:
            async with asyncio.timeout(longest):
                await self._asked.wait()
        except TimeoutError:
            pass

    async def fetch(self) -> bool:
        """Fetch it once; whether that went well."""
        self._asked.clear()
        wanted, self._wanted = self._wanted, set()
        try:
            keys = read_jwks(await asyncio.to_thread(fetch, self._url))
        except (FetchFailed, BadSetting) as error:
            log.warning("the JWKS can't be fetched; its keys are %.0f s old: %s", self.age, error)
            self._let_go()
            return False
        self._fetched_at = self._time()
        self._absent = frozenset(wanted - {key.kid for key in keys}) | {""}
        self._use(keys)
        self._health.mend("jwks")
        return True

    def _let_go(self) -> None:
        """Of keys that are older than they may be."""
        if self._public and self.age > self._settings.jwks_max_age:
            self._use(())
            self._health.fail("jwks", "The JWKS can't be fetched for too long; tokens by its keys are refused.")

    def _use(self, keys: Sequence[Key]) -> None:
        if {key.id for key in keys} != {key.id for key in self._public}:
            self._public = keys
            self.changed(self.keyring())

    def _ask(self, kid: str) -> bool:
        """A token names a key that is not here. Whether it may be in a moment: not if it was looked for in vain."""
        if not self._url or len(kid) > KID_MAX or kid in self._absent:
            return False
        if len(self._wanted) < ASKED_MAX:
            self._wanted.add(kid)
        self._asked.set()
        return kid in self._wanted
