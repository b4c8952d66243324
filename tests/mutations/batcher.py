"""The way of a batch on this side: queue, connection, what an error means, what each item is told."""

from __future__ import annotations

from tests.mutations.mutant import LEDGER, of

# Not here: a connection that is not dropped after a failure. redis-py has dropped it by then; we do not rely on that.
MUTANTS = (
    *of(
        "gifting/ledger/flights.py",
        "batcher faults order attack_batcher attack_halt",
        # What has no key must not be sent again.
        ("(item for item in lost if item.sender is not None)", "lost"),
        ("        abandon(item for item in lost if item.sender is None)\n", ""),
        # What was sent may have been taken.
        ("[item._replace(sent=True) for batch", "[item for batch"),
        (
            "            abandon(self.calls.popleft())\n",
            "            refuse(self.calls.popleft(), errors.LedgerUnavailable())\n",
        ),
        (
            "        for batch in self.calls:\n            abandon(batch)\n",
            "        for batch in self.calls:\n            refuse(batch, errors.LedgerUnavailable())\n",
        ),
        (
            "        finally:\n            self.writing = False\n            self.calls.append(batch)",
            "            refuse(batch, errors.LedgerUnavailable())\n        else:\n            self.calls.append(batch)\n        finally:\n            self.writing = False",
        ),
        # A script that failed half-way stops everything.
        ('            self._halted(f"commit: {error}")\n', ""),
        # Order.
        ("and self._connection.linked and self._connection.up", "and self._connection.up"),
        ("len(self.calls) < FLIGHTS_MAX and self", "self"),
        ("beside=bool(self.calls)", "beside=False"),
        ("link=full", "link=False"),
        # What is forgotten, full.
        ("            self._connection.load_script()\n", ""),
        (
            "            refuse(self.calls.popleft(), errors.LedgerFull())",
            "            self.again += self.calls.popleft()",
        ),
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
        (
            "        if self._flights.again:\n            return False\n        if self._flights.calls and",
            "        if self._flights.calls and",
        ),
        ("            return self._queue.size >= self._batch_max\n", "            return self._queue.size > 0\n"),
        ("full=len(batch) == self._batch_max", "full=False"),
        (
            "            if not self._flights.calls and not self._flights.writing:\n                if self._flights.again",
            "            if not self._flights.writing:\n                if self._flights.again",
        ),
        # What is late, over.
        ("        if self._closed is not None:\n            raise self._closed()\n", ""),
        ("        if self._closed is not None:\n            self.close(self._closed)\n", ""),
        ("expire(self._time() - self._timeout)", "expire(0.0)"),
        ("refuse((*self._flights.take_again(), *self._queue), why())", "refuse(self._queue, why())"),
        ("        self._queue.clear()\n", ""),
        ("not (self._queue.size or flights.calls or flights.again or flights.writing)", "not self._queue.size"),
        ("        if queued == 1 or queued == self._batch_max:  # noqa: PLR1714\n", "        if queued == 1:\n"),
    ),
    *of(
        "gifting/ledger/commit.py",
        f"commit batcher faults {LEDGER} clock attack_batcher attack_halt",
        ("errors.Unconfirmed() if item.sender is None else errors.OutcomeUnknown()", "errors.OutcomeUnknown()"),
        (
            "        if item.sent:\n            abandon((item,))\n        else:\n            _resolve(item, error)",
            "        _resolve(item, error)",
        ),
        ("    if len(replies) != count:\n", "    if False:\n"),
        ("if len(batch) == 1 else", "if batch else"),
        ("    if sender.base != room.base:\n", "    if False:\n"),
        ("_lone_places(count, sender.number)", "_lone_places(count, sender.number + 1)"),
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
        "gifting/ledger/commit_connection.py",
        "batcher order faults attack_batcher attack_halt",
        ("after = str(self._number) if beside else", "after = str(self._number + 1) if beside else"),
        ('        self._chain = f"{chain}:{token_hex(8)}"\n', "        self._chain = chain\n"),
        ("        self.linked = link\n", "        self.linked = True\n"),
        ("        self._loaded = False\n", "        self._loaded = True\n"),
    ),
    *of(
        "gifting/ledger/fate.py",
        "fate batcher faults attack_batcher attack_halt",
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
        f"gifts {LEDGER}",
        (
            '        if not 1 <= count <= MAX_COUNT:\n            raise BadAmount(f"count',
            '        if count > MAX_COUNT:\n            raise BadAmount(f"count',
        ),
        ("        coins = gift.coins * count\n", "        coins = gift.coins\n"),
        ("gift_id, count)) if message is None else None", "gift_id, count))"),
        ("        if message is None:\n            _remember", "        if True:\n            _remember"),
        ("get((sender, room, gift_id, count))", "get((sender, room, gift_id, 1))"),
        (
            'money.content_digest(sender.id, room.id, gift_id, str(count), message or "")',
            "money.content_digest(sender.id, room.id, gift_id, str(count))",
        ),
        (
            'money.content_digest(sender.id, room.id, gift_id, str(count), message or "")',
            'money.content_digest(sender.id, gift_id, str(count), message or "")',
        ),
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
