"""Two versions side by side: what is compared, and what counts as worse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checkout import ROOT, CheckoutError, checkout, run_module
from benchmarks.micro import instructions
from benchmarks.paired import Comparison, Pairs, compare, table


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m ARGUMENTS`` in this checkout."""
    wide = os.environ | {"COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=wide, capture_output=True, text=True, check=False
    )


def worktrees() -> str:
    return subprocess.run(["git", "worktree", "list"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def rows(*pairs: tuple[float, float], figure: str = "server_us_per_gift") -> list[Comparison]:
    """The gift path in rounds that had these figures, before and now."""
    results: list[tuple[dict[str, Any], dict[str, Any]]] = [({figure: before}, {figure: now}) for before, now in pairs]
    return list(compare(Pairs(gift=results)))


def test_a_figure_is_worse_if_its_median_is_and_every_pair_too() -> None:
    [clear] = rows((10, 11), (10, 12), (10, 10.5))
    assert (clear.before, clear.now, clear.ratios) == (10, 11, [1.1, 1.2, 1.05])
    assert clear.worse_than(3)
    assert not clear.worse_than(15)
    [noise] = rows((10, 11), (10, 12), (10, 9.9))
    assert not noise.worse_than(3)


def test_more_gifts_per_second_are_better() -> None:
    [fewer] = rows((1000, 900), figure="gifts_per_s")
    [more] = rows((900, 1000), figure="gifts_per_s")
    assert fewer.worse_than(3)
    assert not more.worse_than(3)


def test_what_one_side_has_not_is_left_out() -> None:
    assert list(compare(Pairs(gift=[({"ack": {"p99": 1.0}}, {"ack": {}})], idle=[({}, {})]))) == []


def test_the_table_has_a_line_per_figure() -> None:
    found = table([*rows((10, 11)), *rows((5, 5), figure="redis_us_per_gift")], 3.0)
    assert found.row_count == 2


def test_another_commit_is_run_from_its_own_tree_and_leaves_none() -> None:
    with checkout("HEAD") as tree:
        assert str(tree) in worktrees()
        assert (tree / "gifting" / "cli").exists()
        run_module(tree, ["gifting", "--help"])
        with pytest.raises(CheckoutError, match="ended with 2"):
            run_module(tree, ["gifting", "no-such-command"])
        assert tree.parent.parent != ROOT
    assert str(tree) not in worktrees()


def test_what_cannot_be_compared_is_said() -> None:
    for module in (["benchmarks.paired", "no-such-commit"], ["benchmarks.micro", "--against-commit", "no-such-commit"]):
        done = run(*module)
        assert done.returncode == 2
        assert "no-such-commit" in done.stdout + done.stderr
    both = run("benchmarks.micro", "--against", "a.json", "--against-commit", "HEAD")
    assert both.returncode == 2
    assert "give one" in both.stdout
    assert run("benchmarks.paired", "HEAD", "--only", "gift,nothing").returncode == 2


@pytest.mark.timeout(400)  # valgrind's is a slow machine, and not the only one on a busy one
@pytest.mark.skipif(not instructions.available(), reason="there is no valgrind")
def test_inner_loops_are_compared_with_a_commit_by_one_command() -> None:
    done = run("benchmarks.micro", "--quick", "--case", "decode send_gift, msgpack", "--against-commit", "HEAD")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "decode send_gift, msgpack" in done.stdout
    assert "missing" not in done.stdout


def test_a_paired_bench_prints_the_ratio_of_each_figure(tmp_path: Path) -> None:
    short = "--duration 0.5 --warmup 0 --viewers 2 --senders 2"
    file = tmp_path / "pairs.json"
    done = run("benchmarks.paired", "HEAD", "--rounds", "1", "--only", "light", "--flags", short, "--save", str(file))
    assert done.returncode in {0, 1}, done.stdout + done.stderr  # so short a run may be slower; that is not the point
    assert "light" in done.stdout
    assert "server_us_per_gift" in done.stdout
    assert file.exists()
