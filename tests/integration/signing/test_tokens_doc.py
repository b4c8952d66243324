"""docs/tokens.md is true: its examples run, its tables are those of the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from typing import get_args

import msgspec
import pytest

from gifting import config
from gifting.api.endpoints import ENDPOINTS
from gifting.config import SECRETS_MAX
from gifting.ledger.overlays import ROOMS_OF_A_HOST
from gifting.ledger.revocations import KEPT_BEYOND, OVERLAYS_MAX, REVOKED_MAX
from gifting.model.ids import ID, TOKEN_ID
from gifting.model.standing import AGE_MAX, Standing
from gifting.signing.keeper import ASKED_EVERY
from gifting.wire.close import CloseCode
from gifting.wire.jwks import JWKS_MAX, KEYS_MAX, RSA_BITS
from gifting.wire.keyring import Keyring
from gifting.wire.tokens import (
    ISSUED_AGE,
    ISSUED_REGION,
    LEVEL_MAX,
    NAME_MAX,
    PICTURE_MAX,
    TOKEN_MAX,
    Role,
    Rules,
    _Claims,
    verify,
)
from tests.support.paths import ROOT

TEXT = (ROOT / "docs" / "tokens.md").read_text(encoding="utf-8")
SECRET = "a secret for tests only, 32 bytes+"


def example(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def printed(*command: str) -> str:
    done = subprocess.run(
        command, env=os.environ | {"GIFTING_SECRET": SECRET}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def check(token: str) -> None:
    found = verify(Keyring([SECRET]), token, now=time.time())
    assert (found.user, found.role, found.name) == ("ann", "viewer", "Ann Ä")
    assert found.standing == Standing(30, "US")
    assert 3590 < found.expires - time.time() <= 3601


def test_the_python_of_a_backend() -> None:
    check(printed(sys.executable, "-c", example("python") + "\nprint(viewer_token('ann', 'Ann Ä', 30, 'US'))"))


def test_the_node_of_a_backend() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    check(printed(node, "-e", example("js") + "\nconsole.log(viewerToken('ann', 'Ann Ä', 30, 'US'));"))


def test_every_claim_role_and_endpoint_is_there() -> None:
    for field in msgspec.structs.fields(_Claims):
        assert re.search(rf"^\| [^|]*`{field.name}`[^|]* \|", TEXT, re.MULTILINE), field.name
    for role in get_args(Role):
        assert f"| `{role}` |" in TEXT
    for row in ENDPOINTS:
        if ("token" in row.path and row.method == "DELETE") or "revocations" in row.path:
            assert f"`{row.method} {row.path}`" in TEXT


def test_its_numbers_are_those_of_the_code() -> None:
    usual = config.load({}, {})
    assert "years, which your platform has verified: 0 to 150;" in TEXT and AGE_MAX == 150
    assert "`gifting token viewer --user ann` prints one, of age 30 in the US" in TEXT
    assert (ISSUED_AGE, ISSUED_REGION) == (30, "US")
    assert "1 to 64 ASCII letters" in TEXT and "{1,64}" in ID and "{1,128}" in TOKEN_ID
    assert (NAME_MAX, PICTURE_MAX, TOKEN_MAX, LEVEL_MAX) == (64, 300, 4096, 2**31)
    assert (usual.token_leeway, usual.token_ttl_max, usual.room_overlay_tokens) == (30, 366 * 86400, 100)
    assert (usual.jwks_roles, usual.jwks_refresh, usual.jwks_max_age) == ("viewer,creator", 300, 86400)
    assert (8, 32, 65536, range(2048, 8193)) == (SECRETS_MAX, KEYS_MAX, JWKS_MAX, RSA_BITS)
    assert (ASKED_EVERY, KEPT_BEYOND, ROOMS_OF_A_HOST) == (10, 3600, 10)
    assert (REVOKED_MAX, OVERLAYS_MAX) == (100_000, 200_000)
    assert CloseCode.TOKEN_REVOKED.value == 4502


def cli(*flags: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gifting", "token", *flags],
        env=os.environ | {"GIFTING_SECRET": SECRET, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_prints_a_token() -> None:
    done = cli("viewer", "--user", "ann", "--name", "Ann Ä", "--ttl", "3600")
    check(done.stdout.strip())
    done = cli("viewer", "--user", "ann", "--age", "0", "--region", "", "--account", "business")
    assert verify(Keyring([SECRET]), done.stdout.strip(), now=time.time()).standing == Standing(0, "", "business")
    done = cli("creator", "--user", "ann", GIFTING_TOKEN_ISSUER="app", GIFTING_TOKEN_AUDIENCE="gifts")
    rules = Rules(issuer="app", audience="gifts")
    assert verify(Keyring([SECRET]), done.stdout.strip(), now=time.time(), rules=rules).role == "creator"
    done = cli("creator", "--user", "ann", "--mfa")
    assert time.time() - 60 < verify(Keyring([SECRET]), done.stdout.strip(), now=time.time()).mfa_at <= time.time()


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("overlay", "--user", "ann"), "bad_setting"),
        (("viewer", "--user", "a b"), "bad_setting"),
        (("viewer", "--user", "ann", "--ttl", "99999999"), "bad_token"),
        (("viewer", "--user", "ann", "--name", "two\nlines"), "bad_token"),
        (("viewer", "--user", "ann", "--region", "usa"), "bad_token"),
        (("viewer", "--user", "ann", "--account", "A b"), "bad_token"),
    ],
)
def test_the_command_prints_no_token_that_no_server_takes(flags: tuple[str, ...], code: str) -> None:
    done = cli(*flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"gifting: {code}: " in done.stderr
