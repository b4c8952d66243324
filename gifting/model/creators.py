"""What creators get: a TOML file of what diamonds are worth in money, and of tiers: commission, hold, reserve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta, Struct

from gifting.errors import BadCreators, UnknownTier
from gifting.model.currencies import EXPONENTS
from gifting.model.money import BASIS, MAX_AMOUNT
from gifting.model.tomlfile import TomlFile, read_toml

TIERS_MAX: Final = 100
DAYS_MAX: Final = 400
"""Days of a hold or a reserve at most; what was earned is kept by day for as long."""

DISPUTE_DAYS: Final = 120
"""For so long card payments are disputed."""

MILLI: Final = 1000
MICRO: Final = 1_000_000

_Points = Annotated[int, Meta(ge=0, le=BASIS)]
_Days = Annotated[int, Meta(ge=0, le=DAYS_MAX)]
_Amount = Annotated[int, Meta(ge=1, le=MAX_AMOUNT)]

TIER: Final = r"\A[a-z0-9][a-z0-9_-]{0,39}\Z"


class PayoutTerms(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What diamonds are worth, and how much is paid out.

    Args:
        currency: ISO 4217 code.
        micros_per_diamond: millionths of a unit of the currency for a whole diamond.
        minimum: least of one payout, in minor units.
        daily_maximum: most for one creator in any 24 hours, in minor units.
    """

    currency: str
    micros_per_diamond: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    minimum: _Amount
    daily_maximum: _Amount = 1_000_00

    def money(self, diamonds: int) -> int:
        """What milli-diamonds are worth in minor units, rounded down."""
        minor: int = 10 ** EXPONENTS[self.currency]
        return diamonds * self.micros_per_diamond * minor // (MILLI * MICRO)


class Tier(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What holds for the creators in it.

    Args:
        commission: what the platform keeps of ``diamonds_per_coin``, in basis points.
        hold_days: UTC days, that of earning among them, in which what was earned is pending.
        reserve_bps: share of what is no longer pending that is kept back until ``reserve_days`` from the day of
            earning are over, in basis points.
    """

    id: Annotated[str, Meta(pattern=TIER)]
    commission: Annotated[int, Meta(ge=0, lt=BASIS)] = 0
    hold_days: _Days
    reserve_bps: _Points = 0
    reserve_days: _Days = 0

    @property
    def days(self) -> int:
        """For how many days it matters when something was earned."""
        return max(self.hold_days, self.reserve_days if self.reserve_bps else 0)


class Creators:
    """The terms of payouts, and all tiers by id. ``usual`` is the tier of whom nobody has put into one."""

    def __init__(self, payout: PayoutTerms, tiers: list[Tier]) -> None:
        self.payout = payout
        self.usual = tiers[0]
        self._tiers = {tier.id: tier for tier in tiers}

    def __iter__(self) -> Iterator[Tier]:
        return iter(self._tiers.values())

    def __len__(self) -> int:
        return len(self._tiers)

    def __getitem__(self, tier: str) -> Tier:
        """Raises UnknownTier."""
        try:
            return self._tiers[tier]
        except KeyError:
            raise UnknownTier(f"{tier[:40]!r} is none.") from None

    def of(self, tier: str) -> Tier:
        """The one with that id, or the usual one: of whom nobody has put into one, or whose tier is no longer there."""
        return self._tiers.get(tier, self.usual)

    @property
    def days(self) -> int:
        """For how many days it matters to some tier when something was earned."""
        return max(tier.days for tier in self)

    def cautions(self) -> Iterator[str]:
        """What an operator should know of these tiers."""
        for tier in self:
            if tier.hold_days < DISPUTE_DAYS:
                told = f"tier {tier.id!r} holds earnings for {tier.hold_days} days, but payments are disputed for up to"
                yield f"{told} {DISPUTE_DAYS}: what is paid out before may have to be borne by the platform"


def load_creators(path: str = "") -> Creators:
    """Read the terms at ``path``, or the package's own.

    Raises:
        BadCreators: with the file, the line and the reason.
    """
    return read_creators(read_toml(path, "creators.toml", BadCreators))


def parse_creators(text: str, name: str) -> Creators:
    """The terms in ``text``; ``name`` is for errors."""
    return read_creators(TomlFile(text, name, BadCreators))


def read_creators(file: TomlFile) -> Creators:
    """``[payout]`` and all ``[[tier]]`` of a file. Raises BadCreators."""
    file.only("payout", "tier")
    payout = file.table("payout", PayoutTerms)
    if payout is None:
        raise file.wrong("payout", 0, [], "there is no [payout]")
    if payout.currency not in EXPONENTS:
        raise file.wrong("payout", 0, ["currency"], f"{payout.currency!r} is no currency")
    if payout.daily_maximum < payout.minimum:
        raise file.wrong("payout", 0, ["daily_maximum"], "it is below the minimum, so nothing could be paid out")
    tiers = file.tables("tier", Tier, TIERS_MAX)
    file.once("tier", [tier.id for tier in tiers])
    for number, tier in enumerate(tiers):
        if bool(tier.reserve_bps) != bool(tier.reserve_days):
            raise file.wrong("tier", number, ["reserve_bps"], "it goes with reserve_days")
        if 0 < tier.reserve_days <= tier.hold_days:
            raise file.wrong("tier", number, ["reserve_days"], "they are over before the hold is, so nothing is kept")
    return Creators(payout, tiers)
