"""What all nodes must have alike: kept with the data, refused where it differs, changed by command only."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.health import Health
from gifting.ledger.meta import CHANGES_MAX, SHARED, read_changes
from gifting.model.pseudonym import SALT_SIZE
from gifting.tasks import Vital
from tests.support.keys import session_keys
from tests.support.world import World, a_world

OTHERS = {
    "partitions": 8,
    "dedupe_window": 1.0,
    "key_lead": 5.0,
    "grant_window": 60.0,
    "streak_window": 7.5,
    "diamonds_per_coin": "1/3",
}


@pytest.mark.attack
@pytest.mark.parametrize("name", SHARED)
async def test_a_node_that_differs_does_not_start(redis_client: Redis, redis_url: str, name: str) -> None:
    async with a_world(redis_url) as world:
        await world.grant("ann", 5)
        with pytest.raises(errors.BadSetting) as refused:
            flags: dict[str, Any] = {name: OTHERS[name]}
            async with a_world(redis_url, **flags):
                raise AssertionError
    flag = "--" + name.replace("_", "-")
    for part in (f"The data has {name} ", "the settings "):
        assert part in refused.value.message
    way_out = "can't be changed" if name == "partitions" else f"gifting settings set {name}"
    assert way_out in refused.value.message
    assert name == "partitions" or f"Start with {flag} " in refused.value.message


@pytest.mark.parametrize("rate", ["1/2", "0.5", "2/4"])
async def test_what_means_the_same_is_the_same(redis_client: Redis, redis_url: str, rate: str) -> None:
    async with a_world(redis_url), a_world(redis_url, diamonds_per_coin=rate, dedupe_window=600):
        pass


@pytest.mark.one_redis("a cluster notes more beside, which tests of its own know")
async def test_it_is_kept_as_it_is_written(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url, streak_window=2.5) as world:
        assert await world.redis.hgetall(world.ledger.keys.meta) == {
            b"partitions": b"16",
            b"dedupe_window": b"600",
            b"key_lead": b"60",
            b"grant_window": b"2592000",
            b"streak_window": b"2.5",
            b"diamonds_per_coin": b"1/2",
            b"salt": world.ledger.meta.salt.hex().encode(),
        }


async def test_all_nodes_have_one_salt_and_other_data_another(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url) as world, a_world(redis_url) as other, a_world(redis_url, key_prefix="b") as apart:
        assert len(world.ledger.meta.salt) == SALT_SIZE
        assert world.ledger.meta.salt == other.ledger.meta.salt != apart.ledger.meta.salt


async def test_data_of_an_older_version_takes_what_the_first_node_has(redis_client: Redis, redis_url: str) -> None:
    await redis_client.hset(session_keys(16).meta, "partitions", "16")
    async with a_world(redis_url, dedupe_window=300) as world:
        assert await world.redis.hget(world.ledger.keys.meta, "dedupe_window") == b"300"


async def test_a_change_under_a_running_node_makes_it_unready(redis_client: Redis, redis_url: str) -> None:
    health = Health()
    async with a_world(redis_url, vital=Vital(health)) as world:
        await world.ledger.maintain()
        assert not health.problems
        await world.ledger.meta.change("dedupe_window", "300")
        await world.ledger.maintain()
        assert "The data has dedupe_window 300, the settings 600." in health.problems["settings"]
        assert "restarted" in health.problems["settings"]
        await world.ledger.meta.change("dedupe_window", "600")
        await world.ledger.maintain()
        assert not health.problems


@pytest.mark.attack
async def test_a_window_that_is_changed_opens_no_key(redis_client: Redis, redis_url: str) -> None:
    """Shorter on one node while another still has it longer, and longer after a restart."""
    async with a_world(redis_url) as world:
        await world.grant("ann", 100)
        key, clock = world.key(), world.clock
        first = await world.send(key=key)
        await world.ledger.meta.change("dedupe_window", "1")
        async with a_world(redis_url, dedupe_window=1) as short:
            short.clock = clock
            clock[0] += 130_000
            await short.ledger.upkeep.floors.raise_to(clock[0], 3600)
            with pytest.raises(errors.KeyExpired):
                await world.send(key=key)
        await world.ledger.meta.change("dedupe_window", "86400")
        async with a_world(redis_url, dedupe_window=86400) as long:
            long.clock[0] = clock[0]
            with pytest.raises(errors.KeyExpired):
                await long.send(key=key)
        assert (await world.ledger.wallets.read("ann"))[0] == first.coins


async def test_changes_are_kept_but_not_for_ever(redis_client: Redis, redis_url: str) -> None:
    async with a_world(redis_url) as world:
        for number in range(CHANGES_MAX + 5):
            change = await world.ledger.meta.change("diamonds_per_coin", f"1/{number + 2}")
        changes = read_changes(await world.ledger.meta.read())
        assert len(changes) == CHANGES_MAX
        assert changes[-1] == change
        assert (changes[-1].was, changes[-1].now) == (f"1/{CHANGES_MAX + 5}", f"1/{CHANGES_MAX + 6}")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("partitions", "8", "can't be set here"),
        ("port", "8", "can't be set here"),
        ("dedupe_window", "0", "at least 1"),
        ("dedupe_window", "soon", "must be a float"),
        ("diamonds_per_coin", "many", "write it as"),
    ],
)
async def test_what_can_not_be_set(world_of_settings: World, name: str, value: str, says: str) -> None:
    with pytest.raises(errors.BadSetting, match=says):
        await world_of_settings.ledger.meta.change(name, value)


@pytest.fixture
async def world_of_settings(redis_client: Redis, redis_url: str) -> Any:
    async with a_world(redis_url) as world:
        yield world


async def test_the_command(world_of_settings: World, redis_url: str) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "gifting", "settings", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ, check=False)
        return done.returncode, done.stdout + done.stderr

    code, said = run("set", "streak_window", "5", "--redis", redis_url)
    assert code == 0
    assert said.startswith("streak_window 3 became 5; restart every node with it.\n")
    assert "gifting.acts: command " in said
    assert said.endswith(": set setting='streak_window' was='3' now='5'\n")
    code, said = run("--redis", redis_url)
    assert code == 0
    assert said.startswith("partitions 16\ndedupe_window 600\n")
    assert "streak_window 5\n" in said
    assert "UTC: streak_window 3 became 5\n" in said
    code, said = run("set", "partitions", "5", "--redis", redis_url)
    assert code == 2
    assert "can't be set here" in said
    await world_of_settings.redis.flushall()
    code, said = run("--redis", redis_url)
    assert code == 2
    assert "There is no data" in said
