"""`gifting bench` end to end, and proof that its audit finds what it is there to find."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import psutil
import pytest
from rich.console import Console

from gifting import bench
from gifting.bench.figures import percentiles
from gifting.bench.floor import FloorTools
from gifting.bench.options import Audit, BenchOptions, Drained
from gifting.bench.reconcile import check, check_drained, check_ledger
from gifting.bench.render import render
from gifting.bench.run import run_bench, shares
from gifting.bench.usage import listener
from gifting.errors import BadSetting, StartError
from gifting.ledger.embedded import ports
from gifting.load.fleet import Fleet, LoadError
from gifting.load.histogram import encode, merge
from gifting.load.latency import Latencies
from gifting.load.plan import Plan, SenderPlan, SenderReport, Target, ViewerPlan, ViewerReport
from gifting.load.socket import DISCARD_FROM
from gifting.load.viewer import Viewer, ViewerTally
from gifting.wire.framing import frame
from tests.support.children import children
from tests.support.server import SECRET, Server
from tests.support.waiting import WITHIN

TARGET = Target("127.0.0.1", 1, "s" * 32)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_short_bench_measures_and_passes_its_audit(tmp_path: Path) -> None:
    before = children()
    options = BenchOptions(
        senders=6, in_flight=2, viewers=8, rooms=2, duration=2, warmup=0.3, slow_reader=1, idle=20, processes=2
    )
    shown: list[str] = []
    result = await run_bench(options, lambda text, done: shown.append(text))
    assert result.audit.problems == []
    assert any("gifting audit" in line for line in result.audit.checked)
    assert result.seconds == 5
    assert result.gifts == result.ack.count > 50
    assert result.deliveries > result.gifts
    assert 0 < result.ack.p50 <= result.ack.p99 <= result.ack.p999 <= result.ack.most < 5000
    assert result.delivery.count > 0
    assert result.server_cpu_s is not None
    assert 0 < result.server_cpu_s < 3 * 5
    assert result.redis_cpu_s is not None
    assert result.other_cpu_s is not None
    assert result.slow is not None
    assert result.slow.caught_up_s >= 0
    assert result.idle is not None
    assert result.refused == {}
    assert result.ledger_calls is not None
    assert 0 < result.ledger_calls <= (result.ledger_items or 0)
    assert result.ledger_items == pytest.approx(result.gifts, rel=0.2)
    assert any("deliveries" in text for text in shown)
    assert b"secret" not in bench.to_json(result)
    assert msgspec.json.decode(bench.to_json(result))["gifts"] == result.gifts
    with (tmp_path / "out").open("w") as out:
        render(result, Console(file=out, width=200))
    assert "accepted gifts/s" in (tmp_path / "out").read_text()
    assert children() == before


async def test_a_server_that_is_there_is_loaded_at_a_fixed_rate(tmp_path: Path) -> None:
    async with Server(tmp_path / "data", member_rate=0) as server:
        options = BenchOptions(
            url=server.url,
            secret=SECRET,
            data_dir=str(server.data_dir),
            senders=4,
            viewers=4,
            rate=50,
            duration=5,
            warmup=0.2,
            lane="live",
        )
        result = await run_bench(options)
        assert result.audit.problems == []
        assert 200 <= result.gifts <= 300
        assert result.unsent == 0
        assert server.process is not None
        assert listener(int(server.url.rpartition(":")[2])) == server.process.pid
        assert result.server_us_per_gift is not None


async def test_the_port_of_a_server_that_was_killed_stays_its_own(tmp_path: Path) -> None:
    async with Server(tmp_path / "data") as server:
        url = server.url
        await server.die()
        assert ports._keep(server.port) is None
        await server.start()
        assert server.url == url == f"http://127.0.0.1:{server.port}"


async def test_a_server_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIFTING_NO_SUCH_THING", "1")
    with pytest.raises(StartError, match="NO_SUCH_THING"):
        await run_bench(BenchOptions(duration=1))


def test_the_command_line_gets_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIFTING_NO_SUCH_THING", "1")
    assert bench.run(BenchOptions(duration=1)) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_bench_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gifting", "bench", "--duration", "60"),
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    family: list[psutil.Process] = []
    async with asyncio.timeout(WITHIN):
        while len(family) < 4:  # a server, its Redis, senders, viewers
            await asyncio.sleep(0.05)
            family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert await process.wait() == 130
        while any(one.is_running() for one in family):
            await asyncio.sleep(0.05)
    assert files(tmp_path) == []


@pytest.mark.parametrize("wrong", [{"senders": -1}, {"lane": "none"}, {"url": "http://x"}, {"duration": 0}])
def test_options_have_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSetting):
        BenchOptions(**wrong)


async def test_a_load_process_that_fails_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    plan = ViewerPlan(target=TARGET, first=0, count=1, rooms=["r"], lane="all")
    with pytest.raises(LoadError):
        async with Fleet([plan]):
            pass
    assert "ConnectionRefusedError" in capfd.readouterr().err


# The books: a clean set, and every way to spoil it.


def seqs(*numbers: int) -> bytes:
    return array("q", numbers).tobytes()


def clean() -> tuple[list[Plan], list[Any], dict[str, int], dict[str, int]]:
    plans: list[Plan] = [
        SenderPlan(target=TARGET, first=0, count=1, rooms=["r"], gift="spark", price=1, in_flight=1, rate=0, sample=1),
        ViewerPlan(target=TARGET, first=0, count=2, rooms=["r"], lane="all"),
    ]
    sent = SenderReport(
        gifts=[3], accepted=3, unanswered=0, refused={}, late=0, unsent=0, spent={"sender-0": 3},
        seqs={"r": seqs(1, 2, 4)}, ack=[], discrepancies=0, complaints=[],
    )  # fmt: skip
    seen = ViewerReport(
        events=[8], frames=[4], viewers=2, behind=0, closes={}, seen={"r": seqs(1, 2, 4)}, delivery=[],
        discrepancies=0, complaints=[],
    )  # fmt: skip
    return plans, [sent, seen], {"sender-0": 10}, {"sender-0": 7}


def test_clean_books_pass() -> None:
    audit = check(*clean())
    assert audit.passed
    assert len(audit.checked) == 3


SENDER, VIEWER = 0, 1


@pytest.mark.parametrize(
    ("who", "spoiled", "problem"),
    [
        (SENDER, {"unanswered": 2}, "2 gifts got no reply"),
        (SENDER, {"spent": {"sender-0": 2}}, "charged 3 coins for gifts of 2"),
        (SENDER, {"seqs": {"r": seqs(1, 2, 2)}}, "1 accepted gifts share a seq"),
        (SENDER, {"seqs": {"r": seqs(1, 2, 4, 5)}}, "1 accepted gifts were not shown"),
        (SENDER, {"discrepancies": 30, "complaints": ["odd"]}, "29 more"),
        (VIEWER, {"seen": {"r": seqs(1, 2, 4, 9)}}, "1 gifts were shown that no sender"),
        (VIEWER, {"seen": {}}, "3 accepted gifts were not shown"),
        (VIEWER, {"behind": 1}, "1 viewers never got"),
        (VIEWER, {"discrepancies": 1, "complaints": ["odd"]}, "odd"),
    ],
)
def test_spoiled_books_do_not(who: int, spoiled: dict[str, Any], problem: str) -> None:
    plans, reports, before, after = clean()
    reports[who] = msgspec.structs.replace(reports[who], **spoiled)
    audit = check(plans, reports, before, after)
    assert not audit.passed
    assert problem in " ".join(audit.problems)


def test_a_coin_gone_from_a_wallet_is_found() -> None:
    plans, reports, before, after = clean()
    assert not check(plans, reports, before, {**after, "sender-0": 6}).passed


async def test_an_audit_of_the_ledger_that_fails_is_a_problem(tmp_path: Path) -> None:
    audit = Audit()
    await check_ledger(audit, str(tmp_path / "nothing"))
    assert "gifting audit ended with 2" in audit.problems[0]


def test_viewers_in_c_that_miss_something_are_a_problem() -> None:
    drained = Drained(viewers=2, frames=1, bytes=1, events=1, lost=3, fallen=0, closes=0, cpu_s=0)
    for lane, expected in (("all", False), ("live", True)):
        audit = Audit()
        check_drained(audit, drained, lane)
        assert audit.passed is expected


# The viewers: what they notice in a stream of frames.


def message(first: int, last: int, *, size: int = 0, sent: int = 0) -> bytes:
    events = [
        {"type": "gift", "count": 1, "seq": seq, "message": f"t={sent}" if sent else None, "pad": "x" * size}
        for seq in range(first, last + 1)
    ]
    return frame(2, msgpack.packb({"room": "r", "seq": last, "events": events}))


STATE = frame(2, msgpack.packb({"room": "r", "seq": 2, "events": [{"type": "viewers", "count": 3}]}))


class Screen(Viewer):
    """A viewer without a socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tally: ViewerTally, last: int) -> None:
        super().__init__(loop, tally, target=TARGET, token="", room="r", user="v")
        self.is_open, self.last = True, last

    def feed(self, data: bytes, step: int = 0) -> None:
        for start in range(0, len(data), step or len(data)):
            self._feed(data[start : start + (step or len(data))])


@pytest.fixture
async def screen() -> Callable[[int], Screen]:
    tally = ViewerTally("all")
    return lambda last: Screen(asyncio.get_running_loop(), tally, last)


@pytest.mark.parametrize("step", [0, 1, 7, 100])
async def test_a_whole_stream_is_fine_however_it_is_cut(screen: Callable[[int], Screen], step: int) -> None:
    stream = message(1, 2) + STATE + message(3, 3, size=300) + message(4, 60)
    viewer, other = screen(0), screen(0)
    viewer.feed(stream, step)
    other.feed(stream, step)
    tally = viewer._tally
    assert tally.complaints.texts == []
    assert (viewer.last, other.last) == (60, 60)
    assert (tally.events, tally.frames) == (122, 8)
    assert array("q", tally.seen.encode()["r"]).tolist() == list(range(1, 61))


async def test_a_known_frame_is_skipped_not_read(screen: Callable[[int], Screen]) -> None:
    large = message(1, 100, size=1000)
    assert len(large) > DISCARD_FROM
    screen(0).feed(large)
    viewer = screen(0)
    viewer.feed(large[:1000])
    assert viewer._skip == len(large) - 1000
    viewer.feed(large[1000:] + message(101, 101))
    assert viewer.last == 101
    assert viewer._tally.complaints.count == 0


@pytest.mark.parametrize(
    ("stream", "problem"),
    [
        (message(1, 2) + message(4, 4), "waited for 3 and got 4 to 4"),
        (message(1, 2) + message(2, 3), "waited for 3 and got 2 to 3"),
        (message(1, 2) + message(1, 2), "waited for 3 and got 1 to 2"),
        (message(2, 2), "waited for 1 and got 2 to 2"),
        (frame(2, msgpack.packb({"room": "r", "seq": 3, "events": [
            {"type": "share", "seq": 1}, {"type": "share", "seq": 3}]})), "not in a row"),
    ],
)  # fmt: skip
async def test_holes_and_repetitions_are_noticed(screen: Callable[[int], Screen], stream: bytes, problem: str) -> None:
    viewer = screen(0)
    viewer.feed(stream)
    assert problem in " ".join(viewer._tally.complaints.texts)


async def test_lane_live_may_leave_out_but_not_repeat() -> None:
    viewer = Screen(asyncio.get_running_loop(), ViewerTally("live"), 0)
    viewer.feed(message(5, 5) + message(9, 9))
    assert viewer._tally.complaints.count == 0
    viewer.feed(message(9, 9))
    assert viewer._tally.complaints.count == 1


def test_latencies_survive_the_way_between_processes() -> None:
    first, second = Latencies(), Latencies()
    for ms in range(1, 100):
        first.add(ms * 1_000_000)
    second.add(250_000_000, times=1)
    second.add(10**15)
    merged = merge([encode(first), encode(second)])
    assert merged.get_total_count() == 101
    assert merged.get_value_at_percentile(50) == pytest.approx(51_000, rel=0.01)
    found = percentiles([encode(first)])
    assert found.count == 99
    assert found.p50 == pytest.approx(50, rel=0.01)
    assert found.most == pytest.approx(99, rel=0.01)


def test_shares_are_even_and_whole() -> None:
    assert shares(10, 3) == [(0, 3), (3, 3), (6, 4)]
    assert shares(2, 5) == [(0, 1), (1, 1)]
    assert shares(0, 3) == []


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
async def test_the_floor_and_the_viewers_in_c() -> None:
    with FloorTools() as tools:
        await tools.compile()
        assert 0.1 < await tools.us_per_send() < 1000
    options = BenchOptions(senders=4, viewers=2, drain=10, rooms=2, duration=1, warmup=0.2)
    result = await run_bench(options)
    assert result.audit.problems == []
    assert result.drained is not None
    assert result.drained.viewers == 10
    assert result.drained.events > result.gifts
    assert (result.drained.lost, result.drained.closes) == (0, 0)
