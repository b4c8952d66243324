"""Masters that a key kills in the demo, and what becomes of a kill that does not come to its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gifting.demo import cluster
from gifting.demo.cluster import Killer, Shards
from gifting.ledger.embedded.cluster import EmbeddedCluster

ROOMS = {"a room": "x:{a}"}


async def test_a_cluster_that_does_not_come_over_it_is_told_and_a_key_may_be_pressed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killer = Killer(Shards(EmbeddedCluster(tmp_path)), ROOMS)  # it was not started: nobody answers
    for times in (1, 2):
        killer.press()
        assert killer.busy
        await killer.end()
        assert not killer.busy
        assert caplog.text.count("does not come over a master's death") == times


async def test_a_master_that_does_not_come_back_is_not_awaited_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.Event()

    class Stuck(Shards):
        async def kill_master(self, room: str, base: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    monkeypatch.setattr(cluster, "MENDED_WITHIN", 0.01)
    killer = Killer(Stuck(EmbeddedCluster(tmp_path)), ROOMS)
    await killer.end()
    killer.press()
    async with asyncio.timeout(10):
        await killer.end()
    assert not killer.busy
    assert ended.is_set()
