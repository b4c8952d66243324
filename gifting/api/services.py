"""What the handlers work with: the parts of the server, as the node wired them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from gifting.hub.hub import Hub
from gifting.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Services:
    """``ready`` says whether the event feed is heard of; ``secret`` signs tokens."""

    ledger: Ledger
    hub: Hub
    secret: str
    ready: Callable[[], bool]
    metrics: CollectorRegistry
