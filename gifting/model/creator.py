"""What is known of one creator: the tier, whether the identity is verified, where the money goes."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct, convert, to_builtins
from msgspec.structs import replace

from gifting.model.packing import pack, unpack

DESTINATION_WAIT_MS: Final = 72 * 3_600_000
"""For so long nothing is paid out after the destination was changed, so that whoever it belongs to hears of it."""

IF_NOT_YOU: Final = (
    "If this was not you, ask the operator at once to stop payouts (PUT /v1/creators/{creator}/hold), sign out "
    "everywhere and change your password and second factor; then say anew where your money goes."
)
"""What to do where a destination is changed by somebody else: nothing is paid there before it is good."""

ENDING: Final = 4
"""Characters of an account by which its owner knows it, and nobody who looks on can use it."""

Kyc = Literal["none", "pending", "verified", "rejected"]


class Destination(Struct, frozen=True):
    """An ``account`` with a payout ``provider``, set at ``since``, and good from ``good_at`` on (ms since 1970)."""

    provider: str
    account: str
    since: int
    good_at: int


class CreatorRecord(Struct, frozen=True):
    """``v`` counts its changes. ``tier``: '' while nobody has put the creator into one. ``held``: why payouts are
    stopped, or ''.
    """

    v: int = 0
    tier: str = ""
    kyc: Kyc = "none"
    destination: Destination | None = None
    held: str = ""


NO_RECORD: Final = CreatorRecord()


def read_record(packed: bytes | None) -> CreatorRecord:
    """Of whom nothing was ever put, it is empty."""
    return NO_RECORD if packed is None else convert(unpack(packed), CreatorRecord)


def write_record(record: CreatorRecord) -> bytes:
    return pack(to_builtins(record))


def with_destination(record: CreatorRecord, provider: str, account: str, now: int) -> CreatorRecord:
    """The same with another destination. The first is good at once: there is no money of before that it could lead
    away, and what is earned is on hold. Any other waits, also one that was there before.
    """
    old = record.destination
    if old is not None and (old.provider, old.account) == (provider, account):
        return record
    wait = DESTINATION_WAIT_MS if old is not None else 0
    return replace(record, destination=Destination(provider, account, now, now + wait))
