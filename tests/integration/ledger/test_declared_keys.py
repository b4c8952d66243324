"""Every script declares in KEYS what it touches, and nothing that never exists: so slots can migrate and ACLs hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gifting.ledger import commit_call, scripts
from gifting.ledger.commit import Packed, PendingCommit, pack_batch
from gifting.ledger.days import Days
from gifting.model.old_payouts import Gone, pack_gone
from gifting.model.packing import pack
from tests.support import two_calls
from tests.support.everything import live_through_everything, shape, table
from tests.support.keys import session_keys
from tests.support.lua import hook
from tests.support.world import World, a_world

DECLARED = """
local declared, free = {}, { TIME = true, INFO = true, SPUBLISH = true }
for _, key in ipairs(KEYS) do
  declared[key] = true
end
"""
CHECK = """
if not free[command] and not declared[key] then
  error({ err = 'ERR ' .. command .. ' of an undeclared key, ' .. tostring(key) }, 0)
end
return real.call(command, key, ...)
"""


class Recorder:
    """Which keys each script was called with, and which of all these were ever there."""

    def __init__(self, patch: pytest.MonkeyPatch, redis: Any) -> None:
        self.redis = redis
        self.names: dict[str, set[str]] = defaultdict(set)
        self.there: set[str] = set()
        call = scripts.call

        async def recorded(redis: Any, name: str, keys: list[str], *args: Any) -> Any:
            self.names[name] |= {str(key.decode() if isinstance(key, bytes) else key) for key in keys}
            return await call(redis, name, keys, *args)

        def packed(batch: Sequence[PendingCommit]) -> Packed:
            made = pack_batch(batch)
            self.names["commit"] |= set(made.keys.decode().split("\r\n")[1::2])
            return made

        run = two_calls.run

        async def recorded_wire(redis: Any, call: bytes) -> Any:
            words = call.split(b"\r\n")[2::2]
            texts = {scripts.source(name, cluster=True).encode(): name for name in ("debit", "credit")}
            name = texts[words[1]]  # ``hook`` lets every call bring its text along
            self.names[name] |= {key.decode() for key in words[3 : 1 + int(words[2])]}
            return await run(redis, call)

        patch.setattr(two_calls, "run", recorded_wire)
        patch.setattr(scripts, "call", recorded)
        patch.setattr(commit_call, "pack_batch", packed)

    async def look(self) -> None:
        self.there |= {name.decode() async for name in self.redis.scan_iter()}


@pytest.fixture
async def world(redis_client: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    hook(monkeypatch, DECLARED, CHECK)
    rate = "1/3"  # has remainders
    async with a_world(redis_url, partitions=4, like_interval=0, diamonds_per_coin=rate) as made:
        yield made


@pytest.mark.one_redis("commit and its halves are watched in one call")
async def test_what_is_declared_is_touched_and_what_is_touched_is_declared(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(monkeypatch, world.redis)
    await live_through_everything(world, recorder.look)
    await Days(world.redis, world.ledger.keys).raise_to(world.clock[0], 0)
    payouts = world.ledger.keys.payouts_of("host2")[:1]
    await scripts.call(world.redis, "payouts_forget", payouts, pack((1, pack_gone(Gone()), [])))
    assert set(scripts.NAMES) - recorder.names.keys() == {*("rooms_page", "move_begin", "move_write", "move_end")}, (
        "it goes in a pipeline, and a move is from another Redis"
    )
    there = {shape(name) for name in recorder.there}
    for script, names in recorder.names.items():
        assert {shape(name) for name in names} <= there, script


@pytest.mark.one_redis("commit and its halves are watched in one call")
async def test_every_key_is_in_the_table_of_keys(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(monkeypatch, world.redis)
    await live_through_everything(world, recorder.look)
    used = {shape(name) for names in (recorder.there, *recorder.names.values()) for name in names}
    assert used <= table()
    assert {one.split(":")[1] for one in table() - used} == {"chain", "peaks", "waited"}, (
        "a full batch, a clock that goes back, a cluster"
    )


@pytest.mark.parametrize(
    "code", ["redis.call('GET', KEYS[1] .. 'x')", "redis.call('HGET', 'gifting:{p00}:coins', 'a')"]
)
async def test_the_check_sees_what_is_not_declared(world: World, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    text = scripts.source("top").partition("local function top_of")[0] + "\nreturn " + code
    with pytest.raises(ResponseError, match="undeclared"):
        await world.redis.eval(text, 1, session_keys(16).bases[0])
