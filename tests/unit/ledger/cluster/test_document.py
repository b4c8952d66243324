"""docs/cluster.md says what is so: every start check by its code; only settings, metrics and alerts that there are."""

from __future__ import annotations

import re

import pytest
import yaml

from gifting import config, errors
from gifting.api.metrics import TABLE
from gifting.config.bounds import PARTITIONS_MAX
from gifting.config.settings import _WORDS
from gifting.ledger.cluster import checks, faults, keeping
from gifting.ledger.cluster.slots import SLOTS
from gifting.ledger.cluster.survey import GUARDS, LAGS
from gifting.ledger.safety import WANTED
from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "cluster.md").read_text()
ALERTS = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()


def rows(chapter: str) -> dict[str, list[str]]:
    """The rows of a chapter's table: first cell → the others; backticks are taken off the first."""
    text = TEXT.split(f"## {chapter}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {first.strip("`"): rest for first, *rest in cells[2:]}


def test_every_check_at_the_start_has_its_row() -> None:
    told = rows("Before it starts")
    known = {error.code: error for error in errors.UnfitCluster.__subclasses__()}
    assert told.keys() == known.keys() | {"bad_setting"}
    for code, error in known.items():
        assert told[code][-1] == ("yes" if error.risk else "") or code == "cluster_service", code


def test_every_setting_of_redis_that_is_checked_is_named() -> None:
    checked = rows("Before it starts")
    for name, value in WANTED.items():
        assert f"`{name} {value}`" in checked["cluster_unsafe"][0]
    for guard in GUARDS:
        assert f"`{guard}" in TEXT
    for name in LAGS:
        assert f"`{name}" in checked["cluster_stale"][0]
    assert f"more than {keeping.LONGEST // 60_000} min" in checked["cluster_stale"][0]
    assert str(SLOTS) in checked["cluster_down"][0]
    assert f"less than {faults.SKEW_MAX / 1000:.0f} s apart" in checked["cluster_clocks"][0]
    assert f"within {checks.PROBE_TIMEOUT / 1000:.0f} s" in checked["cluster_unconfirmed"][0]
    assert f"every {checks.CHECK_EVERY:.0f} s" in TEXT
    assert f"`{checks.PART}`" in TEXT


def test_every_durability_has_its_row() -> None:
    told = rows("When a gift is acknowledged")
    assert {first.split("`")[0] for first in told} == set(_WORDS["durability"])


def test_what_is_named_is_there() -> None:
    flags = {row.flag for row in config.table()} | {"--redis", "--cluster", "--from"}
    ours = re.sub(r"`redis-cli[^`]*`|--cluster-\w+", "", TEXT)
    assert set(re.findall(r"--[a-z]+(?:-[a-z]+)*", ours)) <= flags
    assert set(re.findall(r"\bgifting_\w+", TEXT)) <= {row.name for row in TABLE}
    assert set(re.findall(r"\bGifting[A-Z]\w+", TEXT)) <= set(re.findall(r"alert: (\w+)", ALERTS))
    for path in re.findall(r"`((?:deploy|docs|tests)/[\w./-]+)`", TEXT):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\((\w+\.md)", TEXT):
        assert (ROOT / "docs" / path).is_file(), path


def test_every_metric_and_alert_of_a_cluster_is_in_its_table() -> None:
    told = {name for first in rows("Metrics and alerts") for name in re.findall(r"gifting_\w+", first)}
    assert {
        row.name for row in TABLE if row.name.startswith(("gifting_cluster_", "gifting_outbox_", "gifting_fenced"))
    } <= told
    for alert in re.findall(r"alert: (Gifting(?:Cluster|Outbox|Fenced)\w*)", ALERTS):
        assert f"`{alert}`" in TEXT, alert


def test_alerts_name_chapters_that_there_are() -> None:
    for group in yaml.safe_load(ALERTS)["groups"]:
        for rule in group["rules"]:
            said = rule["annotations"]["description"]
            if "docs/cluster.md" in said:
                (chapter,) = re.findall(r'docs/cluster\.md, "([^"]+)"', said)
                assert f"### {chapter}\n" in TEXT, rule["alert"]


@pytest.mark.parametrize("document", ["README.md", "docs/operations.md", "docs/architecture.md"])
def test_others_lead_there(document: str) -> None:
    assert "cluster.md)" in (ROOT / document).read_text()


def test_the_default_of_partitions_is_what_is_advised() -> None:
    (row,) = (row for row in config.table() if row.name == "partitions")
    assert f"**Partitions: {row.default}, and it can't be changed.**" in TEXT
    assert row.default <= PARTITIONS_MAX
