"""Finance: money that is earned too early, twice, or lost between accounts."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/model/deferred.py",
        "journal",
        (
            "        return max(min(part(self.price, self.left, self.coins), self.price - self.back), 0)",
            "        return part(self.price, self.left, self.coins)",
        ),
        ("        self.bonus -= of_bonus\n", ""),
        ("            paid -= lot.left\n", ""),
        ("        of_bonus = max(bonus - settled, 0)\n", "        of_bonus = bonus\n"),
    ),
    *of(
        "gifting/model/journal.py",
        "journal",
        ("            self.refunded[change.lot.currency] += change.released\n", ""),
        ("        self.refunded[BONUS] += before[1] - purse.bonus\n", ""),
        ("before[0] + paid - purse.paid", "before[0] - purse.paid"),
        ("(account, amount), (_of(RECEIVABLE", "(INCOME, amount), (_of(RECEIVABLE"),
        ("(EARNED, -diamonds - debt)", "(EARNED, -diamonds)"),
    ),
    *of(
        "gifting/archive/finance.py",
        "archive/finance archive/finance_months",
        ("0, preceding(month), books, finance.before", "0, preceding(month), books, finance.during"),
        ("finance.broken[0].update(books.old(of_opening))", "books.old(of_opening)"),
        ("(items.c.period <= last)", "(items.c.period < last)"),
        ("sorted(self.days, reverse=newest)", "sorted(self.days)"),
    ),
    *of(
        "gifting/model/deferred.py",
        "archive/finance_months",
        ("if lot.issued < before]", "if lot.issued <= before]"),
    ),
    *of(
        "gifting/economy/providers/stripe_settled.py",
        "economy/settled",
        (" if fee.type == WITHHELD)", ")"),
        ("fee=gross - tax - net", "fee=gross - net"),
        ("return -amount if moved.amount < 0 else amount", "return amount"),
    ),
    *of(
        "gifting/economy/providers/sandbox/settled.py",
        "economy/settled",
        (" if one.at <= now else ()", ""),
        ('Kind.DISPUTE_WON: ("dispute", 1)', 'Kind.DISPUTE_WON: ("dispute", -1)'),
    ),
    *of(
        "gifting/economy/providers/stripe.py",
        "economy/stripe",
        ("if about or kind not in (*OF_ORDERS, *OF_PAYOUTS) else None", "if about else None"),
        ("moves[-1].id if found.has_more and moves", "moves[-1].id if moves"),
        ('(await self._order_of(by.payment_intent) if by.payment_intent else "")', '""'),
    ),
    *of(
        "gifting/archive/statements.py",
        "archive/finance_months",
        ("refunded[key], after - before)", "refunded[key], after)"),
    ),
    *of(
        "gifting/archive/locking.py",
        "archive/finance archive/finance_months",
        ("opened <= month", "opened < month"),
        ("lock.breakage_after if lock else breakage_after", "breakage_after"),
        ("return Told(kept.get(name, computed[name])", "return Told(computed[name]"),
        ('    found += [f"{name}: now {_line(row)}" for row in became - was]\n', ""),
    ),
    *of(
        "gifting/archive/collecting.py",
        "archive/collecting",
        ("Place(max(until - OVERLAP, was.since))", "Place(until)"),
        ("for name, value in was._asdict().items()]", "for name, value in list(was._asdict().items())[:1]]"),
        ("was.until or now", "now"),
        ("at if at and at.since <= now else", "at if at else"),
    ),
    *of(
        "gifting/archive/settling.py",
        "archive/tying archive/collecting",
        ("period = max(month_of(row.at), first_open)", "period = month_of(row.at)"),
        ("following(last) if last else 0", "last or 0"),
        ("    if not is_converted(found):", "    if False:"),
    ),
    *of(
        "gifting/archive/tying.py",
        "archive/tying",
        ("range(OPEN_FOR + 1)", "range(OPEN_FOR)"),
        ("        books = 0\n", ""),
        ("(entries.c.seq <= until.c.last)", "(entries.c.seq >= 0)"),
        ("if sides is PAYOUTS and not books", "if not books"),
        ("            if sides is PAYOUTS and not books and not settled:\n                continue\n", ""),
        ("else_=-entries.c.money)", "else_=entries.c.money)"),
    ),
    *of(
        "gifting/model/settlements.py",
        "economy/settled",
        ("1 + abs(unsure)", "1"),
        ("abs(exact - one.gross) <= 1", "abs(exact - one.gross) <= 4"),
    ),
    *of(
        "gifting/archive/closing.py",
        "archive/closing_lots",
        (' or name[0] == "kept"}', "}"),
    ),
    *of(
        "gifting/archive/sealing.py",
        "archive/sealing",
        ("                await self._pass_over(cursor, now)\n", ""),
        (' or await self._redis.xlen(f"{self._keys.bases[cursor.partition]}:ledger")', ""),
    ),
)
