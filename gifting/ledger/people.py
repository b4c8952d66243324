"""What hosts want in their rooms: the rules of a room, and what is decided about people in all rooms of a host."""

from __future__ import annotations

from typing import Any, Final

from gifting import errors
from gifting.ledger.calls import Calls, check, translated
from gifting.ledger.keys import people_key, room_keys
from gifting.model.house import (
    MODERATORS_MAX,
    PEOPLE_MAX,
    Person,
    PersonChange,
    RoomRules,
    RulesChange,
    read_person,
    read_rules,
    rules_values,
)
from gifting.model.packing import pack, unpack
from gifting.model.pseudonym import MARK
from gifting.model.values import RoomRef

NOBODY: Final = (0, 0, 0)
"""What is decided about most."""


class People:
    """Rules and people of hosts. What is changed holds in every call of the ledger after the reply.

    ``by`` is a moderator's id, which the ledger looks up in the call that changes something; '' is the host or an
    operator. Everything raises Unavailable; what writes raises Unconfirmed where nobody knows.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._keys = calls.keys

    async def set_rules(self, room: RoomRef, change: RulesChange, by: str = "") -> RoomRules:
        """Change a room's rules; returns all of them. Raises Forbidden, RoomNotFound, RoomEnded."""
        if by and not change.of_comments:
            raise errors.Forbidden("Moderators may change the slow mode only.")
        keys = [self._keys.room(room.host, room.id), people_key(room.base, room.host)]
        options = pack((room.host, by, rules_values(change)))
        return read_rules(*allowed(await self._calls.run("room_rules", keys, options, unsure=errors.Unconfirmed)))

    async def decide(self, room: RoomRef, person: str, change: PersonChange, by: str = "") -> Person:
        """Decide about a user in all rooms of a room's host. Who is blocked is no moderator any more.

        By a pseudonym it is about what its user gives anonymously in these rooms, by whatever pseudonyms. What is
        decided about the user by name is another decision, so that nobody learns of the one by the other.

        Raises:
            NotFound: nobody has given under this pseudonym in the room.
            OwnRoom: about a host nothing is decided.
            Forbidden: moderators name none, and decide about none.
            ListFull: as much has been decided as is kept, :data:`PEOPLE_MAX` and :data:`MODERATORS_MAX`.
        """
        if person == room.host:
            raise errors.OwnRoom
        if by and change.moderator is not None:
            raise errors.Forbidden("Moderators are named by the host.")
        field, shown = (await self._masked(room, person), person) if person[:1] == MARK else (person, None)
        options = (field, *change.values, by, PEOPLE_MAX, MODERATORS_MAX, shown)
        keys = [people_key(room.base, room.host)]
        return read_person(
            person, *allowed(await self._calls.timed("person_put", keys, options, unsure=errors.Unconfirmed))
        )

    async def behind(self, room: RoomRef, shown: str) -> str:
        """The user behind a pseudonym of that room, '' if nobody gave under it: for the server and operators alone."""
        users = room_keys(room.base, room.id)[-1]
        with translated():
            found = await self._calls.redis.hget(users, f"={shown}")
        return found.decode() if found else ""

    async def _masked(self, room: RoomRef, shown: str) -> str:
        """Where is kept what is decided by that pseudonym, of this room or of one in which that was done before."""
        if user := await self.behind(room, shown):
            return MARK + user
        key = people_key(room.base, room.host)
        with translated():
            async for field, record in self._calls.redis.hscan_iter(key, match=f"{MARK}*", count=1000):
                if unpack(record)[-1] == shown:
                    return str(field.decode())
        raise errors.NotFound("Nobody has given under this pseudonym in this room.")

    async def find(self, room: RoomRef, user: str) -> Person:
        """What the host of a room has decided about a user."""
        with translated():
            record = await self._calls.redis.hget(people_key(room.base, room.host), user)
        return read_person(user, *(unpack(record) if record else NOBODY))

    async def page(self, room: RoomRef, cursor: int, limit: int) -> tuple[list[Person], int]:
        """People about whom something is decided, about ``limit`` at a time; and the next cursor, 0 after the last.

        In no order; what changes meanwhile may be missing, or come twice.
        """
        with translated():
            cursor, found = await self._calls.redis.hscan(people_key(room.base, room.host), cursor, count=limit)
        return [read_person(user.decode(), *unpack(record)) for user, record in found.items() if user[:1] != b"#"], int(
            cursor
        )


def allowed(reply: bytes) -> Any:
    """What a script says of what was changed. Raises what it refused for, and Forbidden."""
    found = unpack(reply)
    if found is None:
        raise errors.Forbidden("This is for the host's moderators, and not about them.")
    status, *values = found
    check(status)
    return values
