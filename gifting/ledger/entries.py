"""The ledger stream, entry by entry: what every balance can be rebuilt from.

One item of a partition's stream holds the entries of one call, one msgpack array after another:

- ``grant``: ts, key, user, coins, reason, operator — coins are issued to a user of this partition;
- ``purchase``: ts, key, user, order, paid, bonus, settled, price, currency, provider — coins of an order are issued to
  a user of this partition, ``settled`` of them for what the user owed: bonus coins first; the price in minor units;
- ``reversal``: ts, key, user, order, paid, bonus, debt, amount, currency, why, lot — coins of an order are taken back,
  and what was not there is debt; or, below 0, given back; with the money that went back (minor units), or came again;
  ``lot`` of all these coins are those that were paid for;
- ``debit``: ts, key, user, room, host, gift, gifts, coins — a user of this partition pays;
- ``account``: ts, key, user, what, value, by — what a user of this partition may spend is changed, coins are not;
- ``gift_reversal``: ts, key, user, gift, room, host, paid, bonus, settled, by — coins of a gift (its key) are given
  back to who sent it, a user of this partition, ``settled`` of them for what the user owed;
- ``credit``: ts, key, user, room, host, seq, coins, diamonds, rate numerator, rate denominator, commission — a host of
  this partition earns; the remainder of ``coins × numerator / denominator`` is carried, per host and denominator; the
  commission (basis points) is off that rate already; seq is 0 where the room was not there any more, on a cluster;
- ``clawback``: ts, key, host, gift, user, diamonds, debt, borne, by, day — a reversed gift takes milli-diamonds of a
  host of this partition: of what it has, as debt, or of nobody, since the platform bears it; with a debt below 0 it is
  settled. The day (since 1970) is the gift's, if anything was still there of what was earned on it, else 0;
- ``payout``: ts, key, host, payout, diamonds, amount, currency, provider — milli-diamonds of a host of this partition
  are paid out; or, below 0, come back.

Entries that were written before a field was there have it as 0 or ''.
"""

from __future__ import annotations

from typing import Any, assert_never

from msgspec import Struct

from gifting.model.money import MAX_AMOUNT


class Grant(Struct, frozen=True, gc=False, tag="grant"):
    ts: int
    key: bytes
    user: str
    coins: int
    reason: str
    operator: str


class Purchase(Struct, frozen=True, gc=False, tag="purchase"):
    ts: int
    key: bytes
    user: str
    order: str
    paid: int
    bonus: int
    settled: int
    price: int = 0
    currency: str = ""
    provider: str = ""


class Reversal(Struct, frozen=True, gc=False, tag="reversal"):
    ts: int
    key: bytes
    user: str
    order: str
    paid: int
    bonus: int
    debt: int
    amount: int = 0
    currency: str = ""
    why: str = ""
    lot: int = 0


class Debit(Struct, frozen=True, gc=False, tag="debit"):
    ts: int
    key: bytes
    user: str
    room: str
    host: str
    gift: str
    gifts: int
    coins: int


class Credit(Struct, frozen=True, gc=False, tag="credit"):
    ts: int
    key: bytes
    user: str
    room: str
    host: str
    seq: int
    coins: int
    diamonds: int
    numerator: int
    denominator: int
    commission: int = 0


class GiftReversal(Struct, frozen=True, gc=False, tag="gift_reversal"):
    ts: int
    key: bytes
    user: str
    gift: bytes
    room: str
    host: str
    paid: int
    bonus: int
    settled: int
    by: str


class Clawback(Struct, frozen=True, gc=False, tag="clawback"):
    ts: int
    key: bytes
    host: str
    gift: bytes
    user: str
    diamonds: int
    debt: int
    borne: int
    by: str
    day: int = 0


class Payout(Struct, frozen=True, gc=False, tag="payout"):
    ts: int
    key: bytes
    host: str
    payout: str
    diamonds: int
    amount: int
    currency: str
    provider: str


class AccountChange(Struct, frozen=True, gc=False, tag="account"):
    ts: int
    key: bytes
    user: str
    what: str
    value: str
    by: str


Entry = Grant | Purchase | Reversal | Debit | GiftReversal | Credit | Clawback | Payout | AccountChange
"""Whoever takes entries apart does it by ``match`` with ``assert_never``, so that no new kind passes for an old one."""


def owner(entry: Entry) -> str:
    """Whose partition an entry is in."""
    match entry:
        case Grant() | Purchase() | Reversal() | Debit() | GiftReversal() | AccountChange():
            return entry.user
        case Credit() | Clawback() | Payout():
            return entry.host
        case _:
            assert_never(entry)


def plausible(entry: Entry) -> bool:
    """Whether an entry has a key and numbers such as the scripts write."""
    amounts: tuple[Any, ...]
    match entry:
        case Grant():
            amounts = (entry.coins,)
        case Purchase():
            amounts = (entry.paid, entry.bonus + 1, entry.settled + 1, entry.price + 1)
        case Reversal():
            amounts = tuple(abs(part) + 1 for part in (entry.paid, entry.bonus, entry.debt, entry.amount, entry.lot))
        case Debit():
            amounts = (entry.gifts, entry.coins)
        case GiftReversal():
            amounts = (entry.paid + 1, entry.bonus + 1, entry.settled + 1)
        case Clawback():
            amounts = (entry.diamonds + 1, abs(entry.debt) + 1, entry.borne + 1, entry.day + 1)
        case Payout():
            amounts = (abs(entry.diamonds), abs(entry.amount) + 1)
        case Credit():
            amounts = (
                entry.seq + 1,
                entry.coins,
                entry.diamonds + 1,
                entry.numerator,
                entry.denominator,
                entry.commission + 1,
            )
        case AccountChange():
            amounts = ()
        case _:
            assert_never(entry)
    if type(entry.key) is not bytes or len(entry.key) != 16:
        return False
    return all(type(amount) is int and 1 <= amount <= MAX_AMOUNT for amount in amounts)
