"""Support cases: each is opened once and decided once, whoever asks how often; and all are bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gifting import errors
from gifting.ledger import cases
from gifting.model.cases import Case, Decision, case_id
from gifting.model.money import parse_key
from tests.support.world import World


def a_case(world: World, user: str = "ann", **more: Any) -> Case:
    fields: dict[str, Any] = {"kind": "other", "at": world.clock[0], "order": world.key(), "text": "Where is it?"}
    return Case(id=case_id(user, parse_key(world.key())), user=user, **{**fields, **more})


def decision(world: World, outcome: Any = "refused", by: str = "op") -> Decision:
    return Decision(outcome, "It was delivered.", by, world.clock[0])


async def test_a_case_is_opened_once_and_decided_once(world: World) -> None:
    ledger, case = world.ledger, a_case(world)
    assert await ledger.cases.open(case) == case
    world.clock[0] += 5
    other = await ledger.cases.open(a_case(world, "bob"))
    later = await ledger.cases.open(a_case(world))
    before = await world.state()
    again = Case(**{name: getattr(case, name) for name in case.__struct_fields__} | {"at": world.clock[0]})
    assert await ledger.cases.open(again) == case
    assert await ledger.cases.of_user("ann") == [later, case]
    assert await ledger.cases.page(0, 2) == ([case, *sorted([other, later], key=lambda one: one.user)[:1]], 2)
    assert await world.state() == before
    closed = await ledger.cases.decide(case.id, decision(world))
    assert (closed.outcome, closed.reason, closed.by, closed.decided_at) == (
        "refused",
        "It was delivered.",
        "op",
        world.clock[0],
    )
    before = await world.state()
    world.clock[0] += 5
    assert await ledger.cases.decide(case.id, decision(world, by="another")) == closed
    with pytest.raises(errors.CaseClosed):
        await ledger.cases.decide(case.id, decision(world, "refunded"))
    assert await ledger.cases.find(case.id, "ann") == await ledger.cases.open(case) == closed
    assert await world.state() == before
    assert case not in (await ledger.cases.page(0, 10))[0]


@pytest.mark.attack
async def test_refusals_leave_everything_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "OPEN_OF_USER", 2)
    monkeypatch.setattr(cases, "KEPT_OF_USER", 3)
    monkeypatch.setattr(cases, "OPEN_MAX", 4)
    opening, case = world.ledger.cases, a_case(world)
    told = await asyncio.gather(*map(opening.open, [case, *(a_case(world) for _ in range(9))]), return_exceptions=True)
    assert [type(one) for one in told].count(errors.TooManyCases) == 8
    before = await world.state()
    for change in ({"text": "Where?"}, {"kind": "minor"}, {"order": "", "gift": case.order}):
        fields = {name: getattr(case, name) for name in case.__struct_fields__}
        with pytest.raises(errors.KeyReused):
            await opening.open(Case(**fields | change))
    with pytest.raises(errors.TooManyCases):
        await opening.open(a_case(world))
    for unknown in (world.key(), "open"):
        with pytest.raises(errors.CaseNotFound):
            await opening.find(unknown)
    with pytest.raises(errors.CaseNotFound):
        await opening.find(case.id, "bob")
    with pytest.raises(errors.CaseNotFound):
        await opening.decide(world.key(), decision(world))
    assert await world.state() == before
    await opening.decide(case.id, decision(world))
    await opening.open(last := a_case(world))
    await opening.decide(last.id, decision(world))
    with pytest.raises(errors.TooManyCases):  # three are kept
        await opening.open(a_case(world))
    for _ in range(2):
        await opening.open(a_case(world, "bob"))
    await opening.open(a_case(world, "cat"))
    with pytest.raises(errors.TooManyCases):  # four are open
        await opening.open(a_case(world, "cat"))


@pytest.mark.attack
async def test_of_operators_at_once_one_decides(world: World) -> None:
    case = await world.ledger.cases.open(a_case(world))
    outcomes = ["refused", "refunded", "other"] * 4
    told = await asyncio.gather(
        *(
            world.ledger.cases.decide(case.id, decision(world, outcome, f"op{at}"))
            for at, outcome in enumerate(outcomes)
        ),
        return_exceptions=True,
    )
    found = await world.ledger.cases.find(case.id)
    for outcome, one in zip(outcomes, told, strict=True):
        assert one == found if outcome == found.outcome else isinstance(one, errors.CaseClosed)
    assert await world.redis.hget(world.ledger.keys.cases("ann"), "open") == b"0"


async def test_texts_are_erased_and_decisions_stay(world: World) -> None:
    ledger, case, still_open = world.ledger, a_case(world), a_case(world, text="My name is Ann.")
    for one in (case, still_open):
        await ledger.cases.open(one)
    await ledger.cases.decide(case.id, decision(world))
    assert await ledger.cases.erase_texts("ann") == 2
    assert await ledger.cases.erase_texts("ann") == await ledger.cases.erase_texts("nobody") == 0
    kept = b"".join((await world.redis.hgetall(ledger.keys.cases("ann"))).values())
    assert b"Where" not in kept
    assert b"Ann" not in kept
    assert b"delivered" not in kept
    found = await ledger.cases.open(case)  # a retry finds it still
    assert (found.outcome, found.by, found.text, found.reason) == ("refused", "op", "", "")
    assert [one.id for one in (await ledger.cases.page(0, 10))[0]] == [still_open.id]


async def test_of_two_decisions_at_once_one_holds_and_an_open_case_is_never_listed_as_decided(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, case = world.ledger, await world.ledger.cases.open(a_case(world))
    assert await ledger.cases.erase_texts("ann") == 1
    assert await ledger.cases.decided(10) == []
    both, kept, left = asyncio.Barrier(2), ledger.cases._kept, [None, None]

    async def at_once(case_id: str, user: str = "") -> tuple[str, bytes]:
        found = await kept(case_id, user)
        if left:
            left.pop()
            await both.wait()
        return found

    monkeypatch.setattr(ledger.cases, "_kept", at_once)
    deciding = [ledger.cases.decide(case.id, decision(world, outcome)) for outcome in ("refused", "other")]
    told = await asyncio.gather(*deciding, return_exceptions=True)
    assert sorted(type(one).__name__ for one in told) == ["Case", "CaseClosed"]
