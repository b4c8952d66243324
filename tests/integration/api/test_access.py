"""Who may do what over HTTP: every endpoint × role × claim × own or another's, as one table."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gifting.api.endpoints import ENDPOINTS
from gifting.api.openapi import document
from gifting.api.request import PATH_IDS
from gifting.errors import BadToken, Forbidden, GiftingError, Unavailable
from gifting.load.operator import Operator
from gifting.wire.tokens import ROLES, Role
from tests.support.keys import new_key
from tests.support.server import Server

pytestmark = pytest.mark.attack

CLAIMS = ("", "r1", "r2")
"""The rooms that a token is bound to: none, the one that is asked about, another."""

TABLE = """
    endpoint                                       operator       creator        viewer         overlay
                                                   own    other   own    other   own    other   own    other
    POST /v1/rooms                                 yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    GET /v1/rooms                                  ynn    ynn     ynn    ynn     ynn    ynn     -nn    -nn
    GET /v1/rooms/{room}                           yyn    yyn     yyn    yyn     yyn    yyn     -yn    -yn
    DELETE /v1/rooms/{room}                        yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    PATCH /v1/rooms/{room}                         yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    POST /v1/reports                               yyn    yyn     yyn    yyn     yyn    yyn     -nn    -nn
    GET /v1/reports                                ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    DELETE /v1/reports/{report}                    ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    POST /v1/users/{user}/ban                      ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    POST /v1/users/{user}/unban                    ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    GET /v1/bans                                   ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    GET /v1/rooms/{room}/held                      yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    POST /v1/rooms/{room}/held/{held}              yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    DELETE /v1/rooms/{room}/comments/{seq}         yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    GET /v1/rooms/{room}/people                    yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    PATCH /v1/rooms/{room}/people/{person}         yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    PUT /v1/rooms/{room}/moderators/{user}         yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    DELETE /v1/rooms/{room}/moderators/{user}      yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    GET /v1/rooms/{room}/events                    yyn    yyn     yyn    yyn     yyn    yyn     -yn    -yn
    GET /v1/rooms/{room}/top                       yyn    yyn     yyn    yyn     yyn    yyn     -yn    -yn
    POST /v1/rooms/{room}/gifts                    yyn    yyn     yyn    yyn     yyn    yyn     -nn    -nn
    POST /v1/purchases                             nnn    nnn     ynn    ynn     ynn    ynn     -nn    -nn
    GET /v1/purchases                              nnn    nnn     ynn    ynn     ynn    ynn     -nn    -nn
    GET /v1/purchases/{order}                      ynn    ynn     ynn    ynn     ynn    ynn     -nn    -nn
    POST /v1/purchases/{order}/claim               ynn    ynn     ynn    ynn     ynn    ynn     -nn    -nn
    POST /v1/purchases/{order}/withdraw            ynn    ynn     ynn    ynn     ynn    ynn     -nn    -nn
    POST /v1/purchases/{order}/clear               ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    GET /v1/purchases/{order}/gifts                ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    POST /v1/purchases/{order}/refund              ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    POST /v1/support/cases                         nnn    nnn     ynn    ynn     ynn    ynn     -nn    -nn
    GET /v1/support/cases                          ynn    ynn     ynn    ynn     ynn    ynn     -nn    -nn
    GET /v1/support/cases/{case}                   ynn    ynn     ynn    ynn     ynn    ynn     -nn    -nn
    POST /v1/support/cases/{case}/resolve          ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    POST /v1/payouts                               nnn    nnn     ynn    ynn     nnn    nnn     -nn    -nn
    GET /v1/payouts                                ynn    ynn     ynn    ynn     nnn    nnn     -nn    -nn
    GET /v1/admin/payouts                          ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    GET /v1/payouts/{payout}                       ynn    ynn     ynn    ynn     nnn    nnn     -nn    -nn
    POST /v1/payouts/{payout}/approve              ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    POST /v1/payouts/{payout}/reject               ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    GET /v1/users/{user}/wallet                    ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    GET /v1/users/{user}/gifts/{key}               ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    POST /v1/users/{user}/grants                   ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    POST /v1/users/{user}/gifts/{key}/reverse      ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    GET /v1/users/{user}/history                   ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    DELETE /v1/users/{user}/personal-data          ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    GET /v1/creators/{creator}/earnings            ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    GET /v1/creators/{creator}/statements/{period} ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    GET /v1/creators/{creator}                     ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    GET /v1/creators/{creator}/balance             ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    PUT /v1/creators/{creator}/tier                ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    PUT /v1/creators/{creator}/kyc                 ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    PUT /v1/creators/{creator}/hold                ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    PUT /v1/creators/{creator}/destination         nnn    nnn     yyy    nnn     yyy    nnn     -nn    -nn
    GET /v1/users/{user}/limits                    ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    PUT /v1/users/{user}/limits                    ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    GET /v1/users/{user}/spending                  ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    POST /v1/users/{user}/break                    ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    POST /v1/users/{user}/exclusion                ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    GET /v1/users/{user}/wards                     ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    PUT /v1/users/{user}/guardian                  ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    POST /v1/users/{user}/guardian/accept          nnn    nnn     nnn    nnn     nnn    nnn     -nn    -nn
    DELETE /v1/users/{user}/guardian               ynn    ynn     yyy    nnn     yyy    nnn     -nn    -nn
    PUT /v1/users/{user}/guardian/limits           ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    POST /v1/rooms/{room}/overlay-tokens           yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    DELETE /v1/rooms/{room}/overlay-tokens/{token_id}
                                                   yyn    yyn     yyn    nnn     nnn    nnn     -nn    -nn
    POST /v1/tokens/revocations                    ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    POST /v1/admin/reload                          ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    GET /v1/admin/acts                             ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
    GET /v1/admin/ledger                           ynn    ynn     nnn    nnn     nnn    nnn     -nn    -nn
"""
"""``own``: the token is of the user it is about (the host of r1); the three letters are the claims of CLAIMS.

``y``: may. ``n``: 403. ``-``: there is no such token. A room is asked about as r1, a user as the host of r1.
"""

BODIES: dict[str, Any] = {
    "POST /v1/reports": {"kind": "spam", "room": "r1"},
    "POST /v1/users/{user}/ban": {"reason": "a test"},
    "POST /v1/users/{user}/unban": {"reason": "a test"},
    "POST /v1/rooms/{room}/held/{held}": {"post": True},
    "POST /v1/rooms": {"room": "r1", "host": "host"},
    "POST /v1/rooms/{room}/gifts": {"gift": "spark"},
    "POST /v1/users/{user}/grants": {"coins": 7, "reason": "a test"},
    "POST /v1/users/{user}/break": {"hours": 1},
    "POST /v1/users/{user}/exclusion": {"days": None},
    "PUT /v1/users/{user}/guardian": {"guardian": "mum"},
    "POST /v1/rooms/{room}/overlay-tokens": {"ttl": 100},
    "POST /v1/tokens/revocations": {"token_id": "made-up"},
    "POST /v1/purchases": {"package": "coins-350", "provider": "sandbox"},
    "POST /v1/purchases/{order}/claim": {"receipt": "made-up"},
    "POST /v1/purchases/{order}/withdraw": {},
    "POST /v1/purchases/{order}/refund": {"reason": "a test"},
    "POST /v1/users/{user}/gifts/{key}/reverse": {"reason": "a test"},
    "PUT /v1/creators/{creator}/tier": {"tier": "managed", "reason": "a test"},
    "PUT /v1/creators/{creator}/kyc": {"state": "verified", "reason": "a test"},
    "PUT /v1/creators/{creator}/hold": {"held": False, "reason": "a test"},
    "PUT /v1/creators/{creator}/destination": {"provider": "sandbox", "account": "acct_1"},
    "POST /v1/support/cases": {"about": {"gift": new_key()}, "kind": "other"},
    "POST /v1/payouts": {"diamonds": 1, "key": new_key()},
    "POST /v1/payouts/{payout}/approve": {"reason": "a test"},
    "POST /v1/payouts/{payout}/reject": {"reason": "a test"},
    "POST /v1/support/cases/{case}/resolve": {"outcome": "refused", "reason": "a test"},
}


COLUMNS: tuple[Role, ...] = ("operator", "creator", "viewer", "overlay")


class Case(NamedTuple):
    endpoint: str
    role: Role
    user: str
    claim: str
    expected: str


def cases() -> list[Case]:
    """The table, read."""
    words = iter(TABLE.split("other   own    other\n")[1].split())
    found = []
    for method in words:
        endpoint = f"{method} {next(words)}"
        for role, user in itertools.product(COLUMNS, ("host", "someone")):
            found += [Case(endpoint, role, user, *pair) for pair in zip(CLAIMS, next(words), strict=True)]
    return found


AT_ONCE = 64
"""Questions that wait for an answer at a time: each has so long for it that all may not be as quick together."""

NEEDED = {"GET /v1/admin/ledger": "?owner=host"}
"""Queries without which a request is refused before anybody asks who makes it."""


@pytest.fixture
async def server(tmp_path: Path, redis_url: str, redis_client: Any) -> AsyncIterator[Server]:
    async with Server(tmp_path / "data", redis_url, message_rate=10_000, message_burst=10_000) as running:
        await running.room("r1")
        await running.room("r2", "other")
        yield running


async def ask(server: Server, case: Case) -> str:
    method, path = case.endpoint.split()
    path = path.format(
        room="r1",
        user="banned" if path.endswith("ban") else "host",  # whose tokens are revoked then
        token_id="r1~made-up",
        seq=1,
        held="1-1",
        person="host",
        report="0" * 16,
        key=new_key(),
        order=new_key(),
        payout=new_key(),
        case=new_key(),
        creator="host",
        period="2026-01",
    )
    body = BODIES.get(case.endpoint)
    if body is not None and path.endswith(("gifts", "grants", "purchases", "withdraw", "refund", "cases")):
        body = {**body, "key": new_key()}
    caller = server.caller(case.user, case.role, room=case.claim)
    path += NEEDED.get(case.endpoint, "")
    while (said := await answer(caller, method, path, body)) == "later":
        pass
    return said


async def answer(caller: Operator, method: str, path: str, body: Any) -> str:
    """Whether it lets in; "later" where nobody looked whether it may: a busy Redis says nothing of that."""
    try:
        await caller.call(method, path, body)
    except Forbidden:
        return "n"
    except BadToken:
        return "-"
    except Unavailable:
        return "later"
    except GiftingError as error:
        assert error.status != 500, error
    return "y"


def test_the_table_names_every_endpoint_role_and_claim() -> None:
    guarded = {f"{row.method} {row.path}" for row in ENDPOINTS if row.access is not None}
    named = {case[:4] for case in cases()}
    assert named == set(itertools.product(guarded, ROLES, ("host", "someone"), CLAIMS))
    assert {row.path for row in ENDPOINTS if row.access is None} == {
        "/healthz",
        "/readyz",
        "/v1/catalog",
        "/v1/packages",
        "/v1/webhooks/{provider}",
        "/v1/sandbox/checkouts/{checkout}",
        "/v1/sandbox/checkouts/{checkout}/pay",
        "/v1/sandbox/checkouts/{checkout}/confirm",
        "/v1/sandbox/checkouts/{checkout}/cancel",
    }


async def test_every_endpoint_lets_in_whom_the_table_says(server: Server) -> None:
    wanted, gate = cases(), asyncio.Semaphore(AT_ONCE)

    async def found_for(case: Case) -> str:
        async with gate:
            return await ask(server, case)

    found = await asyncio.gather(*map(found_for, wanted))
    differ = [(case, got) for case, got in zip(wanted, found, strict=True) if got != case.expected]
    assert differ == []
    granted = sum(case.expected == "y" and case.endpoint.endswith("grants") for case in wanted)
    assert (await server.operator.wallets(["host"]))["host"] == 7 * granted


async def test_a_token_bound_to_a_room_has_no_power_elsewhere(server: Server) -> None:
    bound = server.caller("op", "operator", room="r1")
    for method, path, body in (
        ("POST", "/v1/users/ann/grants", {"coins": 1000, "key": new_key(), "reason": "mine now"}),
        ("DELETE", "/v1/rooms/r2", None),
        ("POST", "/v1/rooms/r2/overlay-tokens", {}),
        ("POST", "/v1/rooms", {"room": "r3", "host": "ann"}),
        ("GET", "/v1/users/other/wallet", None),
    ):
        with pytest.raises(Forbidden):
            await bound.call(method, path, body)
    assert await server.operator.wallets(["ann"]) == {"ann": 0}
    assert (await server.operator.room("r2"))["state"] == "live"


def test_every_id_in_a_path_is_checked() -> None:
    named = {parameter["name"] for path in document()["paths"].values() for one in path.values()
             for parameter in one["parameters"] if parameter["in"] == "path"}  # fmt: skip
    assert named - {"key", "period"} <= PATH_IDS.keys()
