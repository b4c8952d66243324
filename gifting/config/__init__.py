"""The settings: one table, from which flags, environment names, defaults and docs/configuration.md all come."""

from __future__ import annotations

from gifting.config.bounds import FRAME_MAX_MOST, PARTITIONS_MAX, TOKEN_LEEWAY_MAX, TOKEN_TTL_MAX
from gifting.config.settings import Settings
from gifting.config.table import ENV_PREFIX, SECRETS, Setting, load, table
from gifting.config.values import SECRET_MIN, SECRETS_MAX, read_secrets

__all__ = [
    "ENV_PREFIX",
    "FRAME_MAX_MOST",
    "PARTITIONS_MAX",
    "SECRETS",
    "SECRETS_MAX",
    "SECRET_MIN",
    "TOKEN_LEEWAY_MAX",
    "TOKEN_TTL_MAX",
    "Setting",
    "Settings",
    "load",
    "read_secrets",
    "table",
]
