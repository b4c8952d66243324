"""A world in which everything was done that a ledger can do, so that every kind of key was there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from msgspec.structs import replace

from gifting.ledger import keys, scripts
from gifting.ledger.meta import ARCHIVE
from gifting.ledger.payouts import Hold
from gifting.model import limits
from gifting.model.cases import Case, Decision
from gifting.model.events import encode_event
from gifting.model.house import PersonChange, RulesChange
from gifting.model.money import parse_key
from gifting.model.payout_table import PAYOUT
from gifting.model.protection import Protection
from gifting.model.reports import Report
from gifting.model.reversals import Given
from gifting.model.values import RoomRef
from tests.support import two_calls
from tests.support.archived import archive_and_trim
from tests.support.orders import anyone, draft, paid
from tests.support.two_calls import gift_item
from tests.support.world import STREAK, WINDOW, World

Look = Callable[[], Awaitable[None]]


def shape(key: str) -> str:
    """A key as the table in keys.py writes it."""
    key = re.sub(r"^gifting:{p\d\d[^}]*}", "{pNN}", key)
    key = re.sub(r":room:[^/]+", ":room:R", key)
    key = re.sub(r":held:.*", ":held:H", key)
    key = re.sub(r":people:.*", ":people:H", key)
    key = re.sub(r":park/\d+", ":park/S", key)
    key = re.sub(r":overlays:.*", ":overlays:H", key)
    key = re.sub(r":(orders|wards|reversals|cases):.*", r":\1:U", key)
    key = re.sub(r":clawbacks:.*", ":clawbacks:H", key)
    key = re.sub(r":payouts:.*", ":payouts:H", key)
    key = re.sub(r":promotion:.*", ":promotion:I", key)
    key = re.sub(r":revoked:.*", ":revoked:K", key)
    return re.sub(r":(keys|grants):\d+$", r":\1:B", key)


def table() -> set[str]:
    shapes = re.findall(r"``({p\w+}:[^`]+)``  ", keys.__doc__ or "")
    return {one.replace("{p00}", "{pNN}") for one in shapes}


async def live_through_everything(world: World, look: Look, *, halves: bool = True) -> None:
    """What ledgers do, each script at least once; of those of a cluster where ``halves``. ``look`` is called whenever
    there is something that goes again.
    """
    ledger = world.ledger
    rooms = [await ledger.rooms.open(f"r{number}", f"host{number}", "", "") for number in range(2, 6)]
    for user in ("ann", "bob", "cat"):
        await world.grant(user, 100)
    await world.protect("ann", limits={"day": 100})
    order = await ledger.orders.open(draft("ann", world.key(), promotion="spring", promotion_cost=20), anyone, 100)
    await look()
    await ledger.orders.apply(paid(order))
    gifts: list[dict[str, Any]] = [
        {"user": user, "room": room, "key": world.key(age)}
        for user in ("ann", "bob", "cat")
        for room in rooms
        for age in (0, WINDOW)
    ]
    await world.together(*gifts)
    await world.told(lambda done: ledger.free.like(rooms[0], 1, done))
    await world.told(lambda done: ledger.free.post(rooms[0], encode_event("share", {}), done))
    await ledger.rooms.presence(rooms[0], "node", 3)
    await speak(world, rooms[0], look)
    await reverse_a_gift(world, rooms[1], look)
    await ledger.rooms.live("start", "", 10)
    for room in rooms:
        await ledger.rooms.snapshot(room)
        await ledger.rooms.top(room, 3)
        assert await ledger.rooms.replay(room, 0, 1000)
    await ledger.rooms.presence(rooms[0], "node", 0)
    world.clock[0] += STREAK + 1
    assert (await ledger.sweeper.sweep())[0] == 12
    for room in rooms:
        await world.send(room=room)
        await ledger.rooms.end(room)
    await look()
    world.clock[0] += 3 * WINDOW
    await world.forget()
    await ledger.overlays.note(rooms[0], "r2~token", 60)
    await ledger.revocations.revoke_user("ann")
    await ledger.bans.ban("dan", "a test", "op")
    name = await ledger.reports.add(Report(by="ann", kind="spam", room="r2", user="", seq=0, said="", text=""))
    await look()
    await ledger.reports.close(name)
    await ledger.bans.unban("dan", "a test", "op")
    assert await ledger.sandbox.write("cs_1", b"", b"known", world.clock[0], world.clock[0])
    await ledger.deliveries.note("google:GPA.1", world.clock[0], ["coins.20", "token"])
    if halves:
        await in_two_calls(world, look)
    await pay_and_archive(world, rooms[0])
    for guardian in ("mum", "dad"):
        await ledger.wards.link("ann", partial(invite, guardian), what="guardian_asked", value=guardian, by="ann")
        await look()
    await archive_and_trim(world.redis, ledger.keys)
    await look()


async def speak(world: World, room: RoomRef, look: Look) -> None:
    """What its host wants in a room, and what of that is held and removed."""
    ledger = world.ledger
    await ledger.people.set_rules(room, RulesChange(slow_mode=9))
    await ledger.people.decide(room, "dan", PersonChange(blocked=True))
    event = encode_event("comment", {"user": {"id": "ann"}, "text": "hello"})
    await world.told(lambda done: ledger.free.post(room, event, done, user="ann", spoken=True))
    await ledger.held.hold(room, world.sender("bob"), "see example.com", "link", 30)
    (held,) = await ledger.held.of_room(room)
    await look()
    await ledger.held.decide(room, held.id, post=True)
    await ledger.comments.remove(room, next(e["seq"] for e in await world.log(room) if e["type"] == "comment"))
    await look()


async def reverse_a_gift(world: World, room: RoomRef, look: Look) -> None:
    key, reversals = world.key(), world.ledger.reversals
    sent = await world.send(room=room, key=key)
    gift = Given(parse_key(key), "ann", room.id, room.host, sent.seq, "spark", 1, 1, 333, world.clock[0])
    await ask_support(world, look)
    half = await reversals.give_back(gift, "op", "a test", "", world.clock[0])
    await look()
    await reversals.take_from_host(half, world.clock[0])
    await look()


async def ask_support(world: World, look: Look) -> None:
    case = await world.ledger.cases.open(Case(id=world.key(), user="ann", kind="other", at=1, gift=world.key()))
    await look()
    await world.ledger.cases.decide(case.id, Decision("reversed", "a test", "op", 1))
    await look()
    await world.ledger.cases.finish(case.id, 1)


async def in_two_calls(world: World, look: Look) -> None:
    """What comes early, and what is lost by its source, too."""
    halves, base = two_calls.Halves(lambda _: world.redis, world.ledger.keys.bases, world.clock), world.base("ann")
    room = await world.ledger.rooms.open("r9", "host9", "", "")
    await halves.bear()
    first = (await halves.debit(base, gift_item(world, "ann", room))).blobs[0]
    line = await world.redis.dump(f"{base}:line")
    second = (await halves.debit(base, gift_item(world, "ann", room))).blobs[0]
    await halves.credit(*second)
    await look()
    await halves.credit(*first)
    await world.redis.restore(f"{base}:line", 0, line, replace=True)
    await world.redis.hset(f"{base}:line", "lineage", "another")
    again = await halves.debit(base, gift_item(world, "ann", room))
    await halves.credit(*again.blobs[0])
    await look()


async def erase_and_rank(world: World, room: RoomRef) -> None:
    ledger, key = world.ledger, world.ledger.keys.room(room.host, room.id)
    ranked = partial(replace, tier="partner")
    await ledger.creators.change(room.host, ranked, what="tier", value="partner", by="op", commission=100)
    await world.redis.hset(ledger.keys.meta, ARCHIVE, "an archive's")
    await ledger.erasures.ask("ann", "ann", "")
    await ledger.acts.note("op", "operator", "ranked", {}, "a test")
    await scripts.call(world.redis, "profile_erase", [key, f"{key}/users"], "ann", b"ann")
    await scripts.call(world.redis, "room_archived", [key, f"{key}/log", f"{key}/removed"], "1")


async def pay_and_archive(world: World, room: RoomRef) -> None:
    await erase_and_rank(world, room)
    await world.ledger.payouts.request(replace(PAYOUT, host="host2", diamonds=1), Hold(0), lambda _: None)
    await world.ledger.sandbox.pay("a payout", world.clock[0])
    mark = f"{world.ledger.keys.bases[0]}:archived"
    await scripts.call(world.redis, "archived", [mark, f"{mark}/items"], "1-1", 1)


def invite(guardian: str, record: Protection, _: int) -> Protection:
    return limits.invite(record, guardian)
