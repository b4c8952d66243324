"""Moderation: what a host, and who helps it, decides about a room and the people in it."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from gifting.api.access import HOST, MODERATORS, moderator
from gifting.api.call import Call
from gifting.api.endpoint import Done, Endpoint
from gifting.model.house import MUTE_MAX, HeldComment, Person, PersonChange, RoomRules, RulesChange

PAGE_MAX: Final = 1000


class PersonBody(Struct):
    """What is not named stays. ``mute`` is in minutes from now on; 0 ends it."""

    blocked: bool | None = None
    mute: Annotated[int, Meta(ge=0, le=MUTE_MAX)] | None = None


class PeopleReply(Struct):
    """People about whom something is decided, in no order. ``cursor`` is for the next page; 0 where there is none."""

    people: list[Person]
    cursor: int


class HeldReply(Struct):
    held: list[HeldComment]


class DecideBody(Struct):
    """``post``: it is posted as its author's; else it is dropped."""

    post: bool


class DecidedReply(Struct):
    """``seq`` of the comment in the room; 0 if it was dropped."""

    seq: int


async def change_rules(call: Call) -> RoomRules:
    ledger = call.services.ledger
    room = await ledger.rooms.find(call.path["room"])
    return await ledger.people.set_rules(room, call.body, await moderator(call))


async def change_person(call: Call) -> Person:
    body: PersonBody = call.body
    mute = None if body.mute is None else body.mute * 60_000
    return await _decide(call, call.path["person"], PersonChange(body.blocked, mute))


async def name_moderator(call: Call) -> Person:
    return await _decide(call, call.path["user"], PersonChange(moderator=True))


async def dismiss_moderator(call: Call) -> Person:
    return await _decide(call, call.path["user"], PersonChange(moderator=False))


async def _decide(call: Call, person: str, change: PersonChange) -> Person:
    ledger = call.services.ledger
    room = await ledger.rooms.find(call.path["room"])
    return await ledger.people.decide(room, person, change, await moderator(call))


async def list_people(call: Call) -> PeopleReply:
    ledger = call.services.ledger
    room = await ledger.rooms.find(call.path["room"])
    return PeopleReply(*await ledger.people.page(room, call.query["cursor"], max(call.query["limit"], 1)))


async def list_held(call: Call) -> HeldReply:
    ledger = call.services.ledger
    return HeldReply(await ledger.held.of_room(await ledger.rooms.find(call.path["room"])))


async def decide_held(call: Call) -> DecidedReply:
    ledger = call.services.ledger
    room = await ledger.rooms.find(call.path["room"])
    post = call.body.post
    return DecidedReply(await ledger.held.decide(room, call.path["held"], await moderator(call), post=post))


async def remove_comment(call: Call) -> Done:
    ledger = call.services.ledger
    room = await ledger.rooms.find(call.path["room"])
    await ledger.comments.remove(room, int(call.path["seq"]), await moderator(call))
    return Done(True)


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/rooms/{room}/held",
        "Comments that wait for the host, the oldest first",
        MODERATORS,
        list_held,
        HeldReply,
        cost=4,
    ),
    Endpoint(
        "POST",
        "/v1/rooms/{room}/held/{held}",
        "Post a comment that waits, or drop it",
        MODERATORS,
        decide_held,
        DecidedReply,
        DecideBody,
        act="decided about a comment",
        cost=2,
    ),
    Endpoint(
        "DELETE",
        "/v1/rooms/{room}/comments/{seq}",
        "Show a comment no longer, or what was said with a gift",
        MODERATORS,
        remove_comment,
        Done,
        act="removed a comment",
        cost=5,
    ),
    Endpoint(
        "PATCH",
        "/v1/rooms/{room}",
        "Change the room's rules; moderators the slow mode only",
        MODERATORS,
        change_rules,
        RoomRules,
        RulesChange,
        act="changed the rules",
    ),
    Endpoint(
        "GET",
        "/v1/rooms/{room}/people",
        "Who is blocked, muted or a moderator in the host's rooms",
        MODERATORS,
        list_people,
        PeopleReply,
        query=(("cursor", 0, 2**53 - 1), ("limit", 100, PAGE_MAX)),
        cost=2,
        page=100,
    ),
    Endpoint(
        "PATCH",
        "/v1/rooms/{room}/people/{person}",
        "Block or mute a user, or who gives anonymously, in all rooms of the host, or end that",
        MODERATORS,
        change_person,
        Person,
        PersonBody,
        act="decided about a user",
        cost=2,
    ),
    Endpoint(
        "PUT",
        "/v1/rooms/{room}/moderators/{user}",
        "Make somebody a moderator of all rooms of the host",
        HOST,
        name_moderator,
        Person,
        act="named a moderator",
        cost=2,
    ),
    Endpoint(
        "DELETE",
        "/v1/rooms/{room}/moderators/{user}",
        "Let a moderator be one no longer",
        HOST,
        dismiss_moderator,
        Person,
        act="dismissed a moderator",
        cost=2,
    ),
)
