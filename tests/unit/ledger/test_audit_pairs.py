"""What partitions of a cluster keep of each other, and what the audit makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from gifting.ledger.audit import about
from gifting.ledger.audit.books import Books
from gifting.ledger.audit.crossing import After, Crossing
from gifting.ledger.audit.fences import read_fences
from gifting.ledger.audit.pairs import Blob, Epoch, Fence, Given, Half, Mark, Sent, holes, passed, waits
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import Clawback, Credit, Debit, Entry, GiftReversal, Grant
from gifting.ledger.keys import Keys
from gifting.model.money import make_key
from gifting.model.reversals import reversal_key

KEYS = Keys("t", 2, ["p00-a", "p01-b"])
NOW = 1_800_000_000_000
FIRST, NEXT, THIRD = Epoch(100, 0), Epoch(200, 4), Epoch(300, 6)


def name_in(partition: int) -> str:
    return next(name for name in map(str, range(100)) if KEYS.base(name) == KEYS.bases[partition])


USER, HOST = name_in(0), name_in(1)


def key(number: int) -> bytes:
    return bytes.fromhex(make_key(NOW, number.to_bytes(10, "big")).replace("-", ""))


def sent(number: int, coins: int = 10) -> Sent:
    return Sent(key(number), USER, "r", HOST, coins)


def blob(seq: int, *numbers: int, epochs: Sequence[Epoch] = (FIRST,)) -> Blob:
    return Blob(seq, tuple(epochs), tuple(map(sent, numbers)), b"%d" % seq)


def debit(number: int, coins: int = 10) -> Debit:
    return Debit(NOW, key(number), USER, "r", HOST, "rose", 1, coins)


def credit(number: int, seq: int, ts: int = NOW) -> Credit:
    return Credit(ts, key(number), USER, "r", HOST, seq, 10, 10_000, 1000, 1)


@pytest.mark.parametrize(
    ("mark", "epochs", "expected"),
    [
        (Mark(), (), 0),
        (Mark(7, (FIRST,)), (FIRST,), 7),
        (Mark(7, (FIRST,)), (FIRST, NEXT), 4),
        (Mark(3, (FIRST,)), (FIRST, NEXT), 3),
        (Mark(7, (FIRST, NEXT)), (FIRST, NEXT), 7),
        (Mark(7, (FIRST,)), (FIRST, NEXT, THIRD), 4),
    ],
)
def test_a_mark_of_an_earlier_epoch_counts_up_to_the_base_of_the_next(
    mark: Mark, epochs: tuple[Epoch, ...], expected: int
) -> None:
    assert passed(mark, epochs) == expected


def test_a_blob_waits_for_a_mark_below_it_or_one_that_is_of_an_epoch_it_has_lost() -> None:
    assert waits(blob(1), Mark())
    assert not waits(blob(3), Mark(3, (FIRST,)))
    assert waits(blob(5, epochs=(FIRST, NEXT)), Mark(7, (FIRST,)))
    assert not waits(blob(4, epochs=(FIRST, NEXT)), Mark(7, (FIRST,)))
    assert not waits(blob(5), Mark(4, (FIRST, NEXT)))  # of a history that is lost


def test_numbers_that_are_neither_credited_nor_in_the_outbox_are_holes() -> None:
    given = Given(6, (FIRST,))
    assert holes({}, Given(), Mark()) == []
    assert holes({seq: blob(seq) for seq in (4, 5, 6)}, given, Mark(3, (FIRST,))) == []
    assert holes({seq: blob(seq) for seq in (2, 3, 6)}, given, Mark(1, (FIRST,))) == [(4, 5)]
    assert holes({}, given, Mark(3, (FIRST,))) == [(4, 6)]
    assert holes({5: blob(5)}, Given(6, (FIRST, NEXT)), Mark(6, (FIRST,))) == [(6, 6)]


class Cluster:
    """One source and one destination, each cut at its own time; sound until a test changes it."""

    def __init__(self) -> None:
        self.source, self.destination = Half(True), Half(True)
        self.told: list[tuple[str, Entry]] = [(KEYS.bases[0], Grant(NOW, key(999), USER, 100, "", ""))]
        self.later: list[tuple[str, Entry]] = []
        self.mark: Mark | None = None
        self.given: Given | None = None
        self.findings = Findings()
        self.books = Books(KEYS, self.findings)

    def debited(self, *numbers: int) -> None:
        self.told += [(KEYS.bases[0], debit(number)) for number in numbers]

    def credited(self, *numbers: int, ts: int = NOW) -> None:
        first = sum(isinstance(entry, Credit) for _, entry in self.told) + 1
        self.told += [(KEYS.bases[1], credit(number, seq, ts)) for seq, number in enumerate(numbers, first)]

    def gave(self, seq: int, *epochs: Epoch) -> None:
        self.source.given[1] = Given(seq, epochs or (FIRST,))

    def owes(self, *blobs: Blob) -> None:
        self.source.outbox[1] = {one.seq: one for one in blobs}

    def marked(self, seq: int, *epochs: Epoch) -> None:
        self.destination.marks[0] = Mark(seq, epochs or (FIRST,))

    async def audit(self) -> set[str]:
        halves = [self.source, self.destination]
        marks = {0: self.mark} if self.mark else self.destination.marks
        given = {1: self.given} if self.given else self.source.given
        after = After([{}, marks], [[], self.destination.fences], [given, {}], {})
        self.books.fences = read_fences(KEYS, halves, after.fences)
        for base, entry in self.told:
            self.books.enter(base, entry)
        crossing = Crossing(KEYS, halves, after, self.findings)
        crossing.check()
        crossing.take_under_way(self.books)
        await crossing.enter(self.books, self._later())
        self.books.close()
        crossing.close(self.books)
        self.crossed = crossing.crossed
        return {problem.name for problem in self.findings.problems}

    async def _later(self) -> AsyncIterator[tuple[str, Entry]]:
        for one in self.later:
            yield one


@pytest.fixture
def cluster() -> Cluster:
    """Three numbers given: two credited, of which one is still in the outbox, and one under way with two gifts."""
    cluster = Cluster()
    cluster.debited(1, 2, 3, 4)
    cluster.credited(1, 2)
    cluster.gave(3)
    cluster.owes(blob(2, 2), blob(3, 3, 4))
    cluster.marked(2)
    return cluster


async def test_what_is_under_way_is_a_debit_whose_credit_will_come(cluster: Cluster) -> None:
    assert await cluster.audit() == set()
    crossed = cluster.crossed
    assert (crossed.debited, crossed.credited, crossed.gifts, crossed.under_way, crossed.open) == (40, 20, 2, 20, 0)


async def test_what_was_credited_after_the_cut_of_its_room_is_found_in_the_ledger(cluster: Cluster) -> None:
    """It is no longer in the outbox, whose partition was cut after that."""
    cluster.owes(blob(3, 3, 4))
    cluster.marked(1)
    cluster.mark = Mark(2, (FIRST,))
    cluster.told.pop()
    cluster.later.append((KEYS.bases[1], credit(2, 2)))
    assert await cluster.audit() == set()
    assert (cluster.crossed.between, cluster.crossed.open) == (10, 0)


async def test_what_was_debited_after_the_cut_of_its_sender_is_found_in_the_ledger(cluster: Cluster) -> None:
    cluster.credited(3, 4, 5)
    cluster.marked(4)
    cluster.given = Given(4, (FIRST,))
    cluster.later.append((KEYS.bases[0], debit(5)))
    assert await cluster.audit() == set()
    assert (cluster.crossed.between, cluster.crossed.gifts, cluster.crossed.open) == (-10, 0, 0)


async def test_a_claw_back_may_be_cut_before_its_reversal(cluster: Cluster) -> None:
    back = reversal_key(USER, key(1))
    cluster.told.append((KEYS.bases[1], Clawback(NOW, back, HOST, key(1), USER, 10_000, 0, 0, "")))
    assert await cluster.audit() == {"clawback_without_reversal"}
    cluster.findings.forget()
    again = Cluster()
    again.told, again.source, again.destination = cluster.told, cluster.source, cluster.destination
    again.later.append((KEYS.bases[0], GiftReversal(NOW, back, USER, key(1), "r", HOST, 10, 0, 0, "")))
    assert await again.audit() == set()


async def test_a_debit_whose_number_is_passed_and_was_never_credited_is_named(cluster: Cluster) -> None:
    cluster.marked(3)
    assert await cluster.audit() == {"debit_without_credit"}


async def test_a_number_that_is_gone_from_the_outbox_is_a_hole(cluster: Cluster) -> None:
    cluster.owes(blob(2, 2))
    assert await cluster.audit() == {"outbox_hole", "debit_without_credit"}
    assert [group.name for group in cluster.findings.report().groups] == ["outbox_hole"]


async def test_a_hole_may_have_been_credited_since_the_cut_of_its_room(cluster: Cluster) -> None:
    cluster.owes()
    cluster.mark = Mark(3, (FIRST,))
    cluster.later += [(KEYS.bases[1], credit(3, 3)), (KEYS.bases[1], credit(4, 4))]
    assert await cluster.audit() == set()


async def test_gifts_in_an_outbox_are_those_that_were_debited(cluster: Cluster) -> None:
    cluster.owes(blob(2, 2), blob(3, 3, 4, 5))
    assert await cluster.audit() == {"outbox_without_debit"}


async def test_amounts_in_an_outbox_are_those_that_were_debited(cluster: Cluster) -> None:
    cluster.owes(blob(2, 2), blob(3)._replace(gifts=(sent(3), sent(4, coins=99))))
    assert await cluster.audit() == {"outbox_differs"}


async def test_a_mark_that_is_behind_its_credits_would_credit_them_again(cluster: Cluster) -> None:
    cluster.marked(1)
    assert await cluster.audit() == {"mark_behind"}


async def test_a_mark_that_is_ahead_of_its_source_is_named_until_the_source_goes_on(cluster: Cluster) -> None:
    """The source has come back without its numbers 4 and 5."""
    cluster.credited(3, 4, 5, 6)
    cluster.marked(5)
    assert await cluster.audit() == {"mark_ahead", "credit_without_debit"}
    assert [group.name for group in cluster.findings.report().groups] == ["mark_ahead"]


async def test_what_is_fenced_is_told_and_in_order(cluster: Cluster) -> None:
    cluster.credited(3, 4, 5, 6)
    cluster.marked(3, FIRST, Epoch(200, 3))
    cluster.destination.fences.append(Fence(0, 4, 5, 100, 200, NOW + 5))
    cluster.gave(3, FIRST, Epoch(200, 3))
    assert await cluster.audit() == set()
    crossed = cluster.crossed
    assert (crossed.fenced_gifts, crossed.fenced, crossed.fenced_diamonds, crossed.open) == (2, 20, 20_000, 0)
    assert crossed.fences == [f"t:{{p01-b}} has credited numbers 4 to 5 of t:{{p00-a}}, noted at {NOW + 5}"]


async def test_what_the_next_blob_will_fence_is_told_too(cluster: Cluster) -> None:
    cluster.credited(3, 4, 5)
    cluster.debited(6)
    cluster.marked(4)
    cluster.gave(4, FIRST, Epoch(200, 3))
    cluster.owes(blob(4, 6, epochs=(FIRST, Epoch(200, 3))))
    assert await cluster.audit() == set()
    assert (cluster.crossed.fenced_gifts, cluster.crossed.gifts, cluster.crossed.open) == (1, 1, 0)


async def test_a_gift_that_was_fenced_and_is_sent_again_was_credited_twice(cluster: Cluster) -> None:
    cluster.credited(3, 4, 5)
    cluster.debited(5)
    cluster.credited(5)
    cluster.destination.fences.append(Fence(0, 4, 4, 100, 200, NOW))
    cluster.marked(4, FIRST, Epoch(200, 3))
    cluster.gave(4, FIRST, Epoch(200, 3))
    assert await cluster.audit() == set()
    assert (cluster.crossed.fenced_gifts, cluster.crossed.open) == (1, 0)


async def test_a_credit_from_after_a_fence_is_not_explained_by_it(cluster: Cluster) -> None:
    cluster.credited(3, 4, 5)
    cluster.credited(6, ts=NOW + 60_000)
    cluster.marked(3, FIRST, Epoch(200, 3))
    cluster.gave(3, FIRST, Epoch(200, 3))
    cluster.destination.fences.append(Fence(0, 4, 4, 100, 200, NOW))
    assert await cluster.audit() == {"credit_without_debit"}


async def test_a_fence_without_its_credits_is_named(cluster: Cluster) -> None:
    cluster.credited(3, 4, 5)
    cluster.marked(3, FIRST, Epoch(200, 3))
    cluster.gave(3, FIRST, Epoch(200, 3))
    cluster.destination.fences.append(Fence(0, 4, 5, 100, 200, NOW))
    assert await cluster.audit() == {"fence_differs"}


async def test_parked_gifts_are_those_of_the_outbox(cluster: Cluster) -> None:
    cluster.destination.parked[0] = {3: b"3"}
    assert await cluster.audit() == set()
    again = Cluster()
    again.told, again.source, again.destination = cluster.told, cluster.source, cluster.destination
    again.destination.parked[0] = {3: b"another"}
    assert await again.audit() == {"parked_differs"}


async def test_a_partition_that_was_never_born_has_lost_its_data(cluster: Cluster) -> None:
    cluster.destination.born = False
    assert "partition_lost" in await cluster.audit()
    assert about.stream(KEYS.bases[1]) in cluster.findings.problems[0].about


async def test_coins_that_are_nowhere_are_noticed_where_no_gift_is(cluster: Cluster) -> None:
    cluster.books.roomless = 1
    assert await cluster.audit() == {"conservation_broken"}
