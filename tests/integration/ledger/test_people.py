"""The rules of a room, and what its host has decided about people: who may give, and who may comment."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gifting import errors
from gifting.ledger import people
from gifting.model.events import encode_post
from gifting.model.house import NO_RULES, Person, PersonChange, RoomRules, RulesChange
from gifting.model.values import Result, RoomRef
from tests.support.world import World

MINUTE = 60_000


async def say(
    world: World, user: str, text: str | None = "hello", *, room: RoomRef | None = None, age: int = 30
) -> Any:
    """What a comment becomes, or a share if there is no text: a result, or the error."""
    event = encode_post("comment" if text else "share", world.sender(user).user, text)
    place = room or world.room

    def send(done: Any) -> None:
        world.ledger.free.post(place, event, done, user=user, age=age, spoken=text is not None)

    return await world.told(send)


async def rule(world: World, **changes: Any) -> RoomRules:
    return await world.ledger.people.set_rules(world.room, RulesChange(**changes))


async def decide(world: World, user: str, by: str = "", **changes: Any) -> Person:
    return await world.ledger.people.decide(world.room, user, PersonChange(**changes), by)


async def changed_but_for_kept_keys(world: World, before: dict[bytes, Any]) -> set[bytes]:
    after = await world.state()
    return {
        name for name in before.keys() | after.keys() if b":keys" not in name and before.get(name) != after.get(name)
    }


@pytest.mark.parametrize(
    ("rules", "error", "allowed"),
    [
        ({"gifting": False}, errors.GiftingOff, {"gifting": True}),
        ({"min_age": 18}, errors.RoomAge, {"min_age": 0}),
        ({"regions": ["GB", "JP"]}, errors.RoomRegion, {"regions": []}),
        ({"max_gift": 2}, errors.RoomMaxGift, {"max_gift": 3}),
    ],
)
async def test_a_rule_refuses_gifts_before_the_debit(
    world: World, rules: dict[str, Any], error: type[errors.Protected], allowed: dict[str, Any]
) -> None:
    await rule(world, **rules)
    before = await world.state()
    key = world.key()
    with pytest.raises(error) as refused:
        await world.send(count=3, key=key)
    assert refused.value.cap == (2 if error is errors.RoomMaxGift else 0)
    assert await changed_but_for_kept_keys(world, before) == set()
    await rule(world, **allowed)
    with pytest.raises(error):
        await world.send(count=3, key=key)  # it is kept, as all refusals are
    assert (await world.send(count=3)).coins == 997


async def test_rules_are_changed_one_by_one_and_are_in_the_snapshot(world: World) -> None:
    assert (await world.ledger.rooms.snapshot(world.room)).rules == NO_RULES
    await rule(world, min_age=18, regions=["US", "GB", "US"])
    rules = await rule(world, max_gift=100, slow_mode=5)
    assert rules == RoomRules(gifting=True, min_age=18, regions=["GB", "US"], max_gift=100, slow_mode=5)
    assert (await world.ledger.rooms.snapshot(world.room)).rules == rules
    await world.ledger.rooms.end(world.room)
    with pytest.raises(errors.RoomEnded):
        await rule(world, gifting=False)


async def test_all_regions_there_are_have_room(world: World) -> None:
    letters = "ABCDEFGHIJKLMNOP"
    every = [a + b for a in letters for b in letters][:250]
    assert (await rule(world, regions=every)).regions == sorted(every)


async def test_who_is_blocked_neither_gives_nor_is_seen(world: World) -> None:
    other = await world.ledger.rooms.open("r2", "host", "Host", "")
    elsewhere = await world.ledger.rooms.open("r3", "zoe", "Zoe", "")
    assert await decide(world, "ann", blocked=True) == Person("ann", True, 0, False)
    before = await world.state()
    for room in (world.room, other):
        with pytest.raises(errors.Blocked):
            await world.send(room=room)
        for text in ("hello", None):
            assert isinstance(await say(world, "ann", text, room=room), errors.Blocked)
    assert await changed_but_for_kept_keys(world, before) == set()
    assert (await world.send(room=elsewhere)).seq == 1
    assert (await say(world, "bob")).seq == 1
    assert await decide(world, "ann", blocked=False) == Person("ann", False, 0, False)
    assert await world.redis.exists(f"{world.room.base}:people:host") == 0
    assert (await world.send()).seq == 2


async def test_who_is_muted_gives_without_words(world: World) -> None:
    muted = await decide(world, "ann", mute=10 * MINUTE)
    assert muted.muted_until == world.clock[0] + 10 * MINUTE
    refused = await say(world, "ann")
    assert isinstance(refused, errors.Muted)
    assert refused.until == muted.muted_until
    with pytest.raises(errors.Muted):
        await world.send(message="hello all the same")
    assert (await world.send()).coins == 999
    assert isinstance(await say(world, "ann", None), Result)
    world.clock[0] = muted.muted_until
    assert isinstance(await say(world, "ann"), Result)


async def test_slow_mode(world: World) -> None:
    await rule(world, slow_mode=5)
    await decide(world, "cat", moderator=True)
    assert (await say(world, "ann")).seq == 1
    before = await world.state()
    refused = await say(world, "ann")
    assert isinstance(refused, errors.SlowMode)
    assert refused.until == world.clock[0] + 5000
    assert 3_600_000 < await world.redis.pttl(f"{world.room.base}:room:r1/pace") <= 86_400_000
    assert await changed_but_for_kept_keys(world, before) == set()
    for user in ("bob", "host", "host", "cat", "cat"):
        assert isinstance(await say(world, user), Result), user
    assert isinstance(await say(world, "ann", None), Result)
    world.clock[0] += 4999
    assert isinstance(await say(world, "ann"), errors.SlowMode)
    world.clock[0] += 1
    assert isinstance(await say(world, "ann"), Result)
    assert await world.redis.zrange(f"{world.room.base}:room:r1/pace", 0, -1) == [b"ann"]


async def test_slow_mode_within_one_call(world: World) -> None:
    await rule(world, slow_mode=5)
    told: list[Any] = []
    for text in "abc":
        event = encode_post("comment", world.sender("ann").user, text)
        world.ledger.free.post(world.room, event, told.append, user="ann", spoken=True)
    await world.ledger.batcher.drain()
    assert [type(one) for one in told] == [Result, errors.SlowMode, errors.SlowMode]


async def test_comments_have_the_age_of_the_room(world: World) -> None:
    await rule(world, min_age=18)
    assert isinstance(await say(world, "ann", age=17), errors.RoomAge)
    assert isinstance(await say(world, "ann", age=18), Result)
    assert isinstance(await say(world, "host", age=0), Result)


async def test_a_rule_holds_from_its_reply_on(world: World) -> None:
    """Gifts in mid-flight are taken before it or refused by it; after the reply none is taken."""

    async def give() -> Result | errors.GiftingError:
        try:
            return await world.send()
        except errors.GiftingError as error:
            return error

    sending = [asyncio.create_task(give()) for _ in range(50)]
    await asyncio.sleep(0)
    await rule(world, gifting=False)
    after = await asyncio.gather(*(give() for _ in range(50)))
    assert {type(one) for one in after} == {errors.GiftingOff}
    taken = [one for one in await asyncio.gather(*sending) if isinstance(one, Result)]
    assert await world.ledger.wallets.read("ann") == (1000 - len(taken), 0)


@pytest.mark.attack
async def test_a_moderator_gains_nothing_beyond_its_grant(world: World) -> None:
    for user in ("mod", "other"):
        await decide(world, user, moderator=True)
    before = await world.state()
    for user, by, changes in (
        ("ann", "bob", {"blocked": True}),  # no moderator
        ("other", "mod", {"blocked": True}),  # another moderator
        ("mod", "mod", {"mute": 0}),  # itself
        ("bob", "mod", {"moderator": True}),  # names another
    ):
        with pytest.raises(errors.Forbidden):
            await decide(world, user, by, **changes)
    for by in ("mod", ""):
        with pytest.raises(errors.OwnRoom):
            await decide(world, "host", by, blocked=True)
    of_money: list[dict[str, Any]] = [{"gifting": False}, {"max_gift": 1}, {"min_age": 1}, {"regions": []}]
    for change in [*of_money, {"slow_mode": 1, "max_gift": 0}]:
        with pytest.raises(errors.Forbidden):
            await world.ledger.people.set_rules(world.room, RulesChange(**change), "mod")
    with pytest.raises(errors.Forbidden):
        await world.ledger.people.set_rules(world.room, RulesChange(slow_mode=1), "bob")
    assert await world.state() == before
    assert (await world.ledger.people.set_rules(world.room, RulesChange(slow_mode=3), "mod")).slow_mode == 3
    assert (await decide(world, "ann", "mod", mute=MINUTE)).muted_until
    await decide(world, "mod", moderator=False)
    with pytest.raises(errors.Forbidden):
        await decide(world, "ann", "mod", mute=0)


@pytest.mark.attack
async def test_moderators_of_another_host_are_nobody_here(world: World) -> None:
    neighbour = next(name for name in map("zoe{}".format, range(999)) if world.base(name) == world.base("host"))
    theirs = await world.ledger.rooms.open("r9", neighbour, "Zoe", "")
    await world.ledger.people.decide(theirs, "mod", PersonChange(moderator=True))
    with pytest.raises(errors.Forbidden):
        await decide(world, "ann", "mod", blocked=True)
    disguised = world.room._replace(host=neighbour)
    with pytest.raises(errors.RoomNotFound):
        await world.ledger.people.set_rules(disguised, RulesChange(slow_mode=1), "mod")


async def test_who_is_blocked_is_no_moderator_any_more(world: World) -> None:
    await decide(world, "mod", moderator=True)
    assert await decide(world, "mod", blocked=True) == Person("mod", True, 0, False)
    assert await decide(world, "mod", blocked=False) == Person("mod", False, 0, False)


async def test_lists_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "PEOPLE_MAX", 4)
    monkeypatch.setattr(people, "MODERATORS_MAX", 1)
    await decide(world, "mod", moderator=True)
    with pytest.raises(errors.ListFull):
        await decide(world, "second", moderator=True)
    await decide(world, "mod", moderator=True)  # once more is no other
    await decide(world, "a", blocked=True)
    await decide(world, "b", mute=MINUTE)
    with pytest.raises(errors.ListFull):
        await decide(world, "c", blocked=True)
    world.clock[0] += MINUTE
    await decide(world, "c", blocked=True)  # in the place of who is muted no longer
    with pytest.raises(errors.ListFull):
        await decide(world, "d", mute=MINUTE)
    await decide(world, "a", mute=MINUTE)  # who is on it stays on it
    found, cursor = await world.ledger.people.page(world.room, 0, 100)
    assert cursor == 0
    assert sorted(found, key=lambda person: person.user) == [
        Person("a", True, world.clock[0] + MINUTE, False),
        Person("c", True, 0, False),
        Person("mod", False, 0, True),
    ]
    await decide(world, "mod", moderator=False)
    await decide(world, "second", moderator=True)
