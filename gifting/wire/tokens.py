"""Tokens: JWTs (RFC 7519) signed with HS256 that say who is there and in which role."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Any, Literal, get_args

import jwt
import msgspec

from gifting.errors import BadToken, TokenExpired
from gifting.model.ids import valid_id

Role = Literal["viewer", "overlay", "creator", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)
ALGORITHM = "HS256"
KNOWN_MAX = 20_000
"""Good tokens remembered, about 100 bytes each besides what their connections hold anyway."""

NAME_MAX = 64
PICTURE_MAX = 300


class Identity(msgspec.Struct, frozen=True):
    """Who a token speaks for. ``expires`` is in seconds since 1970; an overlay is bound to its ``room``."""

    user: str
    role: Role
    token_id: str
    expires: float
    room: str = ""
    name: str = ""
    picture: str = ""
    level: int = 0

    def public(self) -> dict[str, Any]:
        """The user as everybody in the room sees it."""
        return {"id": self.user, "name": self.name or self.user, "picture": self.picture, "level": self.level}


class _Claims(msgspec.Struct):
    sub: str
    role: Role
    jti: str
    exp: int
    room: str = ""
    name: str = ""
    picture: str = ""
    level: int = 0


def issue(
    secret: str,
    user: str,
    role: Role,
    *,
    now: float,
    ttl: float,
    room: str = "",
    name: str = "",
    picture: str = "",
    level: int = 0,
) -> str:
    """A signed token, valid ``ttl`` seconds from ``now``. The id of one for a room begins with the room."""
    unique = secrets.token_urlsafe(12)
    claims = {
        "sub": user,
        "role": role,
        "jti": f"{room}~{unique}" if room else unique,
        "iat": int(now),
        "exp": int(now + ttl),
        "room": room,
        "name": name[:NAME_MAX],
        "picture": picture,
        "level": level,
    }
    return jwt.encode({key: value for key, value in claims.items() if value != ""}, secret, algorithm=ALGORITHM)


def verify(secret: str, token: str, *, now: float) -> Identity:
    """Who ``token`` speaks for.

    Raises:
        BadToken: not a token of this server, or a claim of the wrong form.
        TokenExpired: it was one.
    """
    try:
        raw = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["sub", "exp", "jti"]},
        )
        claims = msgspec.convert(raw, _Claims)
    except (jwt.InvalidTokenError, msgspec.ValidationError, UnicodeError) as error:
        raise BadToken(f"{error}.") from None
    if not valid_id(claims.sub) or (claims.room and not valid_id(claims.room)):
        raise BadToken("The user or room id has characters that ids don't have.")
    if claims.role == "overlay" and not claims.room:
        raise BadToken("An overlay token names its room.")
    if len(claims.picture) > PICTURE_MAX or len(claims.name) > NAME_MAX:
        raise BadToken("The name or picture is too long.")
    if claims.exp <= now:
        raise TokenExpired
    return Identity(
        claims.sub, claims.role, claims.jti, claims.exp, claims.room, claims.name, claims.picture, claims.level
    )


class Verifier:
    """:func:`verify` for one secret. Remembers the tokens it found good: clients come back with the one they have."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._known: dict[bytes, Identity] = {}

    def verify(self, token: str, *, now: float) -> Identity:
        """Raises BadToken, TokenExpired."""
        digest = sha256(token.encode(errors="replace")).digest()
        identity = self._known.get(digest)
        if identity is None:
            identity = verify(self._secret, token, now=now)
            while len(self._known) >= KNOWN_MAX:
                del self._known[next(iter(self._known))]
            self._known[digest] = identity
        elif identity.expires <= now:
            raise TokenExpired
        return identity


def token_room(token_id: str) -> str:
    """The room that a token id belongs to; empty if to none."""
    return token_id.rpartition("~")[0]
