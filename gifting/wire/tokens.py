"""Tokens: JWTs (RFC 7519) that say who is there and in which role. docs/tokens.md says all there is to say of them."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final, Literal, get_args

import jwt
import msgspec
from msgspec import Meta, Struct

from gifting.config import TOKEN_TTL_MAX, Settings
from gifting.errors import BadSetting, BadToken, TokenExpired, UnknownSigner
from gifting.model.ids import ID, TOKEN_ID
from gifting.model.standing import ACCOUNT, AGE_MAX, PERSONAL, REGION, UNKNOWN, Standing, standing
from gifting.model.text import PLAIN
from gifting.wire.keyring import SECRET_ALGORITHM, Key, Keyring, kid_of

Role = Literal["viewer", "overlay", "creator", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)

TOKEN_MAX: Final = 4096
"""Bytes of a token; a longer one is refused before anything is read of it."""

NAME_MAX: Final = 64
PICTURE_MAX: Final = 300
"""Characters of a user's name and of the address of its picture."""

LEVEL_MAX: Final = 2**31

MFA: Final = "mfa"
"""The method in ``amr`` (RFC 8176) that says: by more than one factor."""

METHODS_MAX: Final = 16
METHOD_MAX: Final = 64
"""Methods that ``amr`` may list, and characters of one."""

ISSUED_AGE: Final = 30
ISSUED_REGION: Final = "US"
"""What tokens made here say of who has them: they are for operators and for trying out. A platform signs its own."""

PUBLIC_ALGORITHMS: Final = frozenset({"ES256", "RS256", "EdDSA"})

_jws = jwt.PyJWS([SECRET_ALGORITHM, *PUBLIC_ALGORITHMS])


class Identity(Struct, frozen=True, gc=False):
    """Who a token speaks for; an overlay is bound to its room.

    ``expires`` and ``issued`` are in seconds since 1970, and so is ``mfa_at``: when a second factor was shown, 0 for
    never. ``key`` is the id of what signed it. ``standing`` is what the platform vouches for.
    """

    user: str
    role: Role
    token_id: str
    expires: float
    room: str = ""
    name: str = ""
    picture: str = ""
    level: int = 0
    issued: float = 0.0
    key: str = ""
    standing: Standing = UNKNOWN
    mfa_at: float = 0.0

    def public(self) -> dict[str, Any]:
        """The user as everybody in the room sees it."""
        return {"id": self.user, "name": self.name or self.user, "picture": self.picture, "level": self.level}


class Rules(Struct, frozen=True):
    """What is asked of every token besides its signature. Times are seconds; an empty name is not asked for."""

    leeway: float = 30.0
    ttl_max: float = TOKEN_TTL_MAX
    issuer: str = ""
    audience: str = ""
    public_roles: tuple[str, ...] = ("viewer", "creator")

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Raises BadSetting for a role that there is not."""
        roles = tuple(filter(None, (role.strip() for role in settings.jwks_roles.split(","))))
        if strange := sorted(set(roles) - set(ROLES)):
            raise BadSetting(f"jwks_roles has {', '.join(strange)}; the roles are {', '.join(ROLES)}.")
        return cls(settings.token_leeway, settings.token_ttl_max, settings.token_issuer, settings.token_audience, roles)


class _Claims(Struct):
    """Every claim that is looked at. ``NumericDate`` may have a fraction; msgspec takes neither NaN nor infinity."""

    sub: Annotated[str, Meta(pattern=ID)]
    role: Role
    jti: Annotated[str, Meta(pattern=TOKEN_ID)]
    exp: float
    iat: float
    nbf: float = 0.0
    iss: str = ""
    aud: str | list[str] = ""
    room: Annotated[str, Meta(pattern=rf"{ID}|\A\Z")] = ""
    name: Annotated[str, Meta(max_length=NAME_MAX, pattern=PLAIN)] = ""
    picture: Annotated[str, Meta(max_length=PICTURE_MAX, pattern=PLAIN)] = ""
    level: Annotated[int, Meta(ge=0, le=LEVEL_MAX)] = 0
    age: Annotated[int, Meta(ge=0, le=AGE_MAX)] = 0
    region: Annotated[str, Meta(pattern=REGION)] = ""
    account: Annotated[str, Meta(pattern=ACCOUNT)] = PERSONAL
    amr: Annotated[list[Annotated[str, Meta(max_length=METHOD_MAX)]], Meta(max_length=METHODS_MAX)] = []
    auth_time: Annotated[float, Meta(ge=0)] = 0.0


class _Head(Struct):
    alg: str
    kid: str = ""


_read_claims = msgspec.json.Decoder(_Claims).decode
_read_head = msgspec.json.Decoder(_Head).decode


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
    age: int = ISSUED_AGE,
    region: str = ISSUED_REGION,
    account: str = PERSONAL,
    mfa: bool = False,
    rules: Rules | None = None,
    token_id: str = "",
) -> str:
    """A signed token, valid ``ttl`` seconds from ``now``; ``token_id`` is made up where none is given.

    ``age`` 0 and ``region`` '' vouch for nothing; ``mfa``: its user has shown a second factor just now.
    """
    claims = {
        "sub": user,
        "role": role,
        "jti": token_id or make_token_id(room),
        "iat": int(now * 1000) / 1000,
        "exp": int(now + ttl),
        "iss": rules.issuer if rules else "",
        "aud": rules.audience if rules else "",
        "room": room,
        "name": name[:NAME_MAX],
        "picture": picture,
        "level": level,
        "age": age,
        "region": region,
        "account": account,
        "amr": [MFA] if mfa else "",
        "auth_time": int(now) if mfa else "",
    }
    said = {name: value for name, value in claims.items() if value != ""}
    return jwt.encode(said, secret, algorithm=SECRET_ALGORITHM, headers={"kid": kid_of(secret)})


def verify(keyring: Keyring, token: str, *, now: float, rules: Rules | None = None) -> Identity:
    """Who ``token`` speaks for.

    Raises:
        BadToken: not a token of this server or not for it, a claim of the wrong form, or not valid yet.
        UnknownSigner: its key is being looked for.
        TokenExpired: it was one.
    """
    if len(token) > TOKEN_MAX:
        raise BadToken(f"A token has {TOKEN_MAX} bytes at most.")
    try:
        key, payload = _open(keyring, token.encode("ascii"))
        claims = _read_claims(payload)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:  # msgspec's and base64's are ValueErrors
        raise BadToken(f"{str(error).rstrip('.')}.") from None
    rules = rules or Rules()
    if key.public and claims.role not in rules.public_roles:
        raise BadToken(f"Tokens by the JWKS may not be of role {claims.role}; GIFTING_JWKS_ROLES lists those that may.")
    if claims.role == "overlay" and not claims.room:
        raise BadToken("An overlay token names its room.")
    _check_party(claims, rules)
    _check_times(claims, now, rules)
    return Identity(
        claims.sub,
        claims.role,
        claims.jti,
        claims.exp,
        claims.room,
        claims.name,
        claims.picture,
        claims.level,
        claims.iat,
        key.id,
        standing(claims.age, claims.region, claims.account),
        claims.auth_time if MFA in claims.amr else 0.0,
    )


def _open(keyring: Keyring, token: bytes) -> tuple[Key, bytes]:
    """The key that signed a token, and what it signed. Raises PyJWTError, ValueError, UnknownSigner, RecursionError."""
    head = _read_head(jwt.utils.base64url_decode(token.partition(b".")[0]))
    keys = keyring.find(head.alg, head.kid)
    for key in keys:
        try:
            return key, _jws.decode(token, key.material, algorithms=[key.algorithm])
        except jwt.InvalidSignatureError:
            continue
    if not keys and head.alg in PUBLIC_ALGORITHMS and keyring.ask(head.kid):
        raise UnknownSigner
    raise BadToken("No key of this server has signed it.")


def _check_party(claims: _Claims, rules: Rules) -> None:
    """Whom it is from and for. A token that is for somebody must find that somebody here (RFC 7519, section 4.1.3)."""
    if rules.issuer and claims.iss != rules.issuer:
        raise BadToken("The token is of another issuer than GIFTING_TOKEN_ISSUER says.")
    audience = [claims.aud] if isinstance(claims.aud, str) else claims.aud
    if (rules.audience or any(audience)) and rules.audience not in audience:
        raise BadToken("The token is for another audience than GIFTING_TOKEN_AUDIENCE says.")


def _check_times(claims: _Claims, now: float, rules: Rules) -> None:
    """Clocks may differ by the leeway where a token begins; where it ends, it ends.

    With ``iat`` and ``exp`` both bounded, a token that is revoked can't outlive what is remembered of that.
    """
    if claims.iat > now + rules.leeway:
        raise BadToken("The token is issued in the future (iat); check the clock of its issuer.")
    if claims.nbf > now + rules.leeway:
        raise BadToken("The token is not valid yet (nbf).")
    if claims.exp - claims.iat > rules.ttl_max:
        raise BadToken(f"A token may last {rules.ttl_max:.0f} s (exp - iat); this one lasts longer.")
    if claims.exp <= now:
        raise TokenExpired


def make_token_id(room: str = "") -> str:
    """An id that nobody else has. That of a token for a room begins with the room."""
    unique = secrets.token_urlsafe(12)
    return f"{room}~{unique}" if room else unique


def token_room(token_id: str) -> str:
    """The room that a token id belongs to; empty if to none."""
    return token_id.rpartition("~")[0]
