"""How many gifts share a ledger call: what explains the CPU of each."""

from __future__ import annotations

import asyncio
import re
from typing import Final, NamedTuple

from gifting.client.http import exchange
from gifting.errors import GiftingError
from gifting.load.plan import Target

ANSWER_WITHIN_S: Final = 10.0
LINE: Final = re.compile(r'^gifting_ledger_(items|batches)_total\{.*?node="([^"]*)".*?\} (\S+)$', re.MULTILINE)


class Calls(NamedTuple):
    """What a node has committed: ``items`` (gifts, and events that cost nothing) in so many calls."""

    items: int
    calls: int
    node: str = ""

    def since(self, before: Calls) -> Calls | None:
        """What came between; None where another process answered, of several behind one port."""
        if before.node != self.node:
            return None
        return Calls(self.items - before.items, self.calls - before.calls, self.node)


async def read_calls(target: Target) -> Calls | None:
    """From ``/metrics``; None where that is not shown to us."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            _, answer = await exchange(f"http://{target.host}:{target.port}", "GET", "/metrics", "", b"")
    except (GiftingError, OSError, TimeoutError):
        return None
    found = {name: (int(float(value)), node) for name, node, value in LINE.findall(answer.decode())}
    if found.keys() != {"items", "batches"}:
        return None
    (items, node), (calls, _) = found["items"], found["batches"]
    return Calls(items, calls, node)
