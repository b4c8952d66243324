"""`gifting bench --soak` on real parts, and proof that it fails when a viewer misses or repeats an event."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import random
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import msgpack
import msgspec
import pytest
from rich.console import Console

from gifting import bench
from gifting.bench.options import Audit, BenchOptions
from gifting.bench.soak import run as soaking
from gifting.bench.soak.figures import check_slopes
from gifting.bench.soak.memory import fit
from gifting.bench.soak.options import Memory, Slope, SoakOptions, SoakResult, parse_duration
from gifting.bench.soak.render import render_soak
from gifting.bench.soak.run import Soak, run_soak
from gifting.cli.bench import SOAK_FLAGS, soak_options
from gifting.errors import BadSetting
from gifting.load.churn import ACTIONS
from gifting.load.counters import decode_seqs
from gifting.load.lively import LivelySender
from gifting.load.plan import Plan, SenderPlan, Target, ViewerPlan
from gifting.load.sender import SenderTally
from gifting.load.viewer import ViewerTally
from gifting.model.catalog import load_catalog
from gifting.wire.framing import FIN
from tests.support.children import children
from tests.support.proxy import Proxy

SHORT = SoakOptions(seconds=6, senders=8, viewers=32, rooms=2, rate=80, stay=0.6)


async def test_a_short_soak_passes_on_real_parts() -> None:
    before = children()
    shown: list[float] = []
    result = await run_soak(SHORT, lambda text, done: shown.append(done))
    assert result.audit.problems == []
    assert any("gifting audit" in line for line in result.audit.checked)
    assert any("every event exactly once" in line for line in result.audit.checked)
    assert result.gifts > 100
    assert result.free_events > 10
    assert set(result.actions) == set(ACTIONS)
    assert result.closes[4000] >= 8  # the second node was stopped, and its viewers came back
    nodes = [one.node for one in result.memory]
    assert nodes == ["first node", "second node", "second node, restarted"]
    assert all(0 < one.first_mib <= one.peak_mib < 500 for one in result.memory)
    assert result.memory[0].slope is not None
    assert shown == sorted(shown)
    assert children() == before
    assert msgspec.json.decode(bench.to_json(result))["memory"][0]["slope"]["samples"] > 8
    out = io.StringIO()
    render_soak(result, Console(file=out, width=160))
    assert "slope, MiB/h" in out.getvalue()
    assert "viewers: came back" in out.getvalue()


# A viewer that is made to miss or repeat an event.


class Tamperer(Proxy):
    """Does something to one frame of numbered events on its way to one viewer, the second that this one gets."""

    def __init__(self, url: str, change: Callable[[bytes], bytes]) -> None:
        super().__init__(url)
        self._change = change
        self._chosen = False
        self._seen = 0
        self.done = False

    async def _pump(self, reader: asyncio.StreamReader, writer: Any, *, returns: bool) -> None:
        if not returns or self._chosen:
            await super()._pump(reader, writer, returns=returns)
            return
        self._chosen = True
        writer.write(await reader.readuntil(b"\r\n\r\n"))
        while head := await reader.read(2):
            size = head[1]
            extra = await reader.readexactly({126: 2, 127: 8}.get(size, 0))
            payload = await reader.readexactly(int.from_bytes(extra, "big") if extra else size)
            writer.write(self._tamper(head + extra + payload, payload))
            await writer.drain()

    def _tamper(self, whole: bytes, payload: bytes) -> bytes:
        if whole[0] != FIN | 2 or self.done:
            return whole
        events = msgpack.unpackb(payload).get("events", [])
        self._seen += any("seq" in event for event in events)
        if self._seen < 2:
            return whole
        self.done = True
        return self._change(whole)


def tampered(change: Callable[[bytes], bytes]) -> type[Soak]:
    """A soak whose first viewers are behind a :class:`Tamperer`."""

    class Tampered(Soak):
        proxy: Tamperer

        async def run(self) -> SoakResult:
            target = self.nodes[0].target
            async with Tamperer(f"http://{target.host}:{target.port}", change) as self.proxy:
                result = await super().run()
                assert self.proxy.done
                return result

        def plans(self) -> list[Plan]:
            plans = super().plans()
            at, first = next((at, plan) for at, plan in enumerate(plans) if isinstance(plan, ViewerPlan))
            plans[at] = msgspec.structs.replace(first, target=Target.at(self.proxy.url, first.target.secret))
            return plans

    return Tampered


@pytest.mark.parametrize("change", [lambda whole: b"", lambda whole: whole + whole], ids=["missed", "repeated"])
async def test_a_viewer_that_misses_or_repeats_an_event_fails_the_soak(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(soaking, "Soak", tampered(change))
    result = await run_soak(dataclasses.replace(SHORT, seconds=3, restart=False, viewers=8, stay=600))
    assert not result.audit.passed
    assert any("waited for" in line for line in result.audit.problems)
    assert result.closes == {}


async def test_a_frame_that_comes_before_an_older_one_hides_nothing() -> None:
    tally = ViewerTally("all", exact=True)
    for first, last in ((5, 6), (1, 4), (3, 6)):
        events = [{"type": "gift", "count": 1, "seq": seq, "message": None} for seq in range(first, last + 1)]
        data = msgpack.packb({"room": "r", "seq": last, "events": events})
        found = tally.take(data, 0, len(data), 20)
        assert (found.first, found.last) == (first, last)
    assert decode_seqs(tally.seen.encode()["r"]).tolist() == [1, 2, 3, 4, 5, 6]


# Lively senders: what they ask for again.


class Counter(LivelySender):
    """A lively sender whose socket writes to a list."""

    def __init__(self, tally: SenderTally) -> None:
        super().__init__(asyncio.get_running_loop(), tally, "sender-0", "r", 1.0)
        self.is_open = True
        self.written: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        self.written.append(msgpack.unpackb(data[6 if data[1] & 0x7F < 126 else 8 :]))

    def hear(self, **reply: Any) -> None:
        data = msgpack.packb(reply)
        self.message(data, 0, len(data))


@pytest.fixture
async def sender() -> Counter:
    plan = SenderPlan(
        target=Target("127.0.0.1", 1, "s" * 32), first=0, count=1, rooms=["r"], gift="", price=0, in_flight=1,
        rate=1, sample=1, lively=True,
    )  # fmt: skip
    return Counter(SenderTally(plan))


async def test_a_gift_without_an_answer_is_asked_for_again_with_its_key(sender: Counter) -> None:
    spark = load_catalog()["spark"]
    sender._give(spark)
    [first] = sender.written
    sender.hear(re=first["id"], ok=False, error={"code": "outcome_unknown", "temporary": True})
    sender._send_again(first["id"])
    again = sender.written[1]
    assert again["key"] == first["key"]
    assert again["id"] != first["id"]
    sender._send_again(first["id"])
    assert len(sender.written) == 2
    sender.hear(re=again["id"], ok=True, seq=4, duplicate=True)
    tally = sender._tally
    assert (tally.issued, tally.answered, tally.accepted, tally.repeated) == (1, 1, 1, 1)
    assert tally.spent["sender-0"] == spark.coins
    assert tally.complaints.texts == []


async def test_a_lively_sender_notices_replies_that_cannot_be(sender: Counter) -> None:
    sender._give(load_catalog()["spark"])
    sender.hear(re=sender.written[0]["id"], ok=True, seq=1, duplicate=True)
    sender.hear(re=99, ok=True, seq=2)
    assert "told it is a duplicate" in sender._tally.complaints.texts[0]
    assert "waits for none" in sender._tally.complaints.texts[1]


async def test_what_is_given_while_away_is_sent_on_return_and_refusals_are_final(sender: Counter) -> None:
    sender.is_open = False
    sender._give(load_catalog()["spark"])
    sender._express()
    assert sender.written == []
    sender.is_open = True
    await sender._return()
    [gift] = sender.written
    assert sender._tally.repeated == 0
    sender.hear(re=gift["id"], ok=False, error={"code": "room_ended", "temporary": False})
    assert sender._tally.refused == {"room_ended": 1}
    assert sender._tally.answered == 1


# Memory.


@pytest.mark.parametrize("persistence", [0.0, 0.9])
def test_the_slope_is_found_and_knows_how_sure_it_is(persistence: float) -> None:
    """Lines of 36 MiB/h in noise; where the noise goes on from sample to sample, the confidence must say so."""
    rng, hits = random.Random(7), 0
    for _ in range(100):
        off, samples = 0.0, []
        for second in range(600):
            off = persistence * off + rng.gauss(0, 0.3)
            samples.append((float(second), 60 + second / 100 + off))
        found = fit(samples)
        assert found is not None
        hits += abs(found.mib_per_hour - 36) <= found.plus_minus
    assert hits >= 85


def test_too_few_samples_make_no_slope() -> None:
    assert fit([(float(second), 60.0) for second in range(7)]) is None
    assert fit([(1.0, 60.0)] * 20) is None
    flat = fit([(float(second), 60.0) for second in range(100)])
    assert flat is not None
    assert (flat.mib_per_hour, flat.plus_minus, flat.noise_mib) == (0, 0, 0)


def test_growth_beyond_doubt_fails_where_a_bound_was_given() -> None:
    def problems(slope: float, plus_minus: float, slope_max: float | None) -> list[str]:
        audit = Audit()
        found = Slope(mib_per_hour=slope, plus_minus=plus_minus, noise_mib=0.1, samples=100)
        one = Memory(node="first node", seconds=60, first_mib=60, last_mib=61, peak_mib=61, slope=found)
        check_slopes(audit, [one], slope_max)
        return audit.problems

    assert problems(50, 5, None) == []
    assert problems(50, 45, 10) == []
    assert "first node grew by 50.0 ± 5.0 MiB/h" in problems(50, 5, 10)[0]


# The command line.


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5", "1d", "1e3", "10 minutes", "nan"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadSetting):
        parse_duration(text)


@pytest.mark.parametrize("wrong", [{"seconds": 1}, {"seconds": 1e9}, {"senders": 1}, {"viewers": 2}, {"rate": 0}])
def test_options_have_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSetting):
        SoakOptions(**{"seconds": 60, **wrong})


USUAL: dict[str, Any] = {one.name: one.default for one in fields(BenchOptions)}


def test_a_soak_has_defaults_of_its_own() -> None:
    assert soak_options("10m", 5.0, USUAL) == SoakOptions(seconds=600, slope_max=5.0)
    assert soak_options("90s", None, USUAL | {"rooms": 2, "rate": 9.0}) == SoakOptions(seconds=90, rooms=2, rate=9.0)


@pytest.mark.parametrize("name", sorted(USUAL.keys() - SOAK_FLAGS))
def test_flags_that_mean_nothing_to_a_soak_are_refused(name: str) -> None:
    other = not USUAL[name] if isinstance(USUAL[name], bool) else USUAL[name] + type(USUAL[name])(1)
    with pytest.raises(BadSetting, match=f"--{name.replace('_', '-')}"):
        soak_options("10m", None, USUAL | {name: other})
