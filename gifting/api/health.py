"""Whether this process is alive, and whether it works."""

from __future__ import annotations

from typing import Final

from gifting.api.access import PUBLIC
from gifting.api.call import Call
from gifting.api.endpoint import Done, Endpoint
from gifting.errors import NotReady


async def health(call: Call) -> Done:
    return Done(True)


async def ready(call: Call) -> Done:
    problems = call.services.health.problems
    if problems:
        raise NotReady(" ".join(f"{part}: {why}" for part, why in problems.items()))
    return Done(True)


ENDPOINTS: Final = (
    Endpoint("GET", "/healthz", "Whether the process is alive", PUBLIC, health, Done, cost=0),
    Endpoint("GET", "/readyz", "Whether it works; names what does not", PUBLIC, ready, Done, cost=0),
)
