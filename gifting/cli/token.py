"""``gifting token``: a JWT for a user."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gifting import config
from gifting.cli.target import Beside, beside
from gifting.errors import BadSetting
from gifting.model.standing import AGE_MAX, PERSONAL


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
    age: Annotated[int, typer.Option(help="Verified age; 0 where there is none.", min=0, max=AGE_MAX)] = 30,
    region: Annotated[str, typer.Option(help="Where the user is: two letters (ISO 3166-1), or nothing.")] = "US",
    account: Annotated[str, typer.Option(help="The kind of account that the user has.")] = PERSONAL,
    mfa: Annotated[bool, typer.Option("--mfa", help="The user has just shown a second factor.")] = False,
    data_dir: Annotated[str | None, typer.Option(help="Data directory of the server that it is for.")] = None,
) -> None:
    """Print a token (a JWT) for a user, signed as the server that runs here does."""
    if role is RoleName.overlay and not room:
        raise BadSetting("An overlay token needs --room.")
    flags = {"data_dir": data_dir}
    settings = config.load(flags)
    place = Beside(settings, None) if settings.secret else beside(flags)
    shown = {"name": name, "picture": picture, "level": level}
    vouched = {"age": age, "region": region, "account": account}
    print(place.token(user, role.value, ttl=ttl, room=room, mfa=mfa, **shown, **vouched))
