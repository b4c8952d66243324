"""The image, as far as that goes without an engine: what is written, its entry in a shell, its health check."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificate import make_certificate
from tests.support.paths import ROOT
from tests.support.server import SECRET, Server

DOCKERFILE = (ROOT / "Dockerfile").read_text()
REDIS = "redis://user:hidden@redis:6379/0"


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


async def run(*command: str, **environment: str) -> tuple[int, str]:
    """A command's exit status and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which ``gifting`` tells its command line and what it has in the environment."""
    fake = tmp_path / "gifting"
    fake.write_text('#!/bin/sh\ntr "\\0" "\\n" < /proc/$$/cmdline\necho "redis=$GIFTING_REDIS"\n')
    fake.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


async def test_the_entry_passes_flags_on_and_keeps_secrets_out_of_the_command_line(path: str) -> None:
    entry = json.loads(instructions("ENTRYPOINT")[0])
    given = {"PATH": path, "GIFTING_REDIS": REDIS, "GIFTING_SECRET": SECRET}
    status, said = await run(*entry, "--workers", "2 or so", **given)
    assert status == 0
    *command, environment = said.splitlines()
    assert command[-3:] == ["serve", "--workers", "2 or so"]
    assert environment == f"redis={REDIS}"
    assert not any("hidden" in part or SECRET in part for part in command)


@pytest.mark.parametrize("missing", ["GIFTING_REDIS", "GIFTING_SECRET"])
@pytest.mark.parametrize("empty", [True, False])
async def test_the_entry_refuses_to_start_without(path: str, missing: str, empty: bool) -> None:
    entry = json.loads(instructions("ENTRYPOINT")[0])
    given = {"PATH": path, "GIFTING_REDIS": REDIS, "GIFTING_SECRET": SECRET}
    given = {**given, missing: ""} if empty else {name: value for name, value in given.items() if name != missing}
    status, said = await run(*entry, **given)
    assert status != 0
    assert f"set {missing}" in said
    assert "serve" not in said


def test_the_user_is_a_number_and_no_instruction_has_a_secret() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions("USER")[-1])
    assert not [line for line in instructions("(?:ENV|ARG)") if "SECRET" in line or "REDIS" in line]
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nENTRYPOINT ")


async def test_the_health_check_asks_the_configured_port(tmp_path: Path, redis_url: str, redis_client: Any) -> None:
    command = json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])
    assert command[0] == "python"
    check = [sys.executable, *command[1:]]
    certificate, key = make_certificate(tmp_path)
    kinds: tuple[dict[str, Any], ...] = ({}, {"tls_cert": str(certificate), "tls_key": str(key)})
    for tls in kinds:
        async with Server(tmp_path / "data", redis_url, host="0.0.0.0", **tls) as server:
            given = {f"GIFTING_{name.upper()}": value for name, value in tls.items()}
            given |= {"GIFTING_HOST": "0.0.0.0", "GIFTING_PORT": server.url.rpartition(":")[2]}
            given |= {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "http_proxy": "http://127.0.0.1:1"}
            assert await run(*check, **given) == (0, "")
            other = {name: value for name, value in given.items() if "TLS" not in name} if tls else None
            assert other is None or (await run(*check, **other))[0] == 1
        status, said = await run(*check, **given)
        assert (status, said.startswith("not ready: no answer")) == (1, True)


def test_the_image_has_what_is_locked_and_nothing_else() -> None:
    runs = instructions("RUN")
    assert "pip wheel --no-cache-dir --require-hashes --wheel-dir /wheels -r requirements.lock" in runs
    for line in runs:
        if "pip " in line and "--require-hashes" not in line:
            assert "--no-deps" in line or "--no-index" in line, line
