"""What the tests of the load in C share."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifting.bench.native import compile_drive


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_drive(tmp_path_factory.mktemp("drive"))
