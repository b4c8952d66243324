"""``gifting token``: a JWT for a user."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from gifting import config
from gifting.errors import BadSetting
from gifting.model.ids import valid_id


class RoleName(StrEnum):
    viewer = "viewer"
    overlay = "overlay"
    creator = "creator"
    operator = "operator"


def token(
    role: RoleName,
    user: Annotated[str, typer.Option(help="User id.")],
    room: Annotated[str, typer.Option(help="The one room the token is for; an overlay needs it.")] = "",
    ttl: Annotated[float, typer.Option(help="Seconds it is valid.", min=1)] = 86400.0,
    name: Annotated[str, typer.Option(help="Shown name.")] = "",
    picture: Annotated[str, typer.Option(help="URL of a picture.")] = "",
    level: Annotated[int, typer.Option(help="Shown level.", min=0)] = 0,
    data_dir: Annotated[str | None, typer.Option(help="Where the signing secret is kept.")] = None,
) -> None:
    """Print a token (a JWT) for a user."""
    from gifting.keys.secretfile import find_secrets
    from gifting.wire.keyring import Keyring
    from gifting.wire.tokens import Rules, issue, verify

    if not valid_id(user) or (room and not valid_id(room)):
        raise BadSetting("User and room ids are 1 to 64 letters, digits and _ . : @ -")
    if role is RoleName.overlay and not room:
        raise BadSetting("An overlay token needs --room.")
    settings = config.load({"data_dir": data_dir})
    secret, rules, now = find_secrets(settings)[0], Rules.of(settings), time.time()
    made = issue(
        secret, user, role.value, now=now, ttl=ttl, room=room, name=name, picture=picture, level=level, rules=rules
    )
    verify(Keyring([secret]), made, now=now, rules=rules)  # a name or a life that no server takes is refused here
    print(made)
