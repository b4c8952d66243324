"""What a server's log says of what operators did, and of who was turned away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gifting import Client, errors
from tests.support.server import Server

pytestmark = pytest.mark.slow


async def act(server: Server) -> None:
    """All that an operator can do, and somebody without a token."""
    operator = server.operator
    await operator.open_room("lobby", "mara", "The lobby")
    await operator.grant("ann", 5, "a test")
    made = await operator.call("POST", "/v1/rooms/lobby/overlay-tokens", {})
    await operator.call("DELETE", f"/v1/rooms/lobby/overlay-tokens/{made['token_id']}")
    await operator.call("POST", "/v1/tokens/revocations", {"user": "bob"})
    async with Client(server.url, server.token("ann")) as ann:
        await ann.send_gift("lobby", "spark")
    await operator.end_room("lobby")
    with pytest.raises(errors.BadToken):
        async with Client(server.url, "nonsense"):
            pass


def log_of(tmp_path: Path) -> str:
    return (tmp_path / "server.log").read_text()


async def test_every_act_has_a_line_and_gifts_have_none(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    async with Server(tmp_path / "data", redis_url, log_format="json") as server:
        await act(server)
    lines = [json.loads(line) for line in log_of(tmp_path).splitlines()]
    acts = [line for line in lines if line["logger"] == "gifting.acts"]
    assert {(line["who"], line["role"]) for line in acts} == {("bench", "operator")}
    assert [line["act"] for line in acts] == [
        *("opened", "granted", "made an overlay token", "revoked an overlay token", "revoked", "ended"),
    ]
    opened, granted, made, revoked, everything, ended = acts
    assert (opened["room"], opened["host"], ended["room"]) == ("lobby", "mara", "lobby")
    assert (granted["user"], granted["coins"], granted["reason"]) == ("ann", 5, "a test")
    assert made["token_id"] == revoked["token_id"] != ""
    assert everything["user"] == "bob"
    (refused,) = [line for line in lines if line["logger"] == "gifting.upgrades"]
    assert refused["message"].startswith("refused to 127.0.0.1: bad_token")
    assert errors.BadToken.help not in log_of(tmp_path)
    assert "eyJ" not in log_of(tmp_path), "no token is logged"


async def test_a_higher_level_leaves_acts_out(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    async with Server(tmp_path / "data", redis_url, log_level="warning") as server:
        await act(server)
    assert "gifting.acts" not in log_of(tmp_path)
    assert "INFO" not in log_of(tmp_path)
