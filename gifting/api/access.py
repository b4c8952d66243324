"""Who may use an endpoint: a rule in each row of the table, checked in one place. What no rule allows is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gifting.api.call import Call
from gifting.errors import Forbidden
from gifting.wire.tokens import ROLES, Role


@dataclass(frozen=True, slots=True)
class Access:
    """A rule.

    A token that is bound to a room may use only what is about that room, and beyond it what is about no room and
    belongs to its own user.

    Args:
        who: the rule in words, for those who are refused.
        roles: those that may, whosever it is.
        owners: those that may if it is theirs, as ``owner`` tells. An overlay is never one: its user is the host.
        room: which room it is about; None: about none, or about all.
        moderators: the owner's moderators may too, as the ledger checks once more where they change something.
    """

    who: str
    roles: frozenset[Role] = frozenset()
    owners: frozenset[Role] = frozenset()
    owner: Callable[[Call], Awaitable[str]] | None = None
    room: Callable[[Call], str] | None = None
    moderators: bool = False


async def authorize(access: Access, call: Call) -> None:
    """Raises Forbidden, and RoomNotFound where only the room tells whose it is."""
    role, bound = call.identity.role, call.identity.room
    if bound and access.room is not None and access.room(call) != bound:
        raise Forbidden(f"This token is for room {bound} only.")
    if role in access.owners and access.owner is not None and await access.owner(call) == call.identity.user:
        return
    if access.moderators and role in _PEOPLE and await _moderates(call):
        return
    if role not in access.roles:
        raise Forbidden(f"This is for {access.who}.")
    if bound and access.room is None:
        raise Forbidden(f"This token is for room {bound} only, and this is about more than that.")


def _room_of_path(call: Call) -> str:
    return call.path["room"]


def _room_of_body(call: Call) -> str:
    return str(call.body.room)


async def _user_of_path(call: Call) -> str:
    return call.path["user"]


async def _creator_of_path(call: Call) -> str:
    return call.path["creator"]


async def _host_of_body(call: Call) -> str:
    return str(call.body.host)


async def _host_of_room(call: Call) -> str:
    return (await call.services.ledger.rooms.find(call.path["room"])).host


async def _ward_or_guardian(call: Call) -> str:
    """Of the user and the guardian, who asks."""
    user, asking = call.path["user"], call.identity.user
    return user if asking == user else await _guardian(call)


async def _guardian(call: Call) -> str:
    return (await call.services.ledger.protections.read(call.path["user"])).guardian


async def _asked_guardian(call: Call) -> str:
    record = await call.services.ledger.protections.read(call.path["user"])
    return record.guardian or record.invited


async def _unlinker(call: Call) -> str:
    """The guardian; while nobody has accepted, the user, or who is asked."""
    user, asking = call.path["user"], call.identity.user
    record = await call.services.ledger.protections.read(user)
    return record.guardian or (asking if asking in (user, record.invited) else user)


async def _moderates(call: Call) -> bool:
    ledger = call.services.ledger
    return (await ledger.people.find(await ledger.rooms.find(call.path["room"]), call.identity.user)).moderator


async def moderator(call: Call) -> str:
    """Who does it as a moderator, as the ledger wants to know; '' for the room's host and operators."""
    identity = call.identity
    always = identity.role == "operator" or (identity.role == "creator" and await _host_of_room(call) == identity.user)
    return "" if always else identity.user


_OPERATOR = frozenset[Role]({"operator"})
_CREATOR = frozenset[Role]({"creator"})
_PEOPLE = frozenset[Role]({"viewer", "creator"})

PUBLIC: Access | None = None
"""No token is needed, nor looked at."""

OPERATORS = Access("operators", _OPERATOR)
OPENER = Access("operators and the creator who is the host", _OPERATOR, _CREATOR, _host_of_body, _room_of_body)
HOST = Access("operators and the room's host", _OPERATOR, _CREATOR, _host_of_room, _room_of_path)
MODERATORS = Access(
    "operators, the room's host and the host's moderators",
    _OPERATOR,
    _CREATOR,
    _host_of_room,
    _room_of_path,
    moderators=True,
)
USER = Access("operators and the user", _OPERATOR, _PEOPLE, _user_of_path)
WARD = Access("operators, the user and the user's guardian", _OPERATOR, _PEOPLE, _ward_or_guardian)
GUARDIAN = Access("operators and the user's guardian", _OPERATOR, _PEOPLE, _guardian)
ASKED_GUARDIAN = Access("who is asked to be the user's guardian", owners=_PEOPLE, owner=_asked_guardian)
UNLINKER = Access(
    "operators and the guardian; while none has accepted, the user and who is asked", _OPERATOR, _PEOPLE, _unlinker
)
CREATOR = Access("operators and the creator", _OPERATOR, _PEOPLE, _creator_of_path)
ONLY_CREATOR = Access("the creator", owners=_PEOPLE, owner=_creator_of_path)
REPORTERS = Access("viewers, creators and operators", _PEOPLE | _OPERATOR, room=_room_of_body)
SENDERS = Access("viewers, creators and operators", _PEOPLE | _OPERATOR, room=_room_of_path)
WATCHERS = Access("everybody with a token", frozenset(ROLES), room=_room_of_path)
BUYERS = Access("viewers and creators", _PEOPLE)
BUYER = Access("operators and the buyer", _PEOPLE | _OPERATOR)
MEMBERS = Access("everybody with a token", frozenset(ROLES))
