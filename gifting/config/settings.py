"""All settings, section by section, and what must hold of several of them."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Final

from gifting.config.allowances import Allowances, Connecting
from gifting.config.delivery import Delivery
from gifting.config.identity import Identity
from gifting.config.payments import Payments, Stores, Stripe
from gifting.config.rules import Rules
from gifting.config.serving import Serving, Watching
from gifting.config.storage import Ledger, Storage
from gifting.config.values import read_origin, read_rate, read_secrets
from gifting.errors import BadSetting

_WORDS: Final = {
    "log_format": ("text", "json"),
    "log_level": ("debug", "info", "warning", "error"),
    "reversal_loss": ("creator", "platform"),
    "durability": ("every-replica", "replica", "disk", "managed"),
}
"""Settings that are one of these."""

REPLICATED: Final = ("every-replica", "replica")
"""Durabilities with which a replica is waited for."""

_CLUSTER: Final = ("redis+cluster://", "rediss+cluster://")


@dataclass(frozen=True, kw_only=True)
class Settings(
    Serving, Watching, Identity, Storage, Ledger, Rules, Payments, Stripe, Stores, Allowances, Connecting, Delivery
):
    """Every knob of the server. Times are seconds and sizes bytes unless the help says otherwise."""

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
        if self.durability != Storage.durability and not self.on_cluster:
            raise BadSetting(
                f"durability is {self.durability!r}, which is for a Redis Cluster (redis+cluster://); on one Redis "
                "a gift counts as written once it is on its disk. Leave it out."
            )
        if self.root_path and not re.fullmatch(r"(/[\w.~-]+)+", self.root_path):
            raise BadSetting(f"root_path is {self.root_path!r}; write it as /gifts.")
        self.diamond_rate()
        self.public_origin()

    @property
    def on_cluster(self) -> bool:
        """Whether ``redis`` names a Redis Cluster."""
        return self.redis.startswith(_CLUSTER)

    @property
    def replicas_waited(self) -> int:
        """Replicas that must have a write, on a cluster, at least, before it counts as done; 0: none is waited for."""
        return int(self.durability in REPLICATED)

    @property
    def every_replica(self) -> bool:
        """Whether it must be all of its master's."""
        return self.durability == "every-replica"

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

    def archive_url(self) -> str:
        """The URL of the archive's database; '' if there is none."""
        if self.archive == "off" or (self.redis and not self.archive):
            return ""
        return self.archive or f"sqlite:///{self.data_path / 'archive.db'}"

    @property
    def seal_key_path(self) -> Path:
        """The key of seals; its public half lies beside it (``.pub``)."""
        return Path(self.seal_key).absolute() if self.seal_key else self.data_path / "seal.key"

    @property
    def seals_path(self) -> Path:
        return Path(self.seals).absolute() if self.seals else self.data_path / "seals.jsonl"

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir).absolute()
