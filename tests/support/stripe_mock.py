"""stripe-mock, which answers as Stripe's own OpenAPI document says and refuses what that does not have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

VERSION = "v0.203.0"
BUILT_WITHIN = 110
"""Seconds."""


def build_stripe_mock(folder: Path) -> Path:
    """Built from the Go module proxy; skips where that can't be."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not Path(go).exists():
        pytest.skip("go, which builds stripe-mock, is not here")
    built = subprocess.run(
        [go, "install", f"github.com/stripe/stripe-mock@{VERSION}"],
        env=os.environ | {"GOBIN": str(folder)},
        capture_output=True,
        text=True,
        timeout=BUILT_WITHIN,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"stripe-mock can't be built: {built.stderr[-200:]}")
    return folder / "stripe-mock"


@contextmanager
def stripe_mock(binary: Path) -> Iterator[str]:
    """Its address, while it runs."""
    process = subprocess.Popen([binary, "-http-addr", "127.0.0.1:"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = None
        while found is None and (line := process.stdout.readline()):
            found = re.search(r"HTTP at address: (127\.0\.0\.1:\d+)", line)
        assert found is not None, "stripe-mock did not start"
        yield f"http://{found[1]}"
    finally:
        process.kill()
        process.communicate()
