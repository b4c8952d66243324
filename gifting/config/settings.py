"""All settings, each with its type, default, bounds and what it is for."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, Final

from gifting.config.bounds import (
    FRAME_MAX_MOST,
    MEMORY_MAX,
    NUMBER_MAX,
    PARTITIONS_MAX,
    TEN_YEARS,
    TOKEN_LEEWAY_MAX,
    TOKEN_TTL_MAX,
)
from gifting.config.values import read_origin, read_rate, read_secrets
from gifting.errors import BadSetting

_WORDS: Final = {"log_format": ("text", "json"), "log_level": ("debug", "info", "warning", "error")}
"""Settings that are one of these."""


def _setting(default: Any, help: str, *, least: float | None = None, most: float = NUMBER_MAX) -> Any:
    """``least`` and ``most`` are of numbers, which all have both."""
    return field(default=default, metadata={"help": help, "least": least, "most": None if least is None else most})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every knob of the server. Times are seconds and sizes bytes unless the help says otherwise."""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8080, "Port to listen on; 0 picks a free one.", least=0, most=65535)
    redis: str = _setting(
        "", "Redis URL (redis://, rediss:// or unix://). Empty: start a private one in the data directory."
    )
    allow_unsafe_redis: bool = _setting(
        False, "Run on a Redis whose settings can lose acknowledged gifts, or that does not tell them; only warn."
    )
    data_dir: str = _setting("gifting-data", "Where the private Redis and the signing secret live.")
    workers: int = _setting(1, "Server processes that share the port.", least=1, most=64)
    secret: str = _setting(
        "",
        "Keys of tokens, 32 bytes or more each, one a line or comma-separated: the first signs, all are believed. "
        "Empty: the file `secret` in the data directory (mode 0600), made once, read again when it changes.",
    )
    jwks: str = _setting(
        "", "Public keys (JWKS) by which tokens of the host application are believed: a file, or an https:// URL."
    )
    jwks_roles: str = _setting("viewer,creator", "Roles that tokens by the JWKS may have, comma-separated.")
    jwks_refresh: float = _setting(300.0, "A JWKS at a URL is fetched this often.", least=10, most=86400)
    jwks_max_age: float = _setting(
        86400.0, "How long the keys of a JWKS that can't be fetched any more are believed.", least=60, most=30 * 86400
    )
    token_leeway: float = _setting(
        30.0, "How far the clock of who issues tokens may be ahead (`iat`, `nbf`).", least=0, most=TOKEN_LEEWAY_MAX
    )
    token_ttl_max: float = _setting(
        TOKEN_TTL_MAX, "Longest life of a token (`exp` - `iat`).", least=60, most=TOKEN_TTL_MAX
    )
    room_overlay_tokens: int = _setting(
        100,
        "Overlay tokens of a room that have not expired, revoked ones included; ten times as many of a host.",
        least=1,
        most=1000,
    )
    token_issuer: str = _setting("", "The `iss` that every token must have. Empty: any.")
    token_audience: str = _setting(
        "", "The `aud` that every token must have. Empty: tokens must have none, for they are for somebody else."
    )
    age_check: bool = _setting(
        True, "Gifts and purchases need an age that the token vouches for, and that the user's region asks for."
    )
    gifting_accounts: str = _setting(
        "personal", "Kinds of account (`account` of a token) that may send gifts and buy, comma-separated."
    )
    confirm_first_gift: bool = _setting(True, "A user's first gift ever has to be confirmed.")
    catalog: str = _setting(
        "", "TOML file with the gifts; read again when asked, as the next two. Empty: the one in the package."
    )
    prices: str = _setting("", "TOML file with packages, prices and promotions. Empty: the one in the package.")
    regions: str = _setting(
        "", "TOML file with what holds where: ages, caps, withdrawal. Empty: the one in the package."
    )
    moderation: str = _setting(
        "", "TOML file with what comments are held for. Empty: the one in the package. Read again by a reload."
    )
    public_url: str = _setting(
        "", "Address by which clients reach this server, for links and as an allowed origin. Empty: as a request says."
    )
    root_path: str = _setting("", "Path that a proxy in front takes off, such as /gifts.")
    tls_cert: str = _setting("", "PEM file with the certificate and its chain. Empty: no TLS here.")
    tls_key: str = _setting("", "PEM file with its key. Empty: it is in the certificate's file.")
    node: str = _setting(
        "", "Name of this server in its metrics; with several workers, each adds its number. Empty: the machine's name."
    )
    metrics_host: str = _setting("127.0.0.1", "Address of the listener for /metrics.")
    metrics_port: int = _setting(
        0, "Port of a listener for /metrics only. 0: it is on the main one.", least=0, most=65535
    )
    metrics_token: str = _setting(
        "", "Bearer token that /metrics asks for. Empty: on the main port only this machine is answered."
    )
    origins: str = _setting(
        "",
        "Page origins that may open a WebSocket and use the API (CORS), comma-separated, exact. The server's own may.",
    )
    key_prefix: str = _setting("gifting", "First part of every Redis key.")
    partitions: int = _setting(16, "Logical shards. Fixed once data exists.", least=1, most=PARTITIONS_MAX)
    maxmemory: int = _setting(
        0,
        "Memory limit of the private Redis; 0: none. At the limit gifts are refused, never lost.",
        least=0,
        most=MEMORY_MAX,
    )

    dedupe_window: float = _setting(
        600.0, "How long a gift's key is remembered; older keys are refused.", least=1, most=86400
    )
    key_lead: float = _setting(
        60.0, "How far a key's timestamp may be ahead of the server's clock.", least=1, most=3600
    )
    grant_window: float = _setting(
        30 * 86400.0, "How long a grant's key is remembered; older keys are refused.", least=60, most=TEN_YEARS
    )
    streak_window: float = _setting(3.0, "A streak ends this long after its last gift.", least=0.05, most=60)
    diamonds_per_coin: str = _setting("1/2", "Diamonds a creator earns per coin, as a fraction or a decimal.")
    room_retention: float = _setting(
        7 * 86400.0, "How long an ended room's log and ranking are kept.", least=1, most=TEN_YEARS
    )
    creator_rooms: int = _setting(10, "Live rooms of one host.", least=1)
    log_keep: int = _setting(100_000, "Events kept in a room's log for replay.", least=100)

    providers: str = _setting(
        "",
        "Who takes payments for coins: sandbox (play money), stripe, apple, google, comma-separated, or none. Empty: "
        "sandbox with a private Redis, none with another.",
    )
    reconcile_interval: float = _setting(
        60.0, "Providers are asked this often for what never came by webhook.", least=0.05, most=86400
    )
    reconcile_window: float = _setting(
        3 * 86400.0, "How far back they are asked after a start.", least=60, most=30 * 86400
    )
    sandbox_delay: float = _setting(
        10.0, "How long the sandbox waits before what its cards do later, such as a refund.", least=0, most=86400
    )
    stripe_key: str = _setting("", "Secret key of Stripe's API, sk_… or rk_…; one for tests takes no real money.")
    stripe_webhook_secrets: str = _setting(
        "", "Secrets of the endpoint that Stripe's webhooks come to (whsec_…), comma-separated; all are believed."
    )
    stripe_account: str = _setting("", "The connected account that sells (acct_…). Empty: the key's own.")
    stripe_api: str = _setting("", "Address of Stripe's API, for tests. Empty: the real one.")
    stores_live: bool = _setting(
        True, "Take real purchases of Apple's and Google's stores and refuse those of testers; off: the reverse."
    )
    apple_bundle: str = _setting("", "Bundle id of the app whose App Store purchases are taken.")
    apple_app_id: int = _setting(0, "The app's number in the App Store (Apple ID), for real purchases.", least=0)
    apple_roots: str = _setting(
        "", "Files with Apple's root certificates (AppleRootCA-G3.cer and others), comma-separated."
    )
    apple_key: str = _setting("", "File with the in-app purchase key of App Store Connect (.p8).")
    apple_key_id: str = _setting("", "Id of that key.")
    apple_issuer: str = _setting("", "Issuer id of App Store Connect.")
    apple_online_checks: bool = _setting(True, "Ask Apple whether the certificates of what it signed were revoked.")
    apple_consent: bool = _setting(
        False,
        "All users have agreed that Apple is told how much of a purchase they spent, when they ask it for a refund.",
    )
    apple_api: str = _setting("", "Address of Apple's server API, for tests. Empty: the real one.")
    google_package: str = _setting("", "Package name of the app whose Google Play purchases are taken.")
    google_service_account: str = _setting(
        "", "File with the key of a service account (JSON) that may see and manage the app's orders."
    )
    google_push_audience: str = _setting("", "The audience that the push subscription of Pub/Sub names.")
    google_push_account: str = _setting("", "Email address of the service account by which Pub/Sub pushes.")
    google_api: str = _setting("", "Address of Google's servers, for tests. Empty: the real ones.")

    batch_max: int = _setting(512, "Gifts in one ledger call at most.", least=1, most=1000)
    batch_queue: int = _setting(20_000, "Gifts that may wait for the ledger; more are refused as overloaded.", least=1)
    free_queue: int = _setting(
        5_000,
        "Events without a gift that may wait for the ledger. While much waits, gifts go first: these have a quarter of "
        "each call then.",
        least=1,
    )
    batch_pause: float = _setting(
        0.0, "Pause after a ledger call before one that is not full; above 0 trades latency for CPU.", least=0, most=1
    )
    ledger_timeout: float = _setting(
        5.0, "How long a gift may wait for Redis before its sender is told to ask again.", least=0.1
    )

    message_max: int = _setting(4096, "Largest message from a client.", least=256, most=1 << 20)
    message_rate: float = _setting(
        100.0, "Messages a user may send per second, over all connections of a process; every frame is one.", least=1
    )
    message_burst: int = _setting(200, "Messages a user may send at once.", least=1)
    byte_rate: float = _setting(
        65_536.0, "Bytes a user may send per second, control frames and refused ones too.", least=256
    )
    byte_burst: int = _setting(262_144, "Bytes a user may send at once.", least=1024)
    flood_timeout: float = _setting(
        10.0, "Who sends more than allowed is read more slowly, and after this long without a rest closed.", least=0.1
    )
    user_connections: int = _setting(
        20, "Connections per process of one user in one role and, where the token names one, room.", least=1
    )
    connections: int = _setting(
        50_000, "Sockets per process, HTTP too; less where the limit of open files is lower.", least=1
    )
    address_connections: int = _setting(
        1000, "Sockets per process from one address; 0: any number. Trusted proxies may have any number.", least=0
    )
    forwarded_allow_ips: str = _setting(
        "127.0.0.1,::1",
        "Trusted proxies, whose X-Forwarded headers are believed: addresses or networks, comma-separated; * is all.",
    )
    head_max: int = _setting(16_384, "Largest head of a request, its address included.", least=1024, most=1 << 20)
    head_timeout: float = _setting(
        10.0, "How long a request's head may take to arrive, and then its body; also a new socket's silence.", least=0.1
    )
    connection_rooms: int = _setting(10, "Rooms one connection may have joined.", least=1)
    like_rate: float = _setting(
        50.0, "Likes per second that a user may give, over all connections of a process, by their count.", least=0.1
    )
    like_burst: int = _setting(500, "Likes a user may give at once, and in one message.", least=1, most=9_999)
    comment_rate: float = _setting(
        2.0, "Comments, shares and follows a user may send per second, over all connections of a process.", least=0.01
    )
    comment_burst: int = _setting(10, "Comments, shares and follows a user may send at once.", least=1)
    member_rate: float = _setting(
        10.0, "`member` events per second and room; joins beyond it only count as viewers.", least=0
    )

    flush_pause: float = _setting(0.05, "Longest pause between two fan-out passes when busy.", least=0, most=1)
    all_interval: float = _setting(
        0.0, "Shortest time between two frames of lane `all`; above 0 trades latency for CPU.", least=0, most=5
    )
    live_interval: float = _setting(0.1, "Shortest time between two frames of lane `live`.", least=0, most=5)
    live_top: int = _setting(
        8, "Gift events per frame of lane `live`, highest first; as many others, newest first.", least=1, most=100
    )
    like_interval: float = _setting(0.25, "Likes of a room are folded into one event per this long.", least=0, most=5)
    frame_max: int = _setting(
        262_144, "Events are joined into frames up to this size.", least=4096, most=FRAME_MAX_MOST
    )
    recent_max: int = _setting(1_048_576, "Recent events kept in memory per room for catching up.", least=4096)
    replay_loads: int = _setting(
        8, "Log pages read at once for those who catch up, one per connection; others wait in turn.", least=1, most=64
    )
    replay_rate: float = _setting(
        4_194_304.0, "Bytes per second of missed events that a user, role and room may be given.", least=65_536
    )
    replay_burst: int = _setting(
        16_777_216, "Bytes of missed events that a user, role and room may be given at once.", least=65_536
    )
    write_buffer: int = _setting(
        65_536, "Unsent bytes after which a subscriber is skipped until it drains.", least=1024
    )
    slow_timeout: float = _setting(60.0, "A subscriber that can't take data for this long is closed.", least=1)
    viewers_interval: float = _setting(2.0, "Viewer counts are published this often, when changed.", least=0.05)
    ping_interval: float = _setting(20.0, "Silence after which a connection is pinged.", least=1)
    ping_timeout: float = _setting(20.0, "Silence after a ping that closes the connection.", least=1)
    heartbeat_timeout: float = _setting(
        3.0, "Silence of the event feed from Redis after which it is made anew.", least=0.2
    )
    drain_timeout: float = _setting(10.0, "Longest orderly shutdown.", least=0.1)
    log_format: str = _setting("text", "How lines of the log look, on stderr: `text`, or `json`, an object a line.")
    log_level: str = _setting("info", "The log has lines of this level and above: debug, info, warning or error.")

    def __post_init__(self) -> None:
        for item in fields(self):
            value, least, most = getattr(self, item.name), item.metadata["least"], item.metadata["most"]
            if isinstance(value, float) and not isfinite(value):
                raise BadSetting(f"{item.name} is {value}; it must be a number.")
            if least is not None and not least <= value <= most:
                raise BadSetting(f"{item.name} is {value}; it must be at least {least} and at most {most}.")
        if self.secret:
            read_secrets(self.secret)
        for name, known in _WORDS.items():
            if (word := getattr(self, name)) not in known:
                raise BadSetting(f"{name} is {word!r}; it must be one of {', '.join(known)}.")
        if self.tls_key and not self.tls_cert:
            raise BadSetting("tls_key goes with tls_cert.")
        if self.root_path and not re.fullmatch(r"(/[\w.~-]+)+", self.root_path):
            raise BadSetting(f"root_path is {self.root_path!r}; write it as /gifts.")
        self.diamond_rate()
        self.public_origin()

    def diamond_rate(self) -> tuple[int, int]:
        """Milli-diamonds per coin as (numerator, denominator)."""
        return read_rate(self.diamonds_per_coin)

    def public_origin(self) -> str:
        """The origin of ``public_url`` as browsers say it; '' if there is none."""
        return read_origin(self.public_url) if self.public_url else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those that are given; the first signs."""
        return read_secrets(self.secret) if self.secret else ()

    def allowed_origins(self) -> frozenset[str]:
        """The origins whose pages may open a WebSocket, beside the host that a request names."""
        return frozenset(filter(None, (self.public_origin(), *map(str.strip, self.origins.split(",")))))

    def gifting_kinds(self) -> frozenset[str]:
        """The kinds of account that may give and buy."""
        return frozenset(filter(None, map(str.strip, self.gifting_accounts.split(","))))

    def node_name(self) -> str:
        """What this server, or this worker of it, is called in metrics: the same after every start."""
        return self.node or socket.gethostname()

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir).absolute()
