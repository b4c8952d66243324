"""All of the ledger that is not the way of a gift, on 3 masters: each part is written, read and listed."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.embedded.cluster import EmbeddedCluster
from gifting.ledger.halt import open_books
from gifting.ledger.meta import ARCHIVE
from gifting.model import limits
from gifting.model.cases import Case, Decision
from gifting.model.events import encode_event
from gifting.model.house import PersonChange, RulesChange
from gifting.model.protection import Protection
from gifting.model.reports import Report
from tests.support.orders import anyone, draft, paid
from tests.support.world import STREAK, World, a_world

USERS = [f"user{number}" for number in range(20)]


def invite(guardian: str, record: Protection, _: int) -> Protection:
    return limits.invite(record, guardian)


async def test_the_ledger_s_parts_on_three_masters(empty_cluster: EmbeddedCluster) -> None:
    async with a_world(empty_cluster.url, partitions=16, like_interval=0) as world:
        masters = {world.redis.router.map.master_of(slot_of(base)) for base in world.ledger.keys.bases}
        assert len(masters) == 3
        await money(world)
        await rooms(world)
        await protection(world)
        await what_there_is_once(world)
        await upkeep(world)


async def money(world: World) -> None:
    ledger = world.ledger
    for user in USERS:
        key = world.key()
        assert await world.grant(user, 100, key) == (100, False)
        assert await world.grant(user, 100, key) == (100, True)
        assert (await ledger.wallets.read(user)).coins == 100
        order = await ledger.orders.open(draft(user, world.key(), promotion="spring", promotion_cost=1), anyone, 100)
        await ledger.orders.apply(paid(order))
        assert (await ledger.wallets.read(user)).coins == 220, "100, and the order's with its bonus"
    for user in USERS:
        ranked = partial(replace, tier="partner")
        await ledger.creators.change(user, ranked, what="tier", value="partner", by="op", commission=100)


async def rooms(world: World) -> None:
    ledger = world.ledger
    opened = [await ledger.rooms.open(f"room-{user}", user, "", "") for user in USERS]
    for room in opened:
        assert await ledger.rooms.find(room.id) == room
        await ledger.rooms.presence(room, "node", 3)
        await ledger.people.set_rules(room, RulesChange(slow_mode=1))
        await ledger.people.decide(room, "dan", PersonChange(mute=1000))
        await ledger.overlays.note(room, f"{room.id}~token", 60)
        await world.told(partial(ledger.free.like, room, 1))
    event = encode_event("comment", {"user": {"id": "ann"}, "text": "hello"})
    await world.told(lambda done: ledger.free.post(opened[0], event, done, user="ann", spoken=True))
    await ledger.held.hold(opened[0], world.sender("bob"), "see example.com", "link", 30)
    (held,) = await ledger.held.of_room(opened[0])
    await ledger.held.decide(opened[0], held.id, post=True)
    listed, place = list[str](), ""
    while True:
        page, place = await ledger.rooms.live("start", place, 7)
        listed += page
        if not place:
            break
    assert {room.id for room in opened} <= set(listed)
    world.clock[0] += STREAK + 1
    await ledger.sweeper.sweep()
    for room in opened:
        await ledger.rooms.end(room)


async def protection(world: World) -> None:
    ledger = world.ledger
    for user in USERS[:6]:
        await world.protect(user, limits={"day": 100})
        await ledger.wards.link(user, partial(invite, "mum"), what="guardian_asked", value="mum", by=user)
        await ledger.revocations.revoke_user(user)
        await ledger.bans.ban(user, "a test", "op")
        await ledger.bans.unban(user, "a test", "op")
        case = await ledger.cases.open(Case(id=world.key(), user=user, kind="other", at=1, gift=world.key()))
        await ledger.cases.decide(case.id, Decision("refused", "a test", "op", 1))
        assert await ledger.cases.of_user(user)
        report = Report(by=user, kind="spam", room=f"room-{user}", user="", seq=0, said="", text="")
        await ledger.reports.close(await ledger.reports.add(report))
    await ledger.revocations.sync()
    await ledger.bans.sync()


async def what_there_is_once(world: World) -> None:
    ledger = world.ledger
    assert await ledger.sandbox.write("cs_1", b"", b"known", world.clock[0], world.clock[0])
    await ledger.sandbox.pay("a payout", world.clock[0])
    await ledger.deliveries.note("google:GPA.1", world.clock[0], ["coins.20", "token"])
    await world.redis.hset(ledger.keys.meta, ARCHIVE, "an archive's")
    await ledger.erasures.ask(USERS[0], USERS[0], "")
    await ledger.acts.note("op", "operator", "ranked", {}, "a test")
    await world.redis.hdel(ledger.keys.meta, ARCHIVE)
    assert await ledger.meta.difference() == ""
    assert await open_books(world.redis, ledger.keys.meta) == ""


async def upkeep(world: World) -> None:
    await world.ledger.maintain()
    await world.forget()
