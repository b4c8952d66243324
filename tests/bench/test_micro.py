"""The inner loops do what they are measured for, and the check finds a case that got worse."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from benchmarks.micro import instructions, ratios, samples
from benchmarks.micro.cases import CASES, FRAME_EVENTS, READERS, Case
from benchmarks.micro.measurement import Measurement, Method, compare
from benchmarks.micro.stage import Stage
from gifting.wire.codec import JSON, MSGPACK
from tests.support.paths import ROOT


def check(*args: str) -> subprocess.CompletedProcess[str]:
    """``python -m benchmarks.micro --quick`` on the cases with ``decode`` in their name."""
    command = [sys.executable, "-m", "benchmarks.micro", "--quick", "--case", "decode", *args]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"COLUMNS": "120"}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as built:
        yield built


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(
            "instructions",
            marks=[
                pytest.mark.skipif(not instructions.available(), reason="there is no valgrind"),
                pytest.mark.timeout(400),  # some fifty times as slow
            ],
        ),
        "ratios",
    ],
)
def test_the_check_passes_against_itself_and_fails_against_a_doctored_file(tmp_path: Path, method: Method) -> None:
    file = tmp_path / "results" / "micro.json"
    saved = check("--method", method, "--save", str(file))
    assert saved.returncode == 0, saved.stdout + saved.stderr
    found = Measurement.read(file)
    assert found.method == method
    assert len(found.cases) == 2
    # Ratios spread, the more so with neighbours: this is about the check, not about the machine.
    patience = "5" if method == "instructions" else "200"
    again = check("--against", str(file), "--tolerance", patience)
    assert again.returncode == 0, again.stdout + again.stderr
    first, second = found.cases
    doctored = msgspec.structs.replace(found, cases={first: found.cases[first] / 10, "decode by hand": 1.0})
    doctored.write(file)
    worse = check("--against", str(file), "--tolerance", patience)
    assert worse.returncode == 1
    assert f"WORSE: {first}" in worse.stdout
    assert f"missing: {second} is not in the file" in worse.stdout
    assert "missing: decode by hand is not in this version" in worse.stdout


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    file = tmp_path / "micro.json"
    Measurement(method="ratios", cases={}, made_with={}).write(file)
    for args in (["--against", str(file), "--method", "instructions"], ["--against", "none.json"], ["--method", "x"]):
        done = check(*args)
        assert done.returncode == 2
        assert "benchmarks.micro: " in done.stdout


def test_rows_name_what_is_missing_and_what_got_worse() -> None:
    rows = {row.name: row for row in compare({"a": 106.0, "b": 1.0}, {"a": 100.0, "c": 1.0})}
    assert rows["a"].worse_than(5)
    assert not rows["a"].worse_than(7)
    assert (rows["b"].change, rows["c"].change) == (None, None)
    assert not rows["b"].worse_than(0)


def test_ratios_know_a_slow_loop_from_a_fast_one() -> None:
    found = ratios.measure(["frame 16 events", "read 16 client frames"], 0.1)
    assert found["read 16 client frames"] > 10 * found["frame 16 events"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_call_leaves_everything_as_it_was(stage: Stage, case: Case) -> None:
    call = case.make(stage)
    assert call() == call() or case.name.startswith("read a published")
    assert stage.ledger.batcher.queued == 0


def test_the_samples_are_what_the_server_speaks(stage: Stage) -> None:
    assert MSGPACK.decode(samples.message(MSGPACK)) == JSON.decode(samples.message(JSON))
    stage.connection(MSGPACK).data_received(samples.client_frames(MSGPACK, 16))
    assert stage.ledger.batcher.queued == 16
    batch = samples.batch(stage.catalog, FRAME_EVENTS)
    message = MSGPACK.decode_any(stage.room.lanes["all"].message(batch.last, [batch], [], frozenset()).data)
    assert [event["seq"] for event in message["events"]] == list(range(1, FRAME_EVENTS + 1))


def test_the_fan_out_reaches_everybody(stage: Stage) -> None:
    call = next(case for case in CASES if case.name.startswith("fan out")).make(stage)
    call()
    call()
    assert [transport.writes for transport in stage.transports] == [2] * READERS
