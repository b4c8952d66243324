"""The demo on a cluster: a key kills a master, the table goes on, and nothing is left behind."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import psutil
import pytest

from gifting.demo.leftovers import clear_leftovers
from gifting.ledger.embedded import running_url
from tests.support.demo import CONTROL, START_WITHIN, left_in, read_links, start_demo, terminal, until_gone

pytestmark = pytest.mark.slow

BACK = re.compile(r"replaced after \S+ s, first gift acked after \S+ s, back as a replica after \S+ s")
GIFTS = re.compile(r"^late-kitchen +\d+ +([\d,]+)", re.MULTILINE)


def gifts(text: str) -> int:
    """Of the room that was not hit, as they stood in the last table."""
    return int(GIFTS.findall(CONTROL.sub("", text).replace("\r", ""))[-1].replace(",", ""))


def test_a_key_kills_a_master_and_the_table_goes_on(tmp_path: Path) -> None:
    with terminal(tmp_path, 200, ["--cluster"]) as demo:
        demo.until("3 masters, 3 replicas")
        demo.until("k kills a master. Ctrl-C stops it.")
        for room in ("harbour-lights", "late-kitchen"):
            demo.text = ""
            demo.press("k")
            demo.until(f"master of {room} killed at")
            demo.press("k")  # not before that is over
            demo.text = ""
            demo.until("back as a replica after")
            demo.until("first gift acked after")
            while not BACK.search(CONTROL.sub("", demo.text)):  # what is read may end amid the line
                demo.until_more()
        before = gifts(demo.text)
        while gifts(demo.text) <= before:
            demo.until_more()
        demo.text = ""
        demo.press("k")
        demo.until("2 masters")
        family = psutil.Process(demo.process.pid).children(recursive=True)
        demo.press_ctrl_c()  # while one is away
        assert demo.end() == 0, demo.text
    table = CONTROL.sub("", demo.text).replace("\r", "")
    assert "Traceback" not in table
    assert "Stopping, once the master that was killed is back …" in table
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family)
    assert left_in(tmp_path) == []


@pytest.mark.attack
async def test_killed_it_leaves_no_node_and_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    process = await start_demo(tmp_path, "--cluster")
    await read_links(process)
    await asyncio.to_thread(clear_leftovers)
    (folder,) = left_in(tmp_path)
    assert (running_url(tmp_path / folder) or "").startswith("redis+cluster://:"), "as commands find it"
    family = psutil.Process(process.pid).children(recursive=True)
    assert [one.name() for one in family].count("redis-server") == 6
    process.kill()
    await process.wait()
    await until_gone(family, tmp_path)


async def test_it_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    process = await start_demo(tmp_path, "--cluster", "--data-dir", str(tmp_path / "data"))
    output, _ = await asyncio.wait_for(process.communicate(), START_WITHIN)
    assert process.returncode == 2
    assert "--cluster shows what becomes of a cluster, and keeps nothing: leave out --data-dir." in output.decode()
    assert left_in(tmp_path) == []
