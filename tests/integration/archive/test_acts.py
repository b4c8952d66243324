"""What operators did: noted with its reason, archived once, told from both places, and never a reason to fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from gifting import errors
from gifting.archive.act_history import acts_page
from gifting.archive.acts import KEEP, ActLog
from gifting.archive.reading import Archive
from gifting.archive.schema import acts
from gifting.archive.store import Store
from gifting.ledger.acts import ABOUT_MAX
from gifting.ledger.clock import in_ms
from gifting.ledger.meta import ARCHIVE
from tests.support.archive import rows_of
from tests.support.keys import new_key, session_keys
from tests.support.server import Server
from tests.support.waiting import WITHIN
from tests.support.world import a_world

KEYS = session_keys(1)


async def add(redis: Redis, *numbers: int) -> None:
    for number in numbers:
        said: dict[Any, Any] = {
            "who": f"op{number % 2}",
            "role": "operator",
            "act": "granted",
            "about": "{}",
            "why": str(number),
        }
        await redis.xadd(KEYS.acts, said, id=f"{number}-{number}")


async def test_acts_are_archived_once_and_told_from_both_places(
    redis_client: Redis, store: Store, archive_url: str
) -> None:
    async def told(who: str = "", since: int = 0, cursor: str = "", limit: int = 50) -> tuple[list[int], str]:
        found, following = await acts_page(archive, redis_client, KEYS, who, since, cursor, limit)
        return [int(act.why) for act in found], following

    archive = Archive(archive_url)
    first, second = ActLog(redis_client, KEYS, store), ActLog(redis_client, KEYS, store)
    await add(redis_client, 1, 9)
    assert await first.follow() == 2
    await add(redis_client, 10, 11)
    assert await told() == ([11, 10, 9, 1], "")
    assert await second.follow() == 2
    assert await first.follow() == 0
    assert await redis_client.xlen(KEYS.acts) == 1
    assert len(await rows_of(store, acts)) == 4
    assert await told(who="op1") == ([11, 9, 1], "")
    assert await told(since=10) == ([11, 10], "")
    page, cursor = await told(limit=3)
    assert (page, await told(cursor=cursor)) == ([11, 10, 9], ([1], ""))
    with pytest.raises(errors.BadCursor):
        await told(cursor="11-11")
    await archive.close()


async def test_what_is_young_stays_in_redis_for_a_database_from_before(redis_client: Redis, store: Store) -> None:
    now = in_ms(await redis_client.time())
    await add(redis_client, 1, now - KEEP - 60_000, now - KEEP + 60_000, now - 1)
    follower = ActLog(redis_client, KEYS, store)
    assert await follower.follow() == 4
    assert await redis_client.xlen(KEYS.acts) == 2
    async with store.writing() as connection:
        await connection.execute(acts.delete().where(acts.c.at > now - KEEP))
    assert await follower.follow() == 2
    assert len(await rows_of(store, acts)) == 4


async def test_what_cannot_be_noted_is_done_all_the_same(
    redis_client: Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_world(redis_url) as world:
        await redis_client.set(world.ledger.keys.acts, "no stream")
        await world.ledger.acts.note("op", "operator", "granted", {"user": "ann"}, "")
        assert "could not be noted" in caplog.text
        await redis_client.delete(world.ledger.keys.acts)
        await world.ledger.acts.note("op", "operator", "granted", {"user": "x" * 2000}, "because")
        found, _ = await acts_page(Archive(""), world.redis, world.ledger.keys, "op", 0, "", 1)
        assert [(len(act.about), act.why) for act in found] == [(ABOUT_MAX, "because")]


async def test_operators_say_why_and_read_it(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    async with Server(tmp_path / "data", redis_url) as server:
        await server.room("r1")
        found = await server.operator.call("GET", "/v1/admin/acts")
        ((act, who),) = [(one["act"], one["who"]) for one in found["acts"]]
        assert act == "opened"
        await server.operator.call("POST", "/v1/users/ann/grants", {"coins": 5, "key": new_key(), "reason": "welcome"})
        newest = (await server.operator.call("GET", "/v1/admin/acts?limit=1"))["acts"][0]
        assert (newest["act"], newest["why"]) == ("granted", "welcome")
        assert (await server.operator.call("GET", f"/v1/admin/acts?who={who}"))["acts"][1:] == found["acts"]
        assert (await server.operator.call("GET", "/v1/admin/acts?who=nobody"))["acts"] == []


async def test_of_acts_that_wait_for_an_archive_the_oldest_stay(
    redis_client: Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_world(redis_url) as world:
        await world.redis.hset(world.ledger.keys.meta, ARCHIVE, "one")
        noted = world.ledger.acts
        noted._waiting_max = 3
        for number in range(5):
            await noted.note("op", "operator", f"act {number}", {}, "a test")
        kept = [fields[b"act"] for _, fields in await world.redis.xrange(world.ledger.keys.acts)]
        assert kept == [b"act 0", b"act 1", b"act 2"]
        assert caplog.text.count("an act is in this log only: 3 wait for the archive already") == 2
        await world.redis.hdel(world.ledger.keys.meta, ARCHIVE)
        await noted.note("op", "operator", "act 5", {}, "a test")
        assert await world.redis.xlen(world.ledger.keys.acts) == 4


async def test_the_header_says_why_and_what_is_no_plain_text_does_nothing(
    tmp_path: Path, redis_url: str, redis_client: Any
) -> None:
    async with Server(tmp_path / "data", redis_url) as server:
        token = {"Authorization": f"Bearer {server.token('op', 'operator')}"}
        async with httpx.AsyncClient(base_url=server.url, headers=token, timeout=WITHIN) as client:

            async def grant(reason: bytes) -> int:
                body = {"coins": 5, "key": new_key(), "reason": "as the body says"}
                headers = [(b"X-Reason", reason)]
                return (await client.post("/v1/users/ann/grants", json=body, headers=headers)).status_code

            async def told() -> list[str]:
                return [act["why"] for act in (await client.get("/v1/admin/acts")).json()["acts"]]

            assert await grant(b"ticket 7") in (200, 201)
            assert await grant(b"") in (200, 201)
            before = await told()
            assert before == ["as the body says", "ticket 7"]
            for bad in (b"x" * 201, "gr\u00fcn".encode(), b"a\tb"):
                assert await grant(bad) == 400
            assert await told() == before
            assert (await server.operator.call("GET", "/v1/users/ann/wallet"))["coins"] == 10
