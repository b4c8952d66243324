"""The settings' bounds: each number has both, what is beyond is refused by name, and the documentation says them."""

from __future__ import annotations

import pytest
from typer import Typer
from typer.testing import CliRunner

from gifting.cli.app import app
from gifting.cli.serve import from_table
from gifting.config import PARTITIONS_MAX, SECRETS, Setting, Settings, load, table
from gifting.configdoc import render
from gifting.errors import BadSetting

NUMBERS = [row for row in table() if row.type in (int, float)]


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_a_number_has_bounds(row: Setting) -> None:
    assert row.least is not None
    assert row.most is not None
    for beyond in (row.least - 1, row.most + 1):
        with pytest.raises(BadSetting, match=f"{row.name} is "):
            load({row.name: row.type(beyond)}, {})


@pytest.mark.parametrize("row", [row for row in NUMBERS if row.type is float], ids=lambda row: row.name)
@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_a_time_or_rate_is_finite(row: Setting, text: str) -> None:
    with pytest.raises(BadSetting, match=f"{row.name} is "):
        load({}, {row.env: text})


def test_the_documentation_says_the_bounds() -> None:
    text = render()
    assert f"| `GIFTING_PARTITIONS` | `16` | from 1 to {PARTITIONS_MAX} |" in text
    assert "| `GIFTING_STREAK_WINDOW` | `3.0` | from 0.05 to 60 |" in text
    assert "| `GIFTING_TOKEN_TTL_MAX` | `31622400.0` | from 60 to 31622400 |" in text


def test_what_is_on_can_be_turned_off_by_a_flag() -> None:
    given: dict[str, object] = {}
    command = Typer()
    command.command()(from_table(lambda **flags: given.update(flags)))
    switches = [row for row in table() if row.type is bool]
    result = CliRunner().invoke(command, [row.unflag if row.default else row.flag for row in switches])
    assert result.exit_code == 0, result.output
    settings = load(given, {})
    assert {row.name: getattr(settings, row.name) for row in switches} == {
        row.name: not row.default for row in switches
    }


def test_the_help_says_defaults_and_the_environment_by_section() -> None:
    said = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "400"}).stdout
    for row in table():
        assert (f"(default {row.default!r}, env {row.env})" in said) is (row.name not in SECRETS), row.name
    assert (
        said.index(" The ledger ")
        < said.index("--streak-window")
        < said.index(" Payments ")
        < said.index("--providers")
    )


@pytest.mark.parametrize(
    ("durability", "replicas"), [("every-replica", 1), ("replica", 1), ("disk", 0), ("managed", 0)]
)
@pytest.mark.parametrize("scheme", ["redis+cluster", "rediss+cluster"])
def test_a_cluster_waits_for_all_replicas_unless_told_otherwise(scheme: str, durability: str, replicas: int) -> None:
    redis = f"{scheme}://a:7000,b:7000"
    assert Settings(redis=redis).every_replica
    settings = Settings(redis=redis, durability=durability)
    assert (settings.replicas_waited, settings.every_replica) == (replicas, durability == "every-replica")


@pytest.mark.parametrize("redis", ["", "redis://a", "rediss://a", "unix:///a"])
def test_one_redis_has_no_other_durability_than_its_disk(redis: str) -> None:
    for durability in ("replica", "disk", "managed"):
        with pytest.raises(BadSetting, match="is for a Redis Cluster"):
            Settings(redis=redis, durability=durability)


def test_a_durability_that_is_none_is_refused() -> None:
    with pytest.raises(BadSetting, match="must be one of every-replica, replica, disk, managed"):
        Settings(redis="redis+cluster://a", durability="quorum")
