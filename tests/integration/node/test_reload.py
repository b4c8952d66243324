"""The gifts, prices and regions are read again while the server is used: all of them or none, and no gift fails."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from gifting import Client, errors
from gifting.bench.launcher import READY_LINE
from tests.support.keys import new_key
from tests.support.raw import Raw, says
from tests.support.server import Server

pytestmark = pytest.mark.slow

WAIT = 30.0
MANY = 1_000_000
GIFTS = """\
[[gift]]
id = "rose"
name = "Rose"
coins = {coins}
tier = "small"
"""
LILY = GIFTS.replace("rose", "lily").format(coins=5)
PRICES = """\
[[package]]
id = "small"
coins = 100
[[market]]
regions = ["US"]
currency = "USD"
tier = "web"
prices = {{ small = {price} }}
"""
REGIONS = """\
[[region]]
id = "US"
terms = "{terms}"
[[region]]
id = "other"
allowed = false
terms = "None."
"""

CREATORS = """
[payout]
currency = "USD"
micros_per_diamond = 10_000
minimum = 50_00
[[tier]]
id = "standard"
hold_days = 120
"""


class Files:
    """The three files of a server, which all say of which version they are: so many coins cost a gift, cents a coin."""

    def __init__(self, folder: Path) -> None:
        self.paths: dict[str, Any] = {
            name: folder / f"own-{name}.toml" for name in ("catalog", "prices", "regions", "moderation", "creators")
        }
        self.write(1)

    def write(self, version: int, more: str = "") -> None:
        self.paths["catalog"].write_text(GIFTS.format(coins=version) + more)
        self.paths["prices"].write_text(PRICES.format(price=100 * version))
        self.paths["moderation"].write_text("")
        self.paths["creators"].write_text(CREATORS)
        self.paths["regions"].write_text(REGIONS.format(terms=f"Version {version}."))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture(params=[1, 2], ids=["alone", "workers"])
async def server(
    tmp_path: Path, server_redis: str, files: Files, request: pytest.FixtureRequest
) -> AsyncIterator[Server]:
    own: dict[str, Any] = {"member_rate": 0, "message_rate": 10_000, "message_burst": 10_000}
    async with Server(tmp_path / "data", server_redis, workers=request.param, **own, **files.paths) as running:
        await running.room("r1")
        await running.operator.grant_each(["ann", "bob", "cid"], MANY)
        yield running


async def version(server: Server) -> int:
    """That one process of the server is of, which must be that of all three files."""
    said = await server.operator.call("GET", "/v1/packages?region=US")  # a connection of its own: any worker answers
    number = int(said["terms"].removeprefix("Version ").removesuffix("."))
    assert said["packages"][0]["price"] == 100 * number
    assert said["gifts"][0] == {"gift": "rose", "coins": number, "price": number * number}
    return number


async def reached(server: Server, wanted: int) -> None:
    """Every process is of that version, and remains so."""
    async with asyncio.timeout(WAIT):
        seen = 0
        while seen < 20:
            seen = seen + 1 if await version(server) == wanted else 0


async def all_have_read(server: Server, times: int) -> None:
    """Each process says so once each time; nobody reads any more what is about to be written."""
    async with asyncio.timeout(WAIT):
        while server.log_text().count("are in force") < times:
            await asyncio.sleep(0.01)


async def reload(server: Server) -> Any:
    return await server.operator.call("POST", "/v1/admin/reload")


def hang_up(server: Server) -> None:
    os.kill(server.pid, signal.SIGHUP)


async def test_no_gift_fails_while_the_files_are_read_again(server: Server, files: Files) -> None:
    """Each costs what it did when it was packed, in the ack, in the event and in the books."""
    spent: dict[str, list[int]] = {}
    going = True

    async def give(user: str) -> None:
        left, costs = MANY, spent.setdefault(user, [])
        async with Client(server.url, server.token(user)) as client:
            while going:
                now = (await client.send_gift("r1", "rose"))["coins"]
                costs.append(left - now)
                left = now

    workers = int(server.env["GIFTING_WORKERS"])
    if workers > 1:
        await workers_of(server)
    giving = [asyncio.create_task(give(user)) for user in ("ann", "bob", "cid")]
    async with asyncio.timeout(60):
        for number in range(1, 12):
            files.write(number)
            if number % 2:
                hang_up(server)
            else:
                assert await reload(server) == {
                    "gifts": 1,
                    "packages": 1,
                    "promotions": 0,
                    "regions": 2,
                    "languages": 0,
                    "tiers": 1,
                }
            await all_have_read(server, number * workers)
            await reached(server, number)
            had = {user: len(costs) for user, costs in spent.items()}
            while any(len(costs) < had[user] + 3 for user, costs in spent.items()):
                assert not any(task.done() for task in giving)
                await asyncio.sleep(0.01)
        going = False
        await asyncio.gather(*giving)
    for costs in spent.values():
        assert costs == sorted(costs)
        assert set(costs) == set(range(1, 12))
    wallets = await server.operator.wallets(["ann", "bob", "cid"])
    assert wallets == {user: MANY - sum(costs) for user, costs in spent.items()}
    assert (await server.audit())[0] == 0


@pytest.mark.parametrize("name", ["catalog", "prices", "regions", "moderation", "creators"])
@pytest.mark.parametrize("break_it", [lambda path: path.write_text("x = 1\ny = [\n"), Path.unlink], ids=["bad", "gone"])
async def test_a_bad_file_is_refused_and_all_stays(
    tmp_path: Path, files: Files, name: str, break_it: Callable[[Path], None]
) -> None:
    async with Server(tmp_path / "data", **files.paths) as server:
        files.write(2)
        break_it(files.paths[name])
        with pytest.raises(errors.StartError) as refused:
            await reload(server)
        assert refused.value.code == f"bad_{name}"
        assert files.paths[name].name in str(refused.value)
        assert await version(server) == 1
        hang_up(server)
        async with asyncio.timeout(WAIT):
            while "stay what they were" not in server.log_text():
                await asyncio.sleep(0.01)
        assert await version(server) == 1
        files.write(3)
        await reload(server)
        assert await version(server) == 3


async def test_a_catalog_that_does_not_fit_the_diamond_rate_is_refused(tmp_path: Path, files: Files) -> None:
    async with Server(tmp_path / "data", diamonds_per_coin="999.999999", **files.paths) as server:
        files.write(1_000_000)
        with pytest.raises(errors.BadCatalog, match="no longer exact"):
            await reload(server)
        assert await version(server) == 1


async def test_only_operators_reload(server: Server) -> None:
    for role in ("viewer", "creator"):
        with pytest.raises(errors.Forbidden):
            await server.caller("ann", role).call("POST", "/v1/admin/reload")


async def test_a_gift_that_is_no_more_is_refused_and_what_was_sent_of_it_is_told(server: Server, files: Files) -> None:
    files.write(2, LILY)
    await reload(server)
    await reached(server, 2)
    async with Client(server.url, server.token("ann")) as ann:
        key = ann.new_key()
        sent = await ann.send_gift("r1", "lily", 2, key=key)
        files.write(3)
        await reload(server)
        await reached(server, 3)
        again = await ann.send_gift("r1", "lily", 2, key=key)
        assert again == sent | {"re": again["re"], "duplicate": True}
        for tried in range(2):
            with pytest.raises(errors.UnknownGift):
                await ann.send_gift("r1", "lily", tried + 1)
        with pytest.raises(errors.KeyReused):
            await ann.send_gift("r1", "lily", 3, key=key)
        assert (await ann.send_gift("r1", "rose"))["coins"] == MANY - 13
    assert (await server.audit())[0] == 0


async def test_a_worker_that_has_only_begun_is_of_the_new_version_too(tmp_path: Path, files: Files) -> None:
    async with Server(tmp_path / "data", workers=2, **files.paths) as server:
        for number in (2, 3):
            os.kill((await workers_of(server))[0], signal.SIGKILL)
            files.write(number)
            hang_up(server)
            await reached(server, number)


async def workers_of(server: Server) -> list[int]:
    """Both, once they take SIGHUP."""
    async with asyncio.timeout(WAIT):
        while True:
            children = psutil.Process(server.pid).children()
            found = [child.pid for child in children if "--fd" in " ".join(child.cmdline())]
            if len(found) == 2 and all(catches(pid, signal.SIGHUP) for pid in found):
                return found
            await asyncio.sleep(0.01)


def catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.split("SigCgt:")[1].split()[0], 16) >> (number - 1) & 1)


async def test_a_signal_to_a_worker_reaches_all(tmp_path: Path, files: Files) -> None:
    async with Server(tmp_path / "data", workers=2, **files.paths) as server:
        files.write(2)
        os.kill((await workers_of(server))[1], signal.SIGHUP)
        await reached(server, 2)


async def test_the_end_of_its_terminal_is_an_end_in_order(tmp_path: Path) -> None:
    """There SIGHUP means that nobody sits there any more."""
    ours, theirs = pty.openpty()
    env = os.environ | {"GIFTING_DATA_DIR": str(tmp_path / "data"), "GIFTING_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "serve"),
        env=env, stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    assert process.stdout is not None
    async with asyncio.timeout(WAIT):
        while not READY_LINE.search(await process.stdout.readline()):
            pass
        process.send_signal(signal.SIGHUP)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        await process.wait()
    assert process.returncode == 0


async def test_who_sends_again_what_was_sold_before_the_server_was_started_anew_is_told_what_became_of_it(
    redis_url: str, redis_client: Any, tmp_path: Path, files: Files
) -> None:
    files.write(2, LILY)
    async with Server(tmp_path / "data", redis_url, member_rate=0, **files.paths) as server:
        await server.room("r1")
        await server.operator.grant_each(["ann"], 100)
        async with Client(server.url, server.token("ann")) as ann:
            sent = await ann.send_gift("r1", "lily", 2, key=(key := ann.new_key()))
    files.write(3)
    async with Server(tmp_path / "data", redis_url, member_rate=0, **files.paths) as server:
        raw = await Raw.upgraded(server, server.token("ann"))  # it asks for no status, as a client would
        for number, name in enumerate((key, new_key())):
            raw.writer.write(says(op="send_gift", id=number, room="r1", gift="lily", count=2, key=name))
        told = await raw.reply(0)
        assert told == sent | {"re": 0, "duplicate": True}
        assert (await raw.reply(1))["error"]["code"] == "unknown_gift"
        caller, body = server.caller("ann", "viewer"), {"gift": "lily", "count": 2}
        told = await caller.call("POST", "/v1/rooms/r1/gifts", {**body, "key": key})
        assert (told["coins"], told["seq"], told["duplicate"]) == (90, sent["seq"], True)
        for _ in range(2):
            with pytest.raises(errors.UnknownGift):
                await caller.call("POST", "/v1/rooms/r1/gifts", {**body, "key": (new := new_key())})
        assert (await caller.call("GET", f"/v1/users/ann/gifts/{new}"))["state"] == "refused"
        assert await server.operator.wallets(["ann"]) == {"ann": 90}
        assert (await server.audit())[0] == 0
