"""What the handlers work with: the parts of the server, as the node wired them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from gifting.archive.reading import Archive
from gifting.config import Settings
from gifting.economy.economy import Economy
from gifting.health import Health
from gifting.ledger.ledger import Ledger
from gifting.rulebook import Rulebook
from gifting.transport.gateway import Gateway
from gifting.web.front import ShortLink


@dataclass(frozen=True, slots=True)
class Services:
    """``health`` says whether this node works; ``links`` are a demo's."""

    settings: Settings
    ledger: Ledger
    gateway: Gateway
    health: Health
    metrics: CollectorRegistry
    rulebook: Rulebook
    economy: Economy
    archive: Archive
    links: Sequence[ShortLink] = ()
