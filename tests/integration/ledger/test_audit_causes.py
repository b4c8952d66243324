"""The audit names what was tampered with first, and what follows from it under it, in few lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from gifting.ledger.audit import AuditReport, audit
from gifting.ledger.audit.causes import EXAMPLES_MAX, NAMES
from tests.support.accounts import add_to_account
from tests.support.paths import ROOT
from tests.support.tampering import STREAKABLE, World, a_world

GIFTS = 100


@pytest.fixture
async def world(redis_url: str, redis_client: Any) -> AsyncIterator[World]:
    """``ann`` and ``bob`` have sent a hundred gifts each; ``tom`` is of ``ann``'s partition."""
    async with a_world(redis_url) as world:
        await world.open("r1", "hal")
        for user in ("ann", "bob", "tom"):
            await world.grant(user, 1000)
        for user in ("ann", "bob"):
            for _ in range(GIFTS):
                await world.send(user, "r1", STREAKABLE)
        assert world.base("tom") == world.base("ann") != world.base("bob")
        yield world


def told(report: AuditReport) -> dict[str, set[str]]:
    """By cause: what follows from it."""
    return {group.name: {one.name for one in group.follows} for group in report.groups}


async def delete_first_entry(world: World, user: str) -> None:
    """The first item of a partition's ledger that tells of the user."""
    stream = f"{world.base(user)}:ledger"
    item_id = next(item_id for item_id, fields in await world.redis.xrange(stream) if user.encode() in fields[b"e"])
    await world.redis.xdel(stream, item_id)


async def cut_out_first(world: World, base: str, kind: bytes) -> None:
    """The first entry of that kind of a gift by ``bob``, out of an item that stays."""

    def without_first(entry: list[Any]) -> Any:
        if entry[0] == kind and entry[3] == b"bob" and not gone:
            gone.append(entry)
            return iter(())
        return iter((entry,))

    gone: list[Any] = []
    await world.change_entries(base, without_first)


async def add_coins(world: World, user: str) -> None:
    await add_to_account(world.redis, world.base(user), user, coins=7)


async def raise_ranking(world: World, user: str) -> None:
    await world.redis.zincrby(f"{world.room('r1')}/top", 7, user)


@pytest.mark.parametrize("rich", ["bob", "tom"])
async def test_a_wallet_an_entry_and_a_ranking_are_three_discrepancies(world: World, rich: str) -> None:
    await delete_first_entry(world, "ann")
    await add_coins(world, rich)
    await raise_ranking(world, "bob")
    report = await audit(world.redis, world.ledger.keys)
    assert told(report) == {
        "ledger_items_deleted": {
            "key_without_entry",
            "ledger_incomplete",
            "totals_differ",
            "balance_differs",
            "account_differs",
            "negative_balance",
        },
        "balance_differs": {"conservation_broken"},
        "ranking_differs": set(),
    }
    assert report.causes == 3
    lines = report.lines()
    assert len(lines) < 15
    head = [line for line in lines[1:] if "under way between partitions" not in line]
    assert head[0].startswith("ledger_items_deleted: ")
    assert lines[-1] == f"3 discrepancies, and {report.total - 3} that follow from them"
    (wallets,) = [group for group in report.groups if group.name == "balance_differs"]
    assert rich in wallets.examples[0]
    assert sum("negative_balance" in line for line in lines) == 1


async def test_a_deleted_debit_leads_all_that_it_breaks(world: World) -> None:
    await cut_out_first(world, world.base("bob"), b"debit")
    report = await audit(world.redis, world.ledger.keys)
    follow = {"credit_without_debit", "ledger_incomplete", "totals_differ", "balance_differs", "account_differs"}
    assert told(report) == {"key_without_entry": follow}


async def test_a_deleted_credit_leads_all_that_it_breaks(world: World) -> None:
    await cut_out_first(world, world.base("hal"), b"credit")
    report = await audit(world.redis, world.ledger.keys)
    (cause,) = told(report)
    assert cause == "debit_without_credit"
    assert {"diamonds_differ", "room_totals_differ", "ranking_differs", "event_without_credit"} <= told(report)[cause]


async def test_doubled_prices_are_one_group(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = world.ledger.catalog
    dear = {gift.id: msgspec.structs.replace(gift, coins=2 * gift.coins) for gift in catalog}
    monkeypatch.setattr(type(catalog), "__getitem__", lambda _, gift: dear[gift])
    for _ in range(EXAMPLES_MAX + 3):
        await world.send("ann", "r1", STREAKABLE, 2)
    report = await audit(world.redis, world.ledger.keys)
    assert told(report) == {"price_wrong": set()}
    assert report.lines()[-2] == "price_wrong: ... and 3 more"


async def test_the_json_says_the_same(world: World) -> None:
    await delete_first_entry(world, "ann")
    report = await audit(world.redis, world.ledger.keys)
    said = report.as_json()
    apart = ["crossed"] if world.ledger.keys.apart else []
    assert list(said) == ["clean", "counts", "discrepancies", "following", "groups", *apart]
    assert list(said["counts"]) == ["grants", "gifts", "orders", "users", "rooms", "events", "keys", "doubts"]
    assert (said["clean"], said["discrepancies"], said["following"]) == (False, 1, report.total - 1)
    (cause,) = said["groups"]
    assert list(cause) == ["name", "count", "examples", "follows"]
    assert [one["name"] for one in cause["follows"]] == [one.name for one in report.groups[0].follows]


def test_every_name_is_ordered_and_documented() -> None:
    folder = ROOT / "gifting" / "ledger" / "audit"
    text = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "causes.py")
    operations = (ROOT / "docs" / "operations.md").read_text()
    for name in NAMES:
        assert f'"{name}"' in text, name
        assert f"| `{name}` |" in operations, name
