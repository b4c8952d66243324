"""The way of a gift on a cluster: when it counts, what is said again, who is told what, and what rooms say before it."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/ledger/cluster/link.py",
        "links",
        ("lacks = self._pace.awaited.lacks(self._node, replies[len(calls) :])", "lacks = ''"),
        ("            self._resting = self._loop.call_later(self._pace.pause, self._rested)\n", "            pass\n"),
        (
            "        self._round = Round(self.give_back(), [], monotonic())\n",
            "        self._round = Round([self._ready.pop()], [], monotonic())\n",
        ),
        ("        self.asking.call_each(", "        self.connector.call_each("),
    ),
    *of(
        "gifting/ledger/cluster/awaited.py",
        "cluster/awaited",
        ("if silent := sorted(listed - about.following):", "if False:"),
        ("sorted(about.following - listed)", "sorted(about.following)"),
        ("found >= len(about.following)", "found >= len(listed)"),
        ("        if not listed:\n", "        if False:\n"),
        ('if one["state"] == "online"', ""),
        ("max(len(about.following), len(listed))", "len(listed)"),
        ("max(len(about.following), len(listed))", "len(about.following)"),
        ("listed - about.present, about.history", "listed - about.following, about.history"),
        ('("stats",) if node.id in self._absences.watched else ()', "()"),
        ("if isinstance(each, Exception):", "if False:"),
        ("            if found < self._count:\n", "            if False:\n"),
    ),
    *of(
        "gifting/ledger/cluster/absent.py",
        "cluster/awaited",
        ("            self.watched.discard(master)\n", ""),
        ("        if not history:\n", "        if False:\n"),
        ("known is None or known.history != history", "known is None"),
        ("known.since.get(replica, now)", "now"),
        ("if since < now - self._lag() / 1000", ""),
        ("found - known.excused", "found"),
        ("self._masters.get(master)", "next(iter(self._masters.values()), None)"),
    ),
    *of(
        "gifting/ledger/cluster/links.py",
        "links",
        ("            if became is Fate.NOT_RUN:\n", "            if False:\n"),
        ("            await self._cluster.refresh()\n", "            pass\n"),
        ("            self._ask_later(query, replies)\n", "            query.done(replies)\n"),
        ("        for call in link.give_back():\n", "        for call in ():\n"),
        ("        if self._is_over(call.until):\n", "        if self._failed.done():\n"),
    ),
    *of(
        "gifting/ledger/cluster/links.py",
        "cluster_gifts",
        ("                call.whole = True\n", ""),
    ),
    *of(
        "gifting/ledger/cluster/frees.py",
        "cluster_failures",
        ("            if held:\n", "            if True:\n"),
    ),
    *of(
        "gifting/ledger/cluster/late.py",
        "cluster/late_bounds cluster/late",
        ("                errands.keep([Completion(item.sender, key, *found)])\n", ""),
        ("        if self._find is None or self.busy:\n", "        if self._find is None:\n"),
        ("            async with asyncio.timeout(PATIENCE):\n", "            async with asyncio.timeout(60):\n"),
        ('        await redis.set(f"{room.base}:waited", "")\n', ""),
        ("        if await lookup.given(user, key) != given:\n", "        if False:\n"),
        ("            self._task = None\n", ""),
        ("if entry.seq == given.seq:", "if True:"),
    ),
    *of(
        "gifting/ledger/lookup.py",
        "cluster/late",
        ("        if self._keys.apart:  # where a credit may be late\n", "        if False:\n"),
    ),
    *of(
        "gifting/ledger/cluster/errands.py",
        "cluster_failures",
        ("        self._completions += completions\n", ""),
    ),
    *of(
        "gifting/ledger/cluster/asked.py",
        "cluster_asked",
        ("            if said and holds:\n", "            if said:\n"),
        ("    while len(known) >= most:\n", "    while False:\n"),
        ("        if age >= RENEWED:\n", "        if room is None:\n"),
    ),
)
