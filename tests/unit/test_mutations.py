"""The list of mutants is that of this code; ``tests/mutants.py`` says whether they are noticed."""

from __future__ import annotations

import pytest

from tests.mutations import ALL, Mutant
from tests.support.paths import ROOT


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: f"{mutant.file}: {mutant.old[:60].strip()!r}")
def test_what_a_mutant_changes_is_there_once(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
