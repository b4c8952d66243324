"""A Redis Cluster's routes: who has a slot, what is said again, what must never be, and what a replica has."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/ledger/cluster/slots.py",
        "cluster/slots",
        ("    middles[0] = SLOTS // (2 * PARTITIONS_MAX)\n", ""),
        ("(2 * number + 1) * SLOTS", "2 * number * SLOTS"),
        ("tag if opened and closed and tag else name", "tag if opened and closed else name"),
    ),
    *of(
        "gifting/ledger/keys.py",
        "cluster/slots",
        ("self.bases[0] if self.apart else self.base(name)", "self.base(name)"),
        ("self.bases[0] if self.apart else self.base(name)", "self.bases[0]"),
    ),
    *of(
        "gifting/ledger/cluster/request.py",
        "cluster/request",
        ('own.append(("SET", beside(key, "waited"), ""))', "pass"),
        ("return self.confirmed and any(", "return any("),
        ("not self.waits or (copied and marked)", "not self.waits or copied"),
        ("not self.waits or (copied and marked)", "copied and marked"),
        ("isinstance(last, OutOfMemoryError)", "False"),
        ("each if isinstance(each, Exception) else error for each", "error for each"),
        ("if ran_alone or isinstance(done, Unanswered):", "if isinstance(done, Unanswered):"),
        ("if ran_alone or isinstance(done, Unanswered):", "if ran_alone:"),
        ("not scripts.only_reads(text)", "True"),
        ("not scripts.only_reads(text)", "False"),
        ("count + len(absent), *keys, *absent", "count, *keys"),
    ),
    *of(
        "gifting/ledger/redis_errors.py",
        "cluster/request",
        (
            'known = isinstance(error, _TURNED_AWAY) or str(error).startswith("NOREPLICAS ")',
            "known = isinstance(error, _TURNED_AWAY)",
        ),
        ("return known and fate(error) is Fate.NOT_RUN", "return known"),
    ),
    *of(
        "gifting/ledger/scripts.py",
        "cluster/request cluster/moving_slots",
        ('return beside(key, "never/1"), beside(key, "never/2")', 'return beside(key, "never/1"), "never/2"'),
        ('_FOR_CLUSTER = "KEYS[#KEYS] = nil KEYS[#KEYS] = nil "', '_FOR_CLUSTER = "KEYS[#KEYS] = nil "'),
    ),
    *of(
        "gifting/ledger/cluster/router.py",
        "cluster/failover cluster/moving_slots",
        (
            "            words += self.awaited.asks(node, round(WAIT_SHARE * 1000 * self._timeout))\n",
            '            words.append(("ECHO", 1))\n',
        ),
        ("waits and not self.awaited.lacks(node, replies[before:])", "waits"),
        ("            await self._look_again([turned.error for turned in away])\n", "            break\n"),
        (
            "            if isinstance(error, AuthenticationError) and not self.map.topology.ranges:\n                raise",
            "            if False:\n                raise",
        ),
    ),
    *of(
        "gifting/ledger/cluster/exchange.py",
        "cluster/client cluster/failover",
        ('            connection.fail(Unanswered("It was given up."))', "            pass"),
        ("self._places.release()", "pass"),
        ("Unanswered(str(reply)) if self._connection.lost.done() else reply", "reply"),
    ),
    *of(
        "gifting/ledger/cluster/map.py",
        "cluster/map",
        (
            "        if self._looking is None:\n            self._looking = asyncio.create_task",
            "        if True:\n            self._looking = asyncio.create_task",
        ),
        ("await asyncio.shield(self._looking)", "await self._looking"),
        ("            self._next = loop.time() + REFRESH_EVERY\n", ""),
        ("*([told] if told else []), ", ""),
    ),
)
