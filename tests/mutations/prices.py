"""Mutants of what coins cost, of promotions, of regions, and of reading them again."""

from __future__ import annotations

from tests.mutations.mutant import of

MODEL = "gifting/model"

MUTANTS = (
    *of(
        f"{MODEL}/prices.py",
        "prices",
        ("return min([coins * price // below.coins, *self.prices[place + 1 : place + 2]])", "return coins * price // below.coins"),
        ("coins * price // below.coins,", "-(-coins * price // below.coins),"),
        ("bisect_right(", "bisect_left("),
        ("        return -(-coins * price // per)", "        return coins * price // per"),
        ("if rate[0] * known[1] > known[0] * rate[1]:", "if rate[0] * known[1] < known[0] * rate[1]:"),
        ("if higher <= price or", "if higher < price or"),
        ("if higher * one.coins > price * more.coins:", "if higher * one.coins > price * more.coins + price:"),
        ("if package or self.custom is None or market.tier != \"web\":", "if package or self.custom is None:"),
        ("if not self.custom.least <= coins <= self.custom.most:", "if not 1 <= coins <= self.custom.most:"),
        ("if type(price) is not int or", "if not isinstance(price, int) or"),
    ),
    *of(
        f"{MODEL}/promotions.py",
        "prices",
        ("begins <= now_ms < ends", "begins <= now_ms <= ends"),
        ("begins <= now_ms < ends", "begins < now_ms < ends"),
        ("(first or not self.first_only)", "first"),
        ("if tier == \"store\" or discount >= price:", "if discount >= price:"),
        ("if tier == \"store\" or discount >= price:", "if tier == \"store\" or discount > price:"),
        ("bonus + -(-coins * discount // price)", "bonus + coins * discount // price"),
        ("mine + cost <= self.per_user", "mine <= self.per_user"),
        ("all_of_it + cost <= self.total", "all_of_it + cost <= self.total + 1"),
        ("return min(found)[2:]", "return max(found)[2:]"),
        ("if gain.cost and promotion.covers(gain.cost, buyer):", "if gain.cost:"),
    ),
    *of(
        f"{MODEL}/regions.py",
        "regions",
        ("if standing.age < max(least, 1):", "if standing.age < least:"),
        ("if standing.age < max(least, 1):", "if standing.age <= max(least, 1):"),
        ("self.guardian_age if guarded and self.guardian_age else", "self.guardian_age if self.guardian_age else"),
        ("for caps in reversed(self.caps)", "for caps in self.caps"),
        ("(self.accounts or accounts)", "accounts"),
    ),
    *of(
        "gifting/rulebook.py",
        "rulebook",
        ("            for check in self._checks:\n                check(rules)\n            self.rules = rules\n", "            self.rules = rules\n            for check in self._checks:\n                check(rules)\n"),
        ("        rules = await self.reload()\n        self._tell_others()\n", "        self._tell_others()\n        rules = await self.reload()\n"),
        ("            asked.clear()\n", ""),
    ),
    *of(
        "gifting/ledger/gifts.py",
        "reload",
        ("        self._orders.clear()\n", ""),
        ("        if not order.sold:\n            done = partial(_refuse_unsold, gift_id, done)\n", ""),
    ),
    *of(
        "gifting/ledger/gifts.py",
        "ledger/gifts",
        ("        if sold:\n            _remember", "        if True:\n            _remember"),
        (" and order.sold:\n", ":\n"),
    ),
    *of(
        "gifting/workers.py",
        "reload",
        ("                self._tell(but=process)\n", "                pass\n"),
        ("                process.stdin.write(RELOAD)\n", "                pass\n"),
    ),
)  # fmt: skip
