"""Keys that change while the server runs: files that are edited, a JWKS that is fetched. What fails changes nothing."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gifting import config, errors
from gifting.health import Health
from gifting.signing import fetch as fetching
from gifting.signing import keeper as keeping
from gifting.signing.fetch import FetchFailed
from gifting.signing.keeper import ASKED_MAX, KeyKeeper
from gifting.signing.secretfile import find_secrets
from gifting.wire.jwks import JWKS_MAX
from gifting.wire.keyring import Keyring, kid_of
from gifting.wire.tokens import Identity, issue, verify
from tests.support.jwks import JwksServer, Pair, document

NOW = 1_700_000_000.0
OLD, NEW = "the old secret, of 32 bytes and more", "the new secret, of 32 bytes and more"
PAIRS = [Pair.make("ES256", f"k{number}") for number in range(3)]


class Kept:
    """A keeper whose clock stands until it is moved, and the keyring that it told of last."""

    def __init__(self, tmp_path: Path, **settings: Any) -> None:
        self.now = 1000.0
        self.health = Health()
        self.told = 0
        loaded = config.load({"data_dir": str(tmp_path), **settings}, {})
        self.keeper = KeyKeeper(loaded, self.health, lambda: self.now)
        self.keyring = self.keeper.keyring()
        self.keeper.changed = self._changed

    def _changed(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self.told += 1

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.keeper.look()

    def believes(self, pair: Pair, **head: Any) -> Identity:
        claims = {"sub": "ann", "role": "viewer", "jti": "x", "iat": NOW, "exp": NOW + 60}
        return verify(self.keyring, pair.sign(claims, **head), now=NOW)

    def secrets(self) -> list[str]:
        return [name for name, secret in (("old", OLD), ("new", NEW)) if kid_of(secret) in self.keyring.ids]


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """In place, as an editor may."""
    path.write_text(text, encoding="ascii")
    path.chmod(mode)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    write(tmp_path / "secret", OLD)
    return tmp_path / "secret"


# Files.


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = config.load({"data_dir": str(tmp_path / "data")}, {})
    made = find_secrets(settings)
    assert find_secrets(settings) == made
    assert (tmp_path / "data" / "secret").stat().st_mode & 0o777 == 0o600


async def test_the_secret_file_is_read_again_when_it_changed(tmp_path: Path, secret_file: Path) -> None:
    kept = Kept(tmp_path)
    assert kept.secrets() == ["old"]
    write(secret_file, f"{NEW}\n{OLD}\n")
    kept.look()
    assert (kept.secrets(), kept.keyring.secret) == (["old", "new"], NEW)
    for secret in (OLD, NEW):
        assert verify(kept.keyring, issue(secret, "ann", "viewer", now=NOW, ttl=9), now=NOW).user == "ann"
    draft = secret_file.with_name("draft")
    write(draft, NEW)
    draft.replace(secret_file)
    kept.look()
    assert kept.secrets() == ["new"]
    kept.look(5)
    assert kept.told == 2, "only changes are told"


async def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path, secret_file: Path) -> None:
    """Read half, it would have cut off everybody with the other secret."""
    kept = Kept(tmp_path)
    for text in (NEW, NEW + "\n", NEW + "\n" + OLD[:33], f"{NEW}\n{OLD}"):
        write(secret_file, text)
        kept.look(1)
        assert (kept.told, kept.secrets()) == (0, ["old"])
    kept.look(1)
    assert kept.secrets() == ["old", "new"]


@pytest.mark.parametrize("spoil", ["short", "open", "gone", "empty", "binary"])
async def test_a_file_that_can_not_be_used_changes_nothing(tmp_path: Path, secret_file: Path, spoil: str) -> None:
    kept = Kept(tmp_path)
    spoiled: dict[str, Callable[[], object]] = {
        "short": lambda: write(secret_file, "short"),
        "open": lambda: write(secret_file, NEW, 0o644),
        "gone": secret_file.unlink,
        "empty": lambda: write(secret_file, ""),
        "binary": lambda: secret_file.write_bytes(b"\xff" * 40),
    }
    spoiled[spoil]()
    kept.look(3)
    assert kept.secrets() == ["old"]
    if spoil != "gone":
        with pytest.raises(errors.BadSetting):
            Kept(tmp_path)
    secret_file.with_name("new").touch()
    secret_file.with_name("new").replace(secret_file)
    write(secret_file, NEW)
    kept.look()
    assert kept.secrets() == ["new"]


async def test_a_jwks_file_is_read_again_when_it_changed(tmp_path: Path, secret_file: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(document(*PAIRS[:1]))
    kept = Kept(tmp_path, jwks=str(file))
    assert kept.believes(PAIRS[0]).user == "ann"
    file.write_bytes(document(*PAIRS[:2]))
    kept.look()
    assert kept.believes(PAIRS[0]) and kept.believes(PAIRS[1])
    for nonsense in (b"", b"{}", document(*PAIRS[:1])[:-9]):
        file.write_bytes(nonsense)
        kept.look(3)
        assert kept.believes(PAIRS[1])
    file.write_bytes(document(*PAIRS[1:2]))
    kept.look()
    for gone in (PAIRS[0], PAIRS[2]):
        with pytest.raises(errors.BadToken):
            kept.believes(gone)
    assert kept.secrets() == ["old"]


async def test_a_jwks_file_that_can_not_be_used_keeps_the_server_from_starting(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(b"{}")
    for name in ("jwks.json", "nowhere.json"):
        with pytest.raises(errors.BadSetting):
            Kept(tmp_path, jwks=str(tmp_path / name))


# A URL.


@pytest.fixture
async def server() -> AsyncIterator[JwksServer]:
    async with JwksServer(document(*PAIRS[:1])) as running:
        yield running


@pytest.mark.parametrize(
    "url",
    ["http://example.com/jwks", "ftp://127.0.0.1/jwks", "file:///etc/passwd", "https://", "http://127.0.0.1.example/x"],
)
async def test_keys_come_over_tls_or_from_this_machine(tmp_path: Path, url: str) -> None:
    with pytest.raises(errors.BadSetting):
        Kept(tmp_path, jwks=url)


@pytest.mark.parametrize(
    "url", ["https://example.com/jwks", "http://localhost/x", "http://127.0.0.2:1/x", "http://[::1]/x"]
)
async def test_addresses_that_may_be(tmp_path: Path, url: str) -> None:
    Kept(tmp_path, jwks=url)


async def test_a_jwks_is_fetched_and_then_the_node_is_ready(tmp_path: Path, server: JwksServer) -> None:
    kept = Kept(tmp_path, jwks=server.url)
    assert "jwks" in kept.health.problems
    with pytest.raises(errors.UnknownSigner):
        kept.believes(PAIRS[0])
    assert await kept.keeper.fetch()
    assert not kept.health.problems
    assert kept.believes(PAIRS[0]).user == "ann"
    kept.now += 7
    assert kept.keeper.age == 7
    await kept.keeper.fetch()
    assert (kept.told, kept.keeper.age) == (1, 0)


async def test_an_unknown_key_is_looked_for_once(tmp_path: Path, server: JwksServer) -> None:
    kept = Kept(tmp_path, jwks=server.url)
    await kept.keeper.fetch()
    server.body = document(*PAIRS[:2])
    for wanted in (PAIRS[1], PAIRS[2]):
        with pytest.raises(errors.UnknownSigner) as refusal:
            kept.believes(wanted)
        assert refusal.value.temporary
    await kept.keeper.fetch()
    assert kept.believes(PAIRS[1]).user == "ann"
    with pytest.raises(errors.BadToken):
        kept.believes(PAIRS[2])
    server.body = document(*PAIRS)
    await kept.keeper.fetch()
    assert kept.believes(PAIRS[2]).user == "ann"


@pytest.mark.attack
async def test_invented_keys_make_no_flood(tmp_path: Path, server: JwksServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tokens name keys that there are not: few fetches, and what is remembered of them is bounded."""
    monkeypatch.setattr(keeping, "ASKED_EVERY", 0.3)
    kept = Kept(tmp_path, jwks=server.url)
    refreshing = asyncio.create_task(kept.keeper.refresh())
    try:
        while "jwks" in kept.health.problems:
            await asyncio.sleep(0)
        began = time.monotonic()
        for number in itertools.count():
            with pytest.raises((errors.UnknownSigner, errors.BadToken)):
                kept.believes(PAIRS[2], kid=f"invented-{number}" + "x" * (number % 200))
            await asyncio.sleep(0)
            if server.asked >= 4 and time.monotonic() > began + 1.5:
                break
        assert server.asked <= 2 + (time.monotonic() - began) / keeping.ASKED_EVERY
        assert len(kept.keeper._wanted) <= ASKED_MAX
        assert len(kept.keeper._absent) <= ASKED_MAX + 1
    finally:
        refreshing.cancel()
    assert kept.believes(PAIRS[0]).user == "ann"


@pytest.mark.parametrize("spoil", ["status", "redirect", "large", "nonsense", "slow", "private", "gone"])
async def test_what_can_not_be_fetched_changes_nothing(
    tmp_path: Path, server: JwksServer, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path, jwks=server.url)
    await kept.keeper.fetch()
    server.body = document(*PAIRS[1:])
    if spoil == "status":
        server.status = "500 Oops"
    elif spoil == "redirect":
        server.status, server.head = "302 Found", "Location: /elsewhere\r\n"
    elif spoil == "large":
        server.body += b" " * JWKS_MAX
    elif spoil == "nonsense":
        server.body = b"<html>"
    elif spoil == "private":
        server.body = server.body.replace(b'"kty"', b'"d": "AAAA", "kty"', 1)
    elif spoil == "slow":
        monkeypatch.setattr(fetching, "FETCH_TIMEOUT", 0.2)
        server.slow = True
    else:
        await server.__aexit__()
    kept.now += 50_000
    assert not await kept.keeper.fetch()
    assert kept.believes(PAIRS[0]).user == "ann"
    assert not kept.health.problems
    if spoil == "redirect":
        assert server.asked == 2, "it is not followed"


@pytest.mark.attack
async def test_no_more_is_read_than_may_be(server: JwksServer) -> None:
    server.body = b" " * (64 << 20)
    with pytest.raises(FetchFailed, match="bytes"):
        await asyncio.to_thread(fetching.fetch, server.url)


async def test_keys_that_can_not_be_fetched_for_too_long_are_let_go(tmp_path: Path, server: JwksServer) -> None:
    kept = Kept(tmp_path, jwks=server.url, jwks_max_age=3600)
    await kept.keeper.fetch()
    server.status = "503 Busy"
    kept.now += 3600
    assert not await kept.keeper.fetch()
    assert kept.believes(PAIRS[0]).user == "ann"
    kept.now += 1
    assert not await kept.keeper.fetch()
    assert "jwks" in kept.health.problems
    with pytest.raises((errors.UnknownSigner, errors.BadToken)):
        kept.believes(PAIRS[0])
    server.status = "200 OK"
    assert await kept.keeper.fetch()
    assert not kept.health.problems
    assert kept.believes(PAIRS[0]).user == "ann"
