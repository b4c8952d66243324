"""What reaches a room's viewers, and when."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/hub/pacer.py",
        "pacer",
        ("self._loop.time() + min(perf_counter() - started, self._pause_max)", "0.0"),
        ("min(perf_counter() - started, self._pause_max)", "perf_counter() - started"),
        ("        if at >= self._wake_at:\n", "        if self._wake is not None:\n"),
        ("            self._wake.cancel()\n            self._wake = None\n", "            pass\n"),
        ("        if at <= self._loop.time():\n", "        if True:\n"),
        (" if item.due <= now]", "]"),
        ("            item.dismiss()\n", ""),
    ),
    *of(
        "gifting/wire/batch.py",
        "batch",
        ("            self._unpacker = _unpacker()\n            raise\n", "            raise\n"),
        ("        raise ValueError(", "        ValueError("),
        ("    name += head - _STR8 + 1\n", "    name += 1\n"),
        (
            "if wanted is None or _room_of(payload, start) in wanted:",
            "if wanted is None or _room_of(payload, 0) in wanted:",
        ),
        ("            start = unpacker.tell() - before\n", "            start = unpacker.tell()\n"),
    ),
    *of(
        "gifting/hub/lane.py",
        "hub",
        (" in tuple(self._sharing.items()):", " in self._sharing.items():"),
        ("            del self._sharing[subscription.codec]\n", "            pass\n"),
        ("            subscription.shown = self._shown\n", ""),
    ),
)
