"""What the session's tests run on: which redis-server (``--engine``), and one of it or a cluster (``--redis``)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from gifting.ledger.embedded import find_binary

USES: Final = {"redis_url", "server_redis"}
"""Fixtures of what is a cluster then."""


class Engine:
    """``binary`` is the embedded one unless ``--engine`` says otherwise; ``cluster``: whether ``--redis cluster``."""

    binary: Path | None = None
    cluster = False


def add_options(parser: pytest.Parser) -> None:
    usual = os.environ.get("GIFTING_TEST_REDIS", "one")
    parser.addoption("--redis", choices=("one", "cluster"), default=usual, help="what redis_url leads to")
    parser.addoption("--engine", type=Path, default=None, metavar="PATH", help="a redis-server or valkey-server")


def read_options(config: pytest.Config) -> None:
    Engine.cluster = config.getoption("redis") == "cluster"
    Engine.binary = config.getoption("engine")


def redis_binary() -> Path:
    return Engine.binary or find_binary()


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a cluster: only what uses it, less what is about one Redis."""
    if not Engine.cluster:
        return
    elsewhere = [item for item in items if USES.isdisjoint(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=elsewhere)
    items[:] = [item for item in items if item not in set(elsewhere)]
    for item in items:
        if mark := item.get_closest_marker("one_redis"):
            item.add_marker(pytest.mark.skip(reason=f"about one Redis: {mark.args[0]}"))
