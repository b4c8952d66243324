"""Money in: what is issued twice, taken back wrong, or not seen by the audit."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/model/consequences.py",
        "model/orders lots",
        (
            "return _clamp(named + max(plain, unnamed) - _surplus(order), order.price)",
            "return named + max(plain, unnamed)",
        ),
        (
            "    plain -= sum(one.amount for one in _unlinked(order)) + _surplus(order)\n",
            "    plain -= _surplus(order)\n",
        ),
        ("if order.payments and not order.issued else Coins(0, 0)", "if order.payments else Coins(0, 0)"),
        ("    if order.warned_at > order.cleared_at:\n", "    if order.warned_at:\n"),
    ),
    *of(
        "gifting/model/orders.py",
        "model/orders ledger/orders",
        ("        return self.at > self.failed_at\n", "        return self.at >= self.failed_at\n"),
        ("        return self.lost_at > self.won_at\n", "        return bool(self.lost_at)\n"),
        ("    if effect.provider != order.provider:\n", "    if False:\n"),
        ("    return whole * share // total\n", "    return -(-whole * share // total)\n"),
    ),
    *of(
        "gifting/model/lots.py",
        "lots ledger/orders",
        ("        paid -= here\n", ""),
        ("    return max(min(gone, order.price) - money_promised(order), 0)\n", "    return min(gone, order.price)\n"),
        ("    return min(max(share, 0), bonus)\n", "    return max(share, 0)\n"),
        ("    return good and now < withdrawable_until(order)\n", "    return good\n"),
    ),
    *of(
        "gifting/ledger/lua/order_put.lua",
        "ledger/orders statuses economy_example",
        ("if tonumber(redis.call('HGET', KEYS[7], 'v') or 0) ~= version then", "if false then"),
        ("account.coins - account.bonus < least_paid or account.bonus < least_bonus", "account.bonus < least_bonus"),
        ("if cold and (redis.call('HGET', a.cold, user) or '') ~= cold then", "if false then"),
        ("  if before ~= bits then\n", "  if before < bits then\n"),
        (
            "enter(REVERSAL, id, of_paid - paid_in, of_bonus - bonus_in, debt - settled)",
            "enter(REVERSAL, id, of_paid, of_bonus, debt)",
        ),
    ),
    *of(
        "gifting/ledger/order_books.py",
        "ledger/orders attack_orders::test_a_script_that_breaks_off_issues_nothing_twice_and_closes_the_books",
        ("            await self._refer(put.order, references)\n", ""),
        ("                    if found != place.encode():\n", "                    if False:\n"),
        ("        self._calls.halt.check()  # what broke off must not be told of as known\n", ""),
    ),
    *of(
        "gifting/ledger/lua/promotion_reserve.lua",
        "promotions statuses",
        ("(redis.call('HGET', KEYS[1], 'used') or 0) + cost > budget", "false"),
        ("  if not known then\n    use(cost)\n  end\n", "  use(cost)\n"),
        ("  if state == 'h' then\n    redis.call('HDEL'", "  if state then\n    redis.call('HDEL'"),
    ),
    *of(
        "gifting/ledger/audit/orders.py",
        "audit_orders",
        ("        if kept != due:\n", "        if False:\n"),
        ("        if behind := change(order):\n", "        if False and (behind := change(order)):\n"),
        ("    for moved in moves:\n", "    for moved in ():\n"),
    ),
)
