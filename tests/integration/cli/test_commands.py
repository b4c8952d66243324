"""What an operator types beside a server that runs: rooms, coins, gifts, the live feed; and beside none."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gifting import Client, __version__
from gifting.client import admin as admins
from gifting.client.admin import Admin
from gifting.errors import InsufficientCoins, NoServer, OutcomeUnknown, Overloaded
from gifting.running import Running, find_running, notes_dir
from tests.support.commands import Done, environment, run_command
from tests.support.proxy import Proxy
from tests.support.server import Server

pytestmark = pytest.mark.slow

Type = Callable[..., Coroutine[Any, Any, Done]]


@pytest.fixture(autouse=True)
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody else's servers are found here."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path / "run" / "gifting"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """An empty directory, as a new terminal may stand in."""
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.fixture
def typed(elsewhere: Path) -> Type:
    """Types a command there."""

    async def typed(*words: str, **environ: str) -> Done:
        done = await run_command(*words, cwd=elsewhere, **environ)
        assert "Traceback" not in done.complaints
        assert names_in(elsewhere) == [], "only serve and demo make anything"
        return done

    return typed


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    """It makes its own secret."""
    async with Server(tmp_path / "data", redis_url, secret="", member_rate=0) as running:
        yield running


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def said(typed: Type, *words: str) -> str:
    """What a command that works prints."""
    done = await typed(*words)
    assert (done.status, done.complaints) == (0, "")
    return done.out


async def test_a_room_coins_a_gift_and_the_feed(server: Server, typed: Type) -> None:
    opened = await said(typed, "room", "open", "lobby", "--host", "mara", "--title", "Hello [b]there")
    assert opened == f"lobby is open, hosted by mara: {server.url}/rooms/lobby\n"
    assert await said(typed, "grant", "ann", "500") == "ann has 500 coins.\n"
    sent = await said(typed, "send", "lobby", "spark", "--user", "ann", "--name", "Ann", "--count", "3")
    assert sent == "ann sent 3 × spark to lobby; 497 coins are left.\n"
    assert "Hello [b]there" in await said(typed, "room", "list")
    (listed,) = json.loads(await said(typed, "room", "list", "--json"))
    assert (listed["id"], listed["host"]["id"], listed["coins"]) == ("lobby", "mara", 3)
    assert await said(typed, "room", "end", "lobby") == "lobby has ended.\n"
    assert (await said(typed, "room", "list")).startswith("No room is live. `gifting room open")
    feed = (await said(typed, "watch", "lobby", "--since", "0")).splitlines()
    assert [line[10:] for line in feed] == ["Ann sent 3 × Spark (3 coins)", "The stream has ended."]
    events = [json.loads(line) for line in (await said(typed, "watch", "lobby", "--since=0", "--json")).splitlines()]
    assert [event["type"] for event in events] == ["gift", "gift", "stream_end"]


async def test_the_feed_is_live_and_ends_when_nobody_reads_it(server: Server, typed: Type, elsewhere: Path) -> None:
    await said(typed, "room", "open", "lobby", "--host", "mara")
    await said(typed, "grant", "ann", "500")
    watching = await asyncio.create_subprocess_shell(
        f"{shlex.quote(sys.executable)} -m gifting watch lobby --since 0 | head -n 1; echo ${{PIPESTATUS[0]}}",
        executable="/bin/bash",
        cwd=elsewhere,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    token = (await said(typed, "token", "viewer", "--user", "ann")).strip()
    async with Client(server.url, token) as ann:
        while not watching.stdout.at_eof():  # type: ignore[union-attr]
            await ann.send_gift("lobby", "spark")
            await asyncio.sleep(0.05)
            if watching.returncode is not None:
                break
        out, complaints = await watching.communicate()
    line, status = out.decode().splitlines()
    assert line.endswith("ann sent 1 × Spark (1 coins)")
    assert (status, complaints) == ("0", b"")


async def test_ctrl_c_ends_the_feed_without_a_word(server: Server, typed: Type, elsewhere: Path) -> None:
    await said(typed, "room", "open", "lobby", "--host", "mara")
    await said(typed, "grant", "ann", "500")
    await said(typed, "send", "lobby", "spark", "--user", "ann")
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "watch", "lobby", "--since", "0"),
        cwd=elsewhere,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert watching.stdout is not None
    await asyncio.wait_for(watching.stdout.readline(), 30)
    watching.send_signal(signal.SIGINT)
    _, complaints = await watching.communicate()
    assert (watching.returncode, complaints) == (0, b"")


async def test_what_the_server_refuses_is_a_line_with_a_code(server: Server, typed: Type) -> None:
    await said(typed, "room", "open", "lobby", "--host", "mara")
    refused = {
        "insufficient_coins: There are 0 coins": ("send", "lobby", "spark", "--user", "ann"),
        "room_not_found": ("watch", "elsewhere"),
        "room_taken": ("room", "open", "lobby", "--host", "jon"),
        "bad_setting: User and room ids": ("send", "lobby", "spark", "--user", "a b"),
        "bad_key": ("grant", "ann", "5", "--key", "5a3f"),
        "no_server: http://127.0.0.1:1 can't be reached": ("room", "list", "--url", "http://127.0.0.1:1"),
    }
    for code, words in refused.items():
        done = await typed(*words, GIFTING_SECRET="s" * 32) if "--url" in words else await typed(*words)
        assert (done.status, done.out) == (2, ""), done
        assert done.complaints.startswith(f"gifting: {code}"), done.complaints


async def test_a_grant_is_asked_for_by_its_key_until_it_is_known(server: Server, typed: Type) -> None:
    operator = (await said(typed, "token", "operator", "--user", "op")).strip()
    async with Proxy(server.url) as proxy:
        admin = Admin(proxy.url, operator)
        proxy.mute = True
        granting = asyncio.create_task(admin.grant("ann", 5, "a test"))
        while not (await Admin(server.url, operator).wallet("ann"))["coins"]:
            await asyncio.sleep(0.01)
        proxy.mute = False
        proxy.cut()
        assert await granting == {"coins": 5, "duplicate": True}


async def test_what_may_have_been_done_is_not_said_to_have_failed(server: Server, typed: Type) -> None:
    secret = (server.data_dir / "secret").read_text().strip()
    async with Proxy(server.url) as proxy:
        proxy.mute = True
        words = ("room", "open", "lobby", "--host", "mara", "--url", proxy.url)
        opening = asyncio.create_task(typed(*words, GIFTING_SECRET=secret))
        await asyncio.wait_for(proxy.swallowed.wait(), 30)
        proxy.cut()
        done = await opening
    assert (done.status, done.out) == (3, "")
    assert done.complaints.startswith("gifting: unconfirmed: "), done.complaints
    assert "lobby" in await said(typed, "room", "list")


async def test_audit_and_settings_are_of_the_server_that_runs(tmp_path: Path, typed: Type) -> None:
    async with Server(tmp_path / "data", secret="") as server:
        said_where = f"the data of the server at {server.url}, in {tmp_path / 'data'}\n"
        assert (await typed("audit"))[0::2] == (0, said_where)
        done = await typed("settings")
        assert (done.status, done.complaints) == (0, said_where)
        assert "partitions 16" in done.out
        assert (await typed("resume")).out == "No halt is noted.\n"
        done = await typed("settings", "set", "key_lead", "5", GIFTING_LOG_FORMAT="json", USER="ann", LOGNAME="ann")
        assert done.out == "key_lead 60 became 5; restart every node with it.\n"
        act = json.loads(done.complaints.splitlines()[-1])
        assert (act["who"], act["act"], act["setting"], act["was"], act["now"]) == ("ann", "set", "key_lead", "60", "5")
    assert (await typed("audit")).status == 2, "stopped, it is not found by itself"
    assert (await typed("audit", "--data-dir", str(tmp_path / "data"))).status == 0


async def test_where_its_secret_or_its_redis_was_given_that_is_said(
    tmp_path: Path, redis_url: str, redis_client: Any, typed: Type
) -> None:
    async with Server(tmp_path / "data", redis_url) as server:
        done = await typed("token", "viewer", "--user", "ann")
        assert done.status == 2
        assert f"bad_setting: The server at {server.url} was given its secret: set GIFTING_SECRET" in done.complaints
        done = await typed("audit")
        assert done.status == 2
        assert "keeps its data in a Redis that it was given: say --redis URL" in done.complaints
        done = await typed("report", "debt", "--month", "2026-11")
        assert done.status == 2
        assert f"The server at {server.url} has a Redis that it was given: name its archive" in done.complaints


NONE_RUNS = (
    ("token", "viewer", "--user", "ann"),
    ("audit",),
    ("settings",),
    ("settings", "set", "key_lead", "5"),
    ("resume",),
)


@pytest.mark.parametrize("words", NONE_RUNS, ids=" ".join)
async def test_beside_no_server_a_command_says_where_it_would_look(words: tuple[str, ...], typed: Type) -> None:
    done = await typed(*words)
    assert (done.status, done.out) == (2, "")
    assert "gifting: no_data: " in done.complaints
    assert "elsewhere/gifting-data, which is not there." in done.complaints


async def test_an_empty_directory_stays_empty(tmp_path: Path, typed: Type) -> None:
    (tmp_path / "data").mkdir()
    for words in NONE_RUNS:
        done = await typed(*words, "--data-dir", str(tmp_path / "data"))
        assert done.status == 2
        assert f"{tmp_path / 'data'}, which is empty." in done.complaints
        assert names_in(tmp_path / "data") == []


async def test_beside_no_server_there_is_nothing_to_talk_to(typed: Type) -> None:
    for words in (("room", "list"), ("grant", "ann", "5"), ("send", "lobby", "spark", "--user", "ann")):
        done = await typed(*words)
        assert (done.status, done.out) == (2, "")
        assert done.complaints.startswith("gifting: no_server: No server of this user runs. Start one with")


async def test_of_several_servers_one_must_be_named(tmp_path: Path, typed: Type) -> None:
    async with Server(tmp_path / "one", secret="") as one, Server(tmp_path / "two", secret="") as two:
        done = await typed("room", "list")
        assert done.status == 2
        assert "gifting: several_servers: These run: " in done.complaints
        assert f"{one.url} on {tmp_path / 'one'}" in done.complaints
        assert f"{two.url} on {tmp_path / 'two'}" in done.complaints
        opened = await said(typed, "room", "open", "lobby", "--host", "mara", "--data-dir", str(tmp_path / "two"))
        assert two.url in opened
        assert "lobby" in await said(typed, "room", "list", "--url", two.url)
        assert "lobby" not in await said(typed, "room", "list", "--url", one.url)


async def test_a_note_is_private_has_no_secret_and_goes_when_its_server_does(server: Server, notes: Path) -> None:
    (name,) = names_in(notes)
    note, secret = notes / name, server.data_dir / "secret"
    assert (mode_of(note), mode_of(notes)) == (0o600, 0o700)
    assert secret.read_text().strip() not in note.read_text()
    assert [one.url for one in find_running()] == [server.url]
    await server.stop()
    assert names_in(notes) == []


async def test_the_note_of_a_killed_server_is_cleared_away(server: Server, notes: Path) -> None:
    await server.stop(signal.SIGKILL)
    assert len(names_in(notes)) == 1
    assert find_running() == []
    assert names_in(notes) == []


async def test_a_server_that_can_not_leave_a_note_serves(
    tmp_path: Path, redis_url: str, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    async with Server(tmp_path / "data", redis_url) as server:
        await server.room("r1")


async def test_a_grant_that_never_got_an_answer_names_its_key(
    server: Server, typed: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admins, "GRANT_WITHIN", 0.5)
    operator = (await said(typed, "token", "operator", "--user", "op")).strip()
    async with Proxy(server.url) as proxy:
        proxy.mute = True
        with monkeypatch.context() as patch:
            patch.setattr(admins, "ANSWER_WITHIN", 0.2)
            with pytest.raises(OutcomeUnknown, match=r"The grant with key [0-9a-f-]{36} got no answer") as unknown:
                await Admin(proxy.url, operator).grant("ann", 5, "a test")
    key = str(unknown.value).split("key ")[1].split(" ")[0]
    assert await said(typed, "grant", "ann", "5", "--reason", "a test", "--key", key) in {
        "ann has 5 coins. They were granted before.\n",
        "ann has 5 coins.\n",
    }


@pytest.mark.parametrize(
    ("error", "status"), [(OutcomeUnknown(), 3), (InsufficientCoins(), 2), (NoServer(), 2), (Overloaded(), 2)]
)
def test_the_exit_status_tells_what_was_not_done_from_what_is_not_known(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gifting.cli import app

    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit) as ended:
        app.run()
    assert ended.value.code == status
    assert capsys.readouterr().err.startswith(f"gifting: {error}")


async def test_version(typed: Type) -> None:
    assert await said(typed, "--version") == f"gifting {__version__}\n"


def test_notes_have_a_place_where_there_is_no_runtime_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert notes_dir() == Path("/state/gifting")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/ann")
    assert notes_dir() == Path("/home/ann/.local/state/gifting")


def test_who_listens_everywhere_is_reached_on_this_machine() -> None:
    from gifting import config

    settings = config.load({}, {})
    assert Running.of(settings, "0.0.0.0", 80).url == "http://127.0.0.1:80"
    assert Running.of(settings, "::", 80).url == "http://[::1]:80"
