"""Who is believed to be who."""

from __future__ import annotations

from dataclasses import dataclass

from gifting.config.bounds import TOKEN_LEEWAY_MAX, TOKEN_TTL_MAX
from gifting.config.setting import setting


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Tokens."""

    secret: str = setting(
        "",
        "Keys of tokens, 32 bytes or more each, one a line or comma-separated: the first signs, all are believed. "
        "Empty: the file `secret` in the data directory (mode 0600), made once, read again when it changes.",
    )
    jwks: str = setting(
        "", "Public keys (JWKS) by which tokens of the host application are believed: a file, or an https:// URL."
    )
    jwks_roles: str = setting("viewer,creator", "Roles that tokens by the JWKS may have, comma-separated.")
    jwks_refresh: float = setting(300.0, "A JWKS at a URL is fetched this often.", least=10, most=86400)
    jwks_max_age: float = setting(
        86400.0, "How long the keys of a JWKS that can't be fetched any more are believed.", least=60, most=30 * 86400
    )
    token_leeway: float = setting(
        30.0, "How far the clock of who issues tokens may be ahead (`iat`, `nbf`).", least=0, most=TOKEN_LEEWAY_MAX
    )
    token_ttl_max: float = setting(
        TOKEN_TTL_MAX, "Longest life of a token (`exp` - `iat`).", least=60, most=TOKEN_TTL_MAX
    )
    room_overlay_tokens: int = setting(
        100,
        "Overlay tokens of a room that have not expired, revoked ones included; ten times as many of a host.",
        least=1,
        most=1000,
    )
    token_issuer: str = setting("", "The `iss` that every token must have. Empty: any.")
    token_audience: str = setting(
        "", "The `aud` that every token must have. Empty: tokens must have none, for they are for somebody else."
    )
