"""What holds where: a TOML file of regions, each with who may gift and buy, what may be given back, and platform caps.

A region is a country, a group of countries, or ``other``: all countries that the file does not name, and those who tell
no country.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Final

from msgspec import Meta, Struct

from gifting.errors import AccountNotAllowed, AgeRequired, BadRegions, Protected, RegionNotAllowed
from gifting.model.currencies import EXPONENTS
from gifting.model.money import MAX_AMOUNT
from gifting.model.standing import ACCOUNT, AGE_MAX, Standing
from gifting.model.terms import Terms
from gifting.model.tomlfile import TomlFile, read_toml

REGIONS_MAX: Final = 300
BANDS_MAX: Final = 20
OTHER: Final = "other"

_Age = Annotated[int, Meta(ge=0, le=AGE_MAX)]
_Coins = Annotated[int, Meta(ge=0, le=MAX_AMOUNT)]


class Caps(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Most coins that users of ``from_age`` years and above may spend, up to the next band; 0: no cap.

    ``gift_cap`` is for one send, ``streak_cap`` for a run of them, the others for any 24 hours and any 30 days.
    """

    from_age: _Age = 0
    gift_cap: _Coins = 0
    streak_cap: _Coins = 0
    day_cap: _Coins = 0
    month_cap: _Coins = 0


class Region(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What holds in one region.

    Args:
        countries: ISO 3166-1 codes; none: ``id`` is one.
        allowed: whether gifts and purchases are offered.
        min_age: years from which one may gift and buy.
        guardian_age: years from which those below ``min_age`` may whose guardian is linked; 0: none of them.
        accounts: kinds of account that may gift; none: those of the setting ``gifting_accounts``.
        withdrawal_days: days within which unspent coins of a purchase can be given back for money; 0: not at all.
        terms: what is said of that before paying.
        wallet_max: coins that a purchase may fill a wallet up to; 0: any number.
        velocity_burst, velocity_rate: coins that may be spent at once, and a second after that; 0: any number.
        confirm_above: coins of one send above which it must be confirmed; 0: never.
        purchase_currency: of the next two, which are in its minor units.
        purchase_day, purchase_month: money that a user may pay in any 24 hours, and in any 30 days; 0: any amount.
        caps: by age, the youngest first.
    """

    id: Annotated[str, Meta(pattern=r"\A([A-Z]{2}|[a-z][a-z0-9-]{0,39})\Z")]
    countries: list[Annotated[str, Meta(pattern=r"\A[A-Z]{2}\Z")]] = []
    allowed: bool = True
    min_age: _Age = 18
    guardian_age: _Age = 0
    accounts: list[Annotated[str, Meta(pattern=ACCOUNT)]] = []
    withdrawal_days: Annotated[int, Meta(ge=0, le=365)] = 0
    terms: Annotated[str, Meta(min_length=1, max_length=1000)]
    wallet_max: _Coins = 0
    velocity_burst: _Coins = 0
    velocity_rate: _Coins = 0
    confirm_above: _Coins = 0
    purchase_currency: str = ""
    purchase_day: _Coins = 0
    purchase_month: _Coins = 0
    caps: Annotated[list[Caps], Meta(max_length=BANDS_MAX)] = []

    @property
    def members(self) -> list[str]:
        return self.countries or [self.id]

    def caps_at(self, age: int) -> Caps:
        """The caps of the band that ``age`` is in; none below the first band."""
        return next((caps for caps in reversed(self.caps) if caps.from_age <= age), NO_CAPS)

    def refusal(self, standing: Standing, accounts: frozenset[str], *, guarded: bool = False) -> Protected | None:
        """Why someone of such ``standing`` may not gift and buy: RegionNotAllowed, AgeRequired, AccountNotAllowed, in
        this order. ``accounts`` are those of the settings; ``guarded``: who asks has a guardian.
        """
        if not self.allowed:
            return RegionNotAllowed()
        least = self.guardian_age if guarded and self.guardian_age else self.min_age
        if standing.age < max(least, 1):  # 0 is an age that nobody vouches for
            return AgeRequired(f"Here that is {self.told_age} years.")
        if standing.account not in (self.accounts or accounts):
            return AccountNotAllowed()
        return None

    @property
    def told_age(self) -> int:
        """From which age one may gift and buy, as it is told: it must be vouched for, so it is never 0."""
        return max(self.min_age, 1)


NO_CAPS: Final = Caps()


class Regions:
    """All regions by id, and each country's."""

    def __init__(self, regions: list[Region]) -> None:
        self._regions = {region.id: region for region in regions}
        self._of = {member: region for region in regions for member in region.members} | self._regions

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions.values())

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._regions)

    def terms(self, standing: Standing, *, confirm_first: bool = False) -> Terms:
        """What holds for whoever is of such ``standing`` and may send; ``confirm_first`` as the settings have it."""
        region = self.of(standing.region)
        caps = region.caps_at(standing.age)
        return Terms(
            age=standing.age,
            region=standing.region,
            gift_cap=caps.gift_cap,
            streak_cap=caps.streak_cap,
            day_cap=caps.day_cap,
            month_cap=caps.month_cap,
            velocity_rate=region.velocity_rate,
            velocity_burst=region.velocity_burst,
            confirm_above=region.confirm_above,
            confirm_first=confirm_first,
        )

    def of(self, code: str) -> Region:
        """The region of a country, or with that id; ``other`` for all that no region has, and for ''."""
        return self._of.get(code) or self._regions[OTHER]


def load_regions(path: str = "") -> Regions:
    """Read the regions at ``path``, or the package's own.

    Raises:
        BadRegions: with the file, the line and the reason.
    """
    return read_regions(read_toml(path, "regions.toml", BadRegions))


def parse_regions(text: str, name: str) -> Regions:
    """The regions in ``text``; ``name`` is for errors."""
    return read_regions(TomlFile(text, name, BadRegions))


def read_regions(file: TomlFile) -> Regions:
    """All ``[[region]]`` of a file. Raises BadRegions."""
    file.only("region")
    regions = file.tables("region", Region, REGIONS_MAX)
    file.once("region", [region.id for region in regions])
    taken: dict[str, str] = {}
    for number, region in enumerate(regions):
        for member in region.members:
            if taken.setdefault(member, region.id) != region.id:
                raise file.wrong("region", number, ["countries"], f"{member} is in region {taken[member]!r} already")
        if not region.countries and region.id.islower() and region.id != OTHER:
            raise file.wrong("region", number, ["id"], f"it is no country, and region {region.id!r} names none")
        if region.guardian_age > region.min_age:
            raise file.wrong("region", number, ["guardian_age"], "it is above min_age, so nobody needs a guardian")
        if bool(region.velocity_burst) != bool(region.velocity_rate):
            raise file.wrong("region", number, ["velocity_burst"], "it goes with velocity_rate")
        if region.purchase_currency not in ({*EXPONENTS} if region.purchase_day or region.purchase_month else {""}):
            reason = "purchase_currency is to be a currency, and goes with purchase_day or purchase_month"
            raise file.wrong("region", number, ["purchase_currency"], reason)
        for place, (caps, older) in enumerate(pairwise(region.caps), 1):
            if older.from_age <= caps.from_age:
                raise file.wrong("region", number, ["caps", place, "from_age"], "the youngest come first")
    if OTHER not in {region.id for region in regions}:
        raise file.wrong("region", 0, [], f"no region is {OTHER!r}, which holds for all that is not named")
    return Regions(regions)
