"""What a finding can be about, as tags: two findings with a tag in common touch the same thing; see ``causes.py``."""

from __future__ import annotations

from typing import Final

CONSERVATION: Final = "conservation"


def stream(base: str) -> str:
    """The ledger stream of a partition."""
    return f"{base}:ledger"


def totals(base: str) -> str:
    return f"{base}:totals"


def wallet(user: str) -> str:
    return f"wallet {user}"


def earnings(host: str) -> str:
    """A host's diamonds and remainders."""
    return f"earnings {host}"


def gift(base: str, key: bytes) -> str:
    """A gift or grant; ``base`` is the partition of who pays or is given."""
    return f"gift {base} {key.hex()}"


def pair(source: str, destination: str) -> str:
    """What one partition of a cluster has sent to another."""
    return f"pair {source} {destination}"


def order(name: str) -> str:
    return f"order {name}"


def payout(name: str) -> str:
    return f"payout {name}"


def room(name: str) -> str:
    return f"room {name}"


def rank(room: str, user: str) -> str:
    return f"rank {room} {user}"


def log(room: str) -> str:
    return f"log {room}"


def event(room: str, seq: int) -> str:
    return f"event {room}.{seq}"


def payer(base: str, user: str) -> tuple[str, ...]:
    """What goes wrong with the side of who pays or buys; ``base`` is that user's partition."""
    return stream(base), totals(base), wallet(user)
