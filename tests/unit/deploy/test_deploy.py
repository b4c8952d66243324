"""What is in ``deploy/``: it names metrics, error codes, settings and files that there are, and linters agree."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gifting import config, errors
from gifting.api.metrics import PROCESS, TABLE
from gifting.ledger.cluster.address import ClusterAddress
from gifting.ledger.safety import WANTED
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "gifting"
COMPOSES = {
    name: yaml.safe_load((DEPLOY / name).read_text()) for name in ("docker-compose.yml", "docker-compose.cluster.yml")
}
COMPOSE, ON_CLUSTER = COMPOSES.values()
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
CLUSTER_VALUES = yaml.safe_load((CHART / "values-cluster.yaml").read_text())
DASHBOARD = json.loads((DEPLOY / "grafana" / "gifting.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
KUBERNETES = "1.30"

NEEDS_HELM = pytest.mark.skipif(not shutil.which("helm"), reason="helm is not installed")
NEEDS_PROMTOOL = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
NEEDS_SYSTEMD = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


def run(*command: str | Path, where: Path = DEPLOY) -> str:
    """What a command says, which must succeed."""
    ended = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def series() -> set[str]:
    """Every name that a query may use."""
    names = set(PROCESS)
    for row in TABLE:
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(row.kind, ("",))
        names |= {row.name + ending for ending in endings}
    return names


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]
    for rule in rules():
        yield rule["expr"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


def test_queries_name_metrics_that_there_are() -> None:
    used = {name for query in queries() for name in re.findall(r"\b(?:gifting|process)_\w+", query)}
    assert used <= series()
    shown = {re.sub(r"_(total|bucket)$", "", name) for name in used}
    assert {row.name for row in TABLE} <= shown, "each metric is shown on the dashboard or raises an alert"


def test_alerts_name_codes_and_settings_that_there_are() -> None:
    codes = {error.code for error in errors.all_errors()}
    flags = {row.flag for row in config.table()}
    for rule in rules():
        for matched in re.findall(r'code=~?"([^"]+)"', rule["expr"]):
            assert set(matched.split("|")) <= codes, rule["alert"]
        said = " ".join(rule["annotations"].values())
        assert set(re.findall(r"--[a-z-]+", said)) <= flags, rule["alert"]


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_every_setting_that_is_named_is_one() -> None:
    known = {row.env for row in config.table()}
    named = {name for compose in COMPOSES.values() for name in compose["services"]["gifting"]["environment"]}
    named |= {f"GIFTING_{name.upper()}" for values in (VALUES, CLUSTER_VALUES) for name in values["settings"]}
    for path in (*CHART.rglob("*.yaml"), *CHART.rglob("*.txt"), *(DEPLOY / "systemd").iterdir()):
        named |= set(re.findall(r"\bGIFTING_[A-Z_]*[A-Z]", path.read_text()))
    assert {name for name in named if name.startswith("GIFTING_")} <= known


@pytest.mark.parametrize("compose", COMPOSES.values(), ids=COMPOSES)
def test_the_compose_file_declares_what_it_uses(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"], volume
        if "extends" in service:
            assert service["extends"]["service"] in COMPOSES[service["extends"]["file"]]["services"], name
        assert set(service.get("networks", ())) <= set(compose.get("networks", ())), name
    assert (DEPLOY / services["gifting"]["build"] / "Dockerfile").is_file()


def test_the_compose_files_redis_is_one_that_the_server_takes() -> None:
    command = COMPOSE["services"]["redis"]["command"]
    given = dict(zip(command[1::2], command[2::2], strict=True))
    assert given["--appendonly"] == "yes"
    assert given["--appendfsync"] == "always"
    assert given["--maxmemory-policy"] == "noeviction"


def nodes_of_the_cluster() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in ON_CLUSTER["services"].items() if name.startswith("redis-")}


def test_every_node_of_the_compose_files_cluster_is_one_that_the_server_takes() -> None:
    assert len(nodes_of_the_cluster()) == 6
    for service in nodes_of_the_cluster().values():
        given = dict(zip(service["command"][1::2], service["command"][2::2], strict=True))
        assert all(given.get(f"--{name}") == value for name, value in WANTED.items())
        assert given["--cluster-require-full-coverage"] == "no"
        assert int(given["--min-replicas-to-write"]) >= 1
        assert int(given["--min-replicas-max-lag"]) >= 1


def test_the_compose_files_cluster_is_formed_of_all_its_nodes_and_known_to_the_server() -> None:
    services, nodes = ON_CLUSTER["services"], nodes_of_the_cluster()
    addresses = [service["networks"]["cluster"]["ipv4_address"] for service in nodes.values()]
    assert len(set(addresses)) == len(nodes)
    assert set(services["cluster"]["depends_on"]) == set(nodes)
    (listed,) = re.findall(r'nodes="(.*)"', services["cluster"]["command"][-1])
    assert listed.split() == [f"{address}:6379" for address in addresses]
    settings = config.load({}, services["gifting"]["environment"] | {"GIFTING_SECRET": "x" * 32})
    assert settings.on_cluster
    assert {host for host, _ in ClusterAddress(settings.redis).seeds} <= set(addresses)


@pytest.mark.parametrize("compose", COMPOSES.values(), ids=COMPOSES)
def test_prometheus_scrapes_the_metrics_listener(compose: dict[str, Any]) -> None:
    environment = compose["services"]["gifting"]["environment"]
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == [f"gifting:{environment['GIFTING_METRICS_PORT']}"]
    assert all(f'job="{scraped["job_name"]}"' in rule["expr"] for rule in rules() if "up{" in rule["expr"])


@NEEDS_PROMTOOL
def test_promtool_takes_the_rules_and_their_tests_hold() -> None:
    run("promtool", "check", "config", "prometheus.yml", where=DEPLOY / "prometheus")
    run("promtool", "test", "rules", "alerts_test.yml", where=DEPLOY / "prometheus")


@NEEDS_SYSTEMD
def test_systemd_takes_the_unit_and_calls_it_closed(tmp_path: Path) -> None:
    unit = tmp_path / "gifting.service"
    text = (DEPLOY / "systemd" / "gifting.service").read_text()
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    assert run("systemd-analyze", "verify", unit) == ""
    exposure = re.search(
        r"level for gifting.service: ([\d.]+)", run("systemd-analyze", "security", "--offline=true", unit)
    )
    assert exposure is not None
    assert float(exposure[1]) < 2


@NEEDS_HELM
@pytest.mark.parametrize(
    "flags", ["", "ingress.enabled=true,ingress.tlsSecretName=tls,metrics.serviceMonitor=true,replicas=1"]
)
@pytest.mark.parametrize("values", ["values.yaml", "values-cluster.yaml"])
def test_helm_takes_the_chart(values: str, flags: str) -> None:
    chosen: list[str | Path] = [CHART, "--values", CHART / values]
    run("helm", "lint", "--strict", *chosen)
    text = run("helm", "template", "shop", *chosen, "--kube-version", KUBERNETES, *(("--set", flags) if flags else ()))
    made = {document["kind"]: document for document in yaml.safe_load_all(text)}
    (container,) = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert ("GIFTING_DURABILITY" in {entry["name"] for entry in container["env"]}) is ("cluster" in values)
    assert {entry["name"] for entry in container["env"]} <= {row.env for row in config.table()}
    assert ("Ingress" in made, "ServiceMonitor" in made, "PodDisruptionBudget" in made) == (
        (True, True, False) if flags else (False, False, True)
    )


@NEEDS_HELM
@pytest.mark.parametrize("flag", ["settings.secret=abc", "settings.redis=x", "terminationGracePeriodSeconds=1"])
def test_the_chart_refuses_secrets_among_settings_and_a_stop_that_is_too_short(flag: str) -> None:
    with pytest.raises(AssertionError, match="don't meet the specifications"):
        run("helm", "template", "shop", CHART, "--kube-version", KUBERNETES, "--set", flag)
