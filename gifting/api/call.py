"""One request, as the handlers and the rules of access see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gifting.api.services import Services
from gifting.wire.tokens import Identity

NOBODY: Final = Identity(user="", role="viewer", token_id="", expires=0)


class Call(NamedTuple):
    """Who makes it (NOBODY where no token is needed), its values and body, and the server's parts.

    ``headers`` are by lower-case name.
    """

    services: Services
    identity: Identity
    path: dict[str, str]
    query: dict[str, int]
    words: dict[str, str]
    body: Any
    base_url: str
    headers: Mapping[str, str]
