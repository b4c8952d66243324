"""The way of a batch on this side: queue, connection, what an error means, what each item is told."""

from __future__ import annotations

from tests.mutations.mutant import LEDGER, of

MUTANTS = (
    *of(
        "gifting/ledger/flights.py",
        "batcher faults order attack_batcher attack_halt",
        # What has no key must not be sent again.
        ("item in items if item.sender is not None)", "item in items)"),
        ("        abandon(item for item in items if item.sender is None)\n", ""),
        # What was sent may have been taken.
        ("(replace(item, sent=True) for item", "(item for item"),
        (
            "            abandon(items)\n            self._halted",
            "            refuse(items, errors.LedgerUnavailable())\n            self._halted",
        ),
        ("            abandon(self.flying.popleft().items)\n", "            self.flying.popleft()\n"),
        # A script that failed half-way stops everything.
        ('            self._halted(f"commit: {error}")\n', ""),
        # Order.
        ("len(self.flying) < FLIGHTS_MAX and self._calls.linked", "len(self.flying) < FLIGHTS_MAX"),
        ("len(self.flying) < FLIGHTS_MAX and self", "self"),
        ("beside = bool(self.flying)", "beside = False"),
        ("link=full", "link=False"),
        ("        if self.again or not self._connector.up:", "        if not self._connector.up:"),
        ("        if self.again or not self._connector.up:", "        if self.again:"),
        # What is forgotten, full.
        ("            self._calls.load_script()\n", ""),
        ("            refuse(items, errors.LedgerFull())", "            self.again += items"),
    ),
    *of(
        "gifting/ledger/batcher.py",
        "batcher faults order attack_batcher attack_halt",
        # Order.
        ("put_back(self._flights.take_again())", "put_back(reversed(self._flights.take_again()))"),
        (
            "        self._queue.put_back(self._flights.take_again())\n",
            "        for item in self._flights.take_again():\n            self._queue.append(item)\n",
        ),
        ("least = self._batch_max if self._flights", "least = 1 if self._flights"),
        ("full=len(batch) == self._batch_max", "full=False"),
        (
            "        if not self._flights.flying:\n            if self._flights.again",
            "        if True:\n            if self._flights.again",
        ),
        # What is late, over.
        ("        if self._closed is not None:\n            raise self._closed()\n", ""),
        ("        if self._closed is not None:\n            self.close(self._closed)\n", ""),
        ("expire(self._time() - self._timeout)", "expire(0.0)"),
        ("refuse((*self._flights.take_again(), *self._queue), why())", "refuse(self._queue, why())"),
        ("        self._queue.clear()\n", ""),
        ("bool(self._queue.size or self._flights.flying or self._flights.again)", "bool(self._queue.size)"),
        ("        if queued == 1 or queued == self._batch_max:  # noqa: PLR1714\n", "        if queued == 1:\n"),
        ("        connector.came_up.append(self._settle)\n", ""),
        ("        connector.tried.append(self._expire)\n", ""),
    ),
    *of(
        "gifting/ledger/commit.py",
        f"commit batcher faults {LEDGER} clock attack_batcher attack_halt",
        ("errors.Unconfirmed() if item.sender is None else errors.OutcomeUnknown()", "errors.OutcomeUnknown()"),
        (
            "        if item.sent:\n            abandon((item,))\n        else:\n            tell(item, error)",
            "        tell(item, error)",
        ),
        ("    if len(replies) != count:\n", "    if False:\n"),
        ("if len(batch) == 1 else", "if batch else"),
        ("keys = senders_bulks(sender.base) + keys", "keys = senders_bulks(room.base) + keys"),
        ("_lone_places(sender.number)", "_lone_places(sender.number + 1)"),
        ("zip(items, replies, strict=True)", "zip(items, reversed(replies), strict=True)"),
        ("        place = targets.get(target)\n", "        place = None\n"),
        (
            "heads += (rooms.get(room.keys) or rooms.add(room), target)",
            "heads += (rooms.get(batch[0].room.keys) or rooms.add(batch[0].room), target)",
        ),
        ("[spot.number for spot in buckets.found]", "[spot.number + 1 for spot in buckets.found]"),
        (
            "    try:\n        item.done(outcome)\n    except Exception:",
            "    try:\n        item.done(outcome)\n    except ZeroDivisionError:",
        ),
    ),
    *of(
        "gifting/ledger/commit_call.py",
        "batcher order faults attack_batcher attack_halt",
        (
            "after = self._name() if beside else _NONE\n            self._number += 1\n",
            "self._number += 1\n            after = self._name() if beside else _NONE\n",
        ),
        ('bulk(f"{chain}:{token_hex(8)}".encode())', "bulk(chain.encode())"),
        ("        self.linked = link\n", "        self.linked = True\n"),
        ("        self._loaded = False\n", "        self._loaded = True\n"),
    ),
    *of(
        "gifting/ledger/redis_errors.py",
        "redis_errors batcher faults attack_batcher attack_halt",
        ("    if isinstance(error, ResponseError) and _IN_SCRIPT in str(error):\n        return Fate.BROKEN\n", ""),
        ("return Fate.NOT_RUN if str(error).startswith(_NOT_RUN_CODES) else Fate.BROKEN", "return Fate.NOT_RUN"),
        ("    return Fate.UNKNOWN\n", "    return Fate.NOT_RUN\n"),
        ("        return Fate.NO_MEMORY\n", "        return Fate.BROKEN\n"),
    ),
    *of(
        "gifting/ledger/queue.py",
        "queue",
        ("            if len(gifts) >= self._gifts_max:\n", "            if len(gifts) > self._gifts_max:\n"),
        ("        elif len(self._free) >= self._free_max:\n", "        elif len(self._free) > self._free_max:\n"),
        ("self._first.extendleft(reversed(back))", "self._first.extendleft(back)"),
        ("self._free[0][0] <= self._taken and", "True and"),
        ("found += self._take_gifts(before - self._taken)", "found += self._take_gifts(0)"),
        ("min(len(self._free), places // FREE_SHARE)", "0"),
        ("        found = list(self._first)\n", "        found: list[PendingCommit] = []\n"),
    ),
    *of(
        "gifting/ledger/halt.py",
        "attack_halt",
        ("        if self.why:\n            raise LedgerHalted\n", ""),
        ("        self._stop()\n", ""),
        ('        self._health.fail("ledger", f"It is halted: {why}")\n', ""),
        ('            self._telling = asyncio.create_task(self._tell(self.why), name="ledger: halt")\n', ""),
        ("        if found and not self.why:\n", "        if False:\n"),
    ),
    *of(
        "gifting/ledger/gifts.py",
        f"gifts spending {LEDGER}",
        (
            '        if not 1 <= count <= MAX_COUNT:\n            raise BadAmount(f"count',
            '        if count > MAX_COUNT:\n            raise BadAmount(f"count',
        ),
        ("price * count)\n", "price)\n"),
        ("count)) if message is None and not confirmed else None", "count)) if not confirmed else None"),
        ("count)) if message is None and not confirmed else None", "count)) if message is None else None"),
        (
            "        if message is None and not confirmed and order.sold:\n",
            "        if not confirmed and order.sold:\n",
        ),
        (
            "        if message is None and not confirmed and order.sold:\n",
            "        if message is None and order.sold:\n",
        ),
        ("get((sender, room, gift_id, count))", "get((sender, room, gift_id, 1))"),
        ('str(count), message or "", *filter', "str(count), *filter"),
        ("content_digest(user, room, gift,", "content_digest(user, gift,"),
    ),
    *of(
        "gifting/ledger/wallets.py",
        LEDGER,
        ("content_digest(user, str(coins), reason)", "content_digest(user, reason)"),
    ),
    *of(
        "gifting/ledger/ledger.py",
        LEDGER,
        ("        if dearest * numerator + denominator > MAX_AMOUNT:\n", "        if False:\n"),
    ),
)
