"""Whether this process is alive, and whether it works."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from gifting.api.access import PUBLIC
from gifting.api.call import Call
from gifting.api.endpoint import Done, Endpoint
from gifting.errors import NotReady


class Ready(Struct):
    """``degraded``: parts that are not as they should be, and why; this process serves all the same."""

    ok: Literal[True]
    degraded: dict[str, str] | UnsetType = UNSET


async def health(call: Call) -> Done:
    return Done(True)


async def ready(call: Call) -> Ready:
    problems = call.services.health.problems
    if problems:
        raise NotReady(" ".join(f"{part}: {why}" for part, why in problems.items()))
    return Ready(True, dict(call.services.health.degraded) or UNSET)


ENDPOINTS: Final = (
    Endpoint("GET", "/healthz", "Whether the process is alive", PUBLIC, health, Done, cost=0),
    Endpoint("GET", "/readyz", "Whether it works; names what does not", PUBLIC, ready, Ready, cost=0),
)
