"""What the handlers work with: the parts of the server, as the node wired them."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from gifting.health import Health
from gifting.hub.hub import Hub
from gifting.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Services:
    """``health`` says whether this node works."""

    ledger: Ledger
    hub: Hub
    health: Health
    metrics: CollectorRegistry
