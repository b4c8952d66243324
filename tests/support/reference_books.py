"""The books as a whole, specified: what orders, gifts, their reversals and payouts do to users' coins and to creators'
diamonds, call by call.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tests.support.reference_creators import Office
from tests.support.reference_orders import Shop


@dataclass
class GiftBack:
    """A gift, and what its reversal moved: paid, bonus, settled coins; diamonds taken, owed, borne by the platform."""

    user: str
    host: str
    coins: int
    diamonds: int
    day: int
    coins_back: tuple[int, int, int] | None = None
    taken: tuple[int, int, int] | None = None


class Books:
    """By the key of each gift."""

    def __init__(self, per_coin: Fraction) -> None:
        self.shop = Shop()
        self.office = Office(per_coin)
        self.gifts: dict[bytes, GiftBack] = {}
        self.granted = 0
        self.cases: dict[str, str] = {}

    def grant(self, user: str, coins: int) -> int:
        self.granted += coins
        purse = self.shop.purse(user)
        purse.put_in(0, coins)
        return purse.coins

    def gift(self, key: bytes, user: str, host: str, coins: int, day: int) -> str:
        purse = self.shop.purse(user)
        if self.shop.frozen(user):
            return "account_frozen"
        if purse.coins < coins:
            return "insufficient_coins"
        purse.spend(coins)
        diamonds = self.office.earner(host).earn(coins, self.office.per_coin, day)
        self.gifts[key] = GiftBack(user, host, coins, diamonds, day)
        return "ok"

    def give_back(self, key: bytes) -> tuple[int, int, int]:
        """The sender's side, once."""
        gift = self.gifts[key]
        if gift.coins_back is None:
            gift.coins_back = self.shop.purse(gift.user).unspend(gift.coins, self.shop.kept(gift.user))
        return gift.coins_back

    def take_from_host(self, key: bytes, today: int, *, platform_bears: bool) -> tuple[int, int, int]:
        """The host's side, once."""
        gift = self.gifts[key]
        if gift.taken is None:
            if platform_bears:
                gift.taken = 0, 0, gift.diamonds
            else:
                gift.taken = *self.office.earner(gift.host).claw_back(gift.diamonds, gift.day, today), 0
        return gift.taken

    def resolve(self, case: str, outcome: str) -> bool:
        """Whether that is how it was decided, once for ever."""
        return self.cases.setdefault(case, outcome) == outcome

    @property
    def coins_add_up(self) -> bool:
        """All coins that came in are in purses, taken back, or spent on gifts that stand."""
        orders = self.shop.orders.values()
        came = self.granted + sum(one.coins + one.bonus for one in orders if one.place >= 0)
        taken = sum(sum(one.out) for one in orders)
        spent = sum(gift.coins for gift in self.gifts.values() if gift.coins_back is None)
        return came == taken + spent + sum(purse.coins - purse.debt for purse in self.shop.purses.values())
