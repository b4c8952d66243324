"""Who schemathesis is: an operator, or who ``GIFTING_TEST_BUYER`` names; with a token of its own for each request."""

from __future__ import annotations

import os
import time
from typing import Any

import schemathesis

from gifting.wire.tokens import issue
from tests.support.server import SECRET

AHEAD = 20
"""Seconds that the tokens are ahead of now, within the leeway: so none falls to a revocation of everybody."""


@schemathesis.auth(refresh_interval=None)
class Caller:
    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> str:
        now = time.time() + AHEAD
        if buyer := os.environ.get("GIFTING_TEST_BUYER"):
            return issue(SECRET, buyer, "viewer", now=now, ttl=1000, age=30, region="DE")
        return issue(SECRET, "op", "operator", now=now, ttl=1000)

    def set(self, case: schemathesis.Case[Any], data: str, context: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"
