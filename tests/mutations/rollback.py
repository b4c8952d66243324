"""What a failover may lose of a room, and where what a cluster publishes is heard."""

from __future__ import annotations

from tests.mutations.mutant import of

ROOM_LUA = "gifting/ledger/lua/include/room.lua"

MUTANTS = (
    *of(
        "gifting/model/lineage.py",
        "lineage",
        ("all(seq <= base for", "all(seq < base for"),
        ("if later > epoch)", "if later >= epoch)"),
        ("        return self.knows(epoch) and all(", "        return all("),
        ("        return seq <= self.seq and self.keeps", "        return self.keeps"),
        ("        if not (self.epochs and seq):\n", "        if not self.epochs:\n"),
    ),
    *of(
        "gifting/hub/room.py",
        "rollback",
        (
            "        elif batch.epoch != self.history.epoch:\n            self._enter_epoch(batch)\n",
            "",
        ),
        ("        if batch.epoch > self.history.epoch:\n", "        if True:\n"),
        ("            if place >= came or batch.epoch <= self.history.epoch:\n", "            if True:\n"),
        (
            "        if self.history.seq < 0 or self._healing is not None:\n            self._look_again = True\n",
            "        if self._healing is not None or self.history.seq < 0:\n            pass\n",
        ),
        ("            lane.start_over()\n", "            lane.dismiss()\n"),
        ("        self.history.epoch = found.epoch or 0\n", ""),
    ),
    *of(
        "gifting/hub/history.py",
        "rollback",
        ("        self.epoch = batch.epoch\n", ""),
    ),
    *of(
        ROOM_LUA,
        "rollback",
        ("math.max(epoch + 1, time[1] * 1000 + math.floor(time[2] / 1000))", "epoch + 1"),
        ("{ epoch, first.seq - first.count }", "{ epoch, first.seq }"),
        ("  if #known > EPOCHS then\n", "  if false then\n"),
        ("  r.lineage = id .. digits(epoch)\n", ""),
    ),
    *of(
        "gifting/ledger/cluster/feed.py",
        "cluster_feed",
        ("            partition.deafen(self._time())\n            self.doubt()\n", "            pass\n"),
        ("        if partition.wanted or partition is self._first:\n", "        if partition is self._first:\n"),
        ("            if not ear.partitions:\n", "            if False:\n"),
        ("            self._ended = True\n", ""),
        ("        self._resync(partition.base)\n\n    def refuse", "\n    def refuse"),
    ),
    *of(
        "gifting/ledger/cluster/ear.py",
        "cluster_feed",
        ("            self._listener.doubt()\n", "            pass\n"),
    ),
)
