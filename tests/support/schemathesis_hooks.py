"""Who schemathesis is: an operator, with a token of its own for each request."""

from __future__ import annotations

import time
from typing import Any

import schemathesis

from gifting.wire.tokens import issue
from tests.support.server import SECRET

AHEAD = 20
"""Seconds that the tokens are ahead of now, within the leeway: so none falls to a revocation of everybody."""


@schemathesis.auth(refresh_interval=None)
class Operator:
    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        return issue(SECRET, "op", "operator", now=time.time() + AHEAD, ttl=1000)

    def set(self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"
