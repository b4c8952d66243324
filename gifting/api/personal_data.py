"""Personal data: what can be erased of a user, for ever, and what stays because the books need it."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from gifting.api.access import USER
from gifting.api.call import Call
from gifting.api.endpoint import Endpoint
from gifting.errors import BadMessage
from gifting.model.text import PLAIN

REASON_MAX: Final = 200

ERASED: Final = (
    "names, comments and messages in the archive, given openly or anonymously",
    "the name and picture in rankings of rooms, and the name and titles of the user's own rooms",
    "what was written in support cases, and the reasons of their outcomes",
)

KEPT: Final = (
    "the id, and what was bought, given, earned and paid out: the books, which the law wants kept",
    "what operators did to the user, and why",
    "limits and the record of protection, as long as the account is",
    "logs of rooms that are live, or ended within room_retention: they go with the room",
    "comments that are held, for a day; reports, until an operator closes them",
)


class ErasureReply(Struct):
    """``at``: up to when (ms) what the user said is erased, within seconds once the archive is up to date; what it says
    later is new. ``erased`` and ``kept`` say in words what goes and what stays.
    """

    user: str
    at: int
    erased: list[str]
    kept: list[str]


async def erase(call: Call) -> ErasureReply:
    user, identity, reason = call.path["user"], call.identity, call.words["reason"]
    if len(reason) > REASON_MAX or not re.fullmatch(PLAIN, reason):
        raise BadMessage(f"A reason is plain text of {REASON_MAX} characters at most.")
    if identity.user != user and not reason:
        raise BadMessage("Say why, as reason: this can't be undone.")
    at = await call.services.ledger.erasures.ask(user, identity.user, reason)
    await call.services.ledger.cases.erase_texts(user)
    return ErasureReply(user, at, [*ERASED], [*KEPT])


ENDPOINTS: Final = (
    Endpoint(
        "DELETE",
        "/v1/users/{user}/personal-data",
        "Erase names and words of a user, for ever; operators say why",
        USER,
        erase,
        ErasureReply,
        words=(("reason", ()),),
        status=202,
        cost=20,
        act="erased personal data",
    ),
)
