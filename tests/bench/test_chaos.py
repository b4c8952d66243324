"""The reference of the chaos harness: whatever a cluster could do wrong, it sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.chaos.books import Books, Verdict, check_seen, judge
from benchmarks.chaos.control import lose
from benchmarks.chaos.giver import Gift, Giver, _may_ask_again
from benchmarks.chaos.run import run
from benchmarks.chaos.shape import Options
from benchmarks.chaos.watcher import Watcher
from gifting.ledger.entries import Credit, Debit
from gifting.load.sender import Reply, _Error
from gifting.model.money import make_key, parse_key
from gifting.wire.codec import MSGPACK

ROOM = "r"


def gift(number: int, **changes: Any) -> Gift:
    """The ``number``-th of ann, acked at once."""
    key = make_key(1_764_000_000_000 + number, bytes([number] * 10))
    return replace(Gift(key, "ann", ROOM, number, 1, 1.0, accepted=2.0, seq=number), **changes)


def debit(of: Gift) -> Debit:
    return Debit(1, of.id, of.user, of.room, "host", "spark", 1, 1)


def credit(of: Gift, seq: int = 0) -> Credit:
    return Credit(1, of.id, of.user, of.room, "host", seq or of.number, 1, 500, 500, 1)


def books(debits: list[Debit], credits: list[Credit]) -> Books:
    """With an item for each entry."""
    found = Books()
    for number, one in enumerate(debits):
        found.add("p1", (number, 0), [one])
    for number, other in enumerate(credits):
        found.add("p2", (number, 0), [other])
    return found


FIRST, SECOND = gift(1), gift(2)
BOTH = [debit(FIRST), debit(SECOND)]
CREDITS = [credit(FIRST), credit(SECOND)]


def test_books_that_hold_have_no_problem() -> None:
    verdict = judge([FIRST, SECOND, gift(3, accepted=0.0, refused="insufficient_coins")], books(BOTH, CREDITS))
    assert verdict == Verdict(acked=2)


@pytest.mark.parametrize(
    ("debits", "credits", "kind", "words"),
    [
        ([], [], "lost", "not debited"),
        (BOTH, CREDITS[:1], "lost", "not credited"),
        ([*BOTH, debit(FIRST)], CREDITS, "double", "debited more than once"),
        (BOTH, [*CREDITS, credit(FIRST, 3)], "double", "credited more than once"),
        (BOTH, [credit(FIRST, 1), credit(SECOND, 9)], "disordered", "where their senders were told"),
        (BOTH[::-1], CREDITS, "disordered", "overtook"),
        (BOTH, CREDITS[::-1], "disordered", "before one that was debited before"),
        ([*BOTH, debit(gift(3))], [*CREDITS, credit(gift(3))], "phantom", "nobody's"),
        ([*BOTH, debit(gift(3))], CREDITS, "phantom", "paid and never credited"),
        (BOTH, [*CREDITS, credit(gift(3))], "phantom", "credited and never paid"),
    ],
)
def test_what_does_not_hold_is_counted_and_named(
    debits: list[Debit], credits: list[Credit], kind: str, words: str
) -> None:
    verdict = judge([FIRST, SECOND], books(debits, credits))
    assert getattr(verdict, kind) > 0
    assert any(words in problem for problem in verdict.problems)


def test_a_refused_gift_may_not_be_charged() -> None:
    refused = gift(3, accepted=0.0, refused="insufficient_coins")
    verdict = judge([FIRST, SECOND, refused], books([*BOTH, debit(refused)], [*CREDITS, credit(refused)]))
    assert verdict.phantom == 1


def test_who_was_asked_for_again_may_come_later() -> None:
    again = replace(FIRST, times=2, seq=0)
    assert (
        judge([again, replace(SECOND, seq=0)], books(BOTH[::-1], [credit(SECOND, 1), credit(FIRST, 2)])).problems == []
    )


def test_a_pending_gift_is_held_to_be_debited_and_credited() -> None:
    pending = replace(FIRST, seq=0)
    assert judge([pending, SECOND], books(BOTH, CREDITS)) == Verdict(acked=2, pending=1)
    assert judge([pending, SECOND], books(BOTH, CREDITS[1:])).lost == 1


def test_what_was_shown_has_to_have_been_credited() -> None:
    verdict, found = Verdict(), books(BOTH, CREDITS)
    check_seen(verdict, ROOM, {1: "ann", 2: "ann"}, found)
    assert verdict.problems == []
    check_seen(verdict, ROOM, {1: "ann", 2: "eve", 7: "ann"}, found)
    assert verdict.phantom == 2


def events(*seqs: int, **more: Any) -> dict[str, Any]:
    made = [{"type": "gift", "seq": seq, "count": 1, "user": {"id": "ann"}} for seq in seqs]
    return {"room": ROOM, "seq": seqs[-1], "events": made, **more}


def snapshot(seq: int, **more: Any) -> dict[str, Any]:
    return {"re": 1, "ok": True, "room": {"seq": seq}, "gap": False, **more}


async def test_a_viewer_sees_holes_and_repetitions_and_believes_gaps() -> None:
    watcher = Watcher("viewer", ROOM, [], 1)
    watcher.take(snapshot(4))
    watcher.take(events(5, 6))
    watcher.take(snapshot(8))
    watcher.take(events(7, 8, 9))
    assert (watcher.last, watcher.complaints, list(watcher.seen)) == (9, [], [5, 6, 7, 8, 9])
    watcher.take(events(11))
    watcher.take(events(11))
    assert len(watcher.complaints) == 2
    watcher.take(snapshot(3, gap=True))
    watcher.take(events(4))
    assert (watcher.gaps, len(watcher.complaints), list(watcher.seen)) == (1, 2, [4])


async def test_a_sender_takes_no_doubt_for_an_answer() -> None:
    giver = Giver("ann", [ROOM], [], 0.1, 1)
    written: list[bytes] = []
    giver.is_open = True
    giver.write = written.append  # type: ignore[method-assign, assignment]
    giver._give()
    [given] = giver.waiting

    def answer(**fields: Any) -> None:
        data = MSGPACK.encode({"re": giver._number, "ok": True, **fields})
        giver.message(data, 0, len(data))

    answer(ok=False, error={"code": "unavailable", "message": "", "temporary": True})
    assert given.open
    giver._again(given)
    answer(pending=True, coins=7)
    assert (given.times, bool(given.accepted), given.seq, giver.waiting) == (2, True, 0, [])
    assert len(written) == 2
    assert parse_key(given.key) == given.id


def test_a_key_that_got_too_old_is_asked_about() -> None:
    expired = Reply(error=_Error("key_expired", temporary=False))
    assert not _may_ask_again(expired, gift(1))
    assert _may_ask_again(expired, asked := gift(1, times=2))
    assert asked.asked
    assert not _may_ask_again(Reply(error=_Error("insufficient_coins")), asked)


@pytest.mark.attack
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_few_faults_on_a_real_cluster_lose_nothing() -> None:
    result = await run(Options(seed=5, faults=6, rate=40, senders=12, watchers=6, rooms=3))
    assert result.verdict.problems == []
    assert result.total == 6
    assert result.verdict.acked > 100
    assert result.events > 0


@pytest.mark.attack
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_without_waiting_for_a_replica_gifts_are_lost_and_that_is_seen() -> None:
    result = await lose(Options(seed=1, rate=100, senders=12, watchers=3, rooms=3))
    assert result.verdict.lost > 0
