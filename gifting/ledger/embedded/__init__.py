"""The redis-server that is started where no other is given, and its data directory."""

from __future__ import annotations

from gifting.ledger.embedded.binary import find_binary
from gifting.ledger.embedded.server import EmbeddedRedis, running_url

__all__ = ["EmbeddedRedis", "find_binary", "running_url"]
