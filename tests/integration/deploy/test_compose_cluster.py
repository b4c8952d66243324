"""The compose file's cluster, as far as that goes without an engine: its flags, and what forms it, on real nodes."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis
import yaml

from gifting.config import load
from gifting.ledger.embedded.ports import free_ports
from gifting.ledger.ledger import Ledger
from gifting.model.catalog import load_catalog
from tests.support.paths import ROOT
from tests.support.redis_server import folder_in_memory, redis_server

SERVICES = yaml.safe_load((ROOT / "deploy" / "docker-compose.cluster.yml").read_text())["services"]
NODES = [service for name, service in SERVICES.items() if name.startswith("redis-")]

pytestmark = pytest.mark.skipif(not shutil.which("redis-cli"), reason="redis-cli is not installed")


@pytest.fixture
def ports() -> Iterator[dict[str, int]]:
    """Addresses of the file → ports here, of nodes that run by the file's flags and know nothing of each other."""
    with ExitStack() as stack:
        found = {}
        for node in NODES:
            ports = free_ports()
            stack.callback(ports.release)
            flags = [*node["command"][1:], "--port", str(ports.port), "--cluster-port", str(ports.bus)]
            flags += ["--bind", "127.0.0.1", "--cluster-announce-ip", "127.0.0.1"]
            folder = stack.enter_context(folder_in_memory())
            stack.enter_context(redis_server(folder, flags, f"redis://127.0.0.1:{ports.port}", redis.Redis.ping))
            found[node["networks"]["cluster"]["ipv4_address"]] = ports.port
        yield found


def form(ports: dict[str, int]) -> str:
    """Do what the file's service does, with the addresses that there are here; what it says."""
    _, _, script = SERVICES["cluster"]["command"]
    for address, port in ports.items():
        script = script.replace(f"{address}:6379", f"127.0.0.1:{port}").replace(f"-h {address} ", f"-p {port} ")
    assert "10.89" not in script
    done = subprocess.run(
        ["sh", "-ec", script.replace("$$", "$")], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


async def test_its_cluster_forms_and_is_one_that_the_server_takes(
    ports: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert "Performing hash slots allocation" in await asyncio.to_thread(form, ports)
    assert await asyncio.to_thread(form, ports) == ""  # it is there already
    url = SERVICES["gifting"]["environment"]["GIFTING_REDIS"]
    for address, port in ports.items():
        url = re.sub(rf"{re.escape(address)}:6379", f"127.0.0.1:{port}", url)
    settings = load({"redis": url, "durability": SERVICES["gifting"]["environment"]["GIFTING_DURABILITY"]}, environ={})
    ledger = Ledger(settings.redis, settings, load_catalog())
    try:
        async with asyncio.timeout(30):
            await ledger.start()
    finally:
        await ledger.stop()
    assert "16 partitions on 3 masters" in caplog.text
    assert "spread unevenly" not in caplog.text
