"""Which numbers are missing between two partitions, whose gifts they are, in which epoch each was given, and the blob
that is made of them anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gifting.errors import Unmendable
from gifting.ledger.audit.pairs import Epoch, Fence, Given, Half, Mark
from gifting.ledger.audit.sent import read_blob
from gifting.ledger.entries import Debit
from gifting.ledger.gifts import gift_digest
from gifting.ledger.mending.blob import Face, Maker
from gifting.ledger.mending.gaps import UNKNOWN, Count, Gap, Proof, find_gaps
from gifting.model.catalog import load_catalog
from gifting.model.money import make_key
from gifting.model.packing import unpack_raw
from gifting.model.pseudonym import pseudonym

NOW = 1_800_000_000_000
FIRST, SECOND, THIRD = Epoch(100, 0), Epoch(200, 4), Epoch(300, 6)
SALT = bytes(16)
NOTHING = Mark()


def debit(number: int, **more: object) -> Debit:
    key = bytes.fromhex(make_key(NOW, number.to_bytes(10, "big")).replace("-", ""))
    what = {"user": "ann", "room": "r", "host": "hal", "gift": "spark", "gifts": 2, "coins": 2, "ts": NOW + number}
    return Debit(key=key, **what | more)  # type: ignore[arg-type]


def gap(given: Given, mark: Mark = NOTHING, missing: Sequence[tuple[int, int]] = ((1, 1),)) -> Gap:
    return Gap(0, 1, given, mark, False, {}, missing)


def halves(given: Given, mark: Mark, *fences: Fence) -> tuple[list[Half], list[Half]]:
    source, destination = Half(True), Half(True)
    source.given[1] = given
    destination.marks[0] = mark
    destination.fences = list(fences)
    return [source, Half(True)], [Half(True), destination]


def test_what_was_given_and_is_nowhere_is_a_gap() -> None:
    given = Given(6, (FIRST, SECOND))
    assert find_gaps(*halves(given, Mark(6, (FIRST, SECOND)))) == []
    (found,) = find_gaps(*halves(given, Mark(3, (FIRST,))))
    assert (found.source, found.destination, found.footing, found.last) == (0, 1, 3, 6)
    assert (list(found.numbers()), found.fenced) == ([4, 5, 6], False)
    (found,) = find_gaps(*halves(given, Mark(6, (FIRST,))))  # 5 and 6 are of an epoch that is lost
    assert (list(found.numbers()), found.fenced) == ([5, 6], True)
    for source in (0, 1):
        (found,) = find_gaps(*halves(given, Mark(3, (FIRST,)), Fence(source, 1, 1, 1, 2, NOW)))
        assert found.fenced == (source == 0)


@pytest.mark.parametrize(
    ("number", "given", "mark", "expected"),
    [
        (1, (FIRST, SECOND), (), (FIRST,)),
        (4, (FIRST, SECOND), (), (FIRST,)),
        (5, (FIRST, SECOND), (), (FIRST, SECOND)),
        (4, (SECOND,), (), (UNKNOWN,)),
        (4, (SECOND,), (FIRST,), (FIRST,)),
        (7, (THIRD,), (FIRST, SECOND), (FIRST, SECOND, THIRD)),
        (7, (THIRD,), (FIRST, Epoch(250, 6)), (FIRST, THIRD)),  # which THIRD has lost
        (7, (THIRD,), (FIRST, Epoch(400, 1)), (FIRST, THIRD)),
    ],
)
def test_a_number_has_the_epochs_that_had_begun_then(
    number: int, given: tuple[Epoch, ...], mark: tuple[Epoch, ...], expected: tuple[Epoch, ...]
) -> None:
    assert gap(Given(9, given), Mark(1, mark)).epochs(number) == expected


def test_debits_have_their_numbers_counted_back() -> None:
    one = gap(Given(4, (FIRST,)), Mark(1, (FIRST,)), [(2, 3)])
    count = Count(one)
    for number in (4, 3, 2):
        count.take([debit(number)])
        assert not count.done
    with pytest.raises(Unmendable, match="no more gifts than those from number 2 on"):
        count.close()
    count.take([debit(1)])
    assert count.done
    count.close()
    assert one.found == {number: [debit(number)] for number in (1, 2, 3)}
    assert one.gifts() == [debit(2), debit(3)]


def test_without_a_footing_the_ledger_is_read_to_its_beginning() -> None:
    count = Count(gap(Given(1, (FIRST,))))
    count.take([debit(1)])
    assert not count.done
    count.close()
    with pytest.raises(Unmendable, match="before number 1"):
        count.take([debit(0)])


def test_the_footing_must_be_credited_and_what_is_missing_not() -> None:
    one = gap(Given(2, (FIRST,)), Mark(1, (FIRST,)), [(2, 2)])
    one.found = {1: [debit(1)], 2: [debit(2)]}
    proof = Proof([one])
    assert [proof.needs(NOW + at) for at in (2, 1, 0)] == [True, True, False]
    proof.take(1, debit(2).key)  # another source's
    proof.take(1, debit(1).key)
    with pytest.raises(Unmendable, match="and not credited"):
        proof.close()
    proof.take(0, debit(1).key)
    assert [proof.needs(NOW + at) for at in (2, 1)] == [True, False]
    proof.close()
    with pytest.raises(Unmendable, match="credited already"):
        proof.take(0, debit(2).key)


def test_a_blob_is_made_anew() -> None:
    plain = debit(1)
    known = Face(gift_digest("ann", "r", "spark", 2, None, "") + b"and more", b"Hal", b"")
    other, unknown = debit(2, room="r2"), Face(b"", b"", b"\x80")
    made = Maker(SALT, load_catalog()).blob(3, 7, (FIRST,), [(plain, known), (other, unknown), (plain, known)])
    read = read_blob(made)
    assert (read.seq, read.epochs) == (7, (FIRST,))
    assert [gift[0] for gift in read.gifts] == [plain.key, other.key, plain.key]
    assert [gift[1:] for gift in read.gifts] == [("ann", room, "hal", 2) for room in ("r", "r2", "r")]
    source, _, _, rooms, targets, values = unpack_raw(made)
    assert (source, rooms) == (3, [[b"r", b"hal"], [b"r2", b"hal"]])
    assert targets.count(b"to_user") == 2, "one for each room"
    hidden = pseudonym(SALT, "r2", "ann").encode()
    assert (values.count(hidden), values.count(b"Anonymous"), values.count(pseudonym(SALT, "r", "ann").encode())) == (
        (2, 1, 0)
    )


def test_what_is_no_longer_sold_is_shown_by_its_id_at_the_price_that_was_paid() -> None:
    gone = debit(1, gift="gone", gifts=3, coins=21)
    made = Maker(SALT, load_catalog()).blob(0, 1, (FIRST,), [(gone, Face(b"", b"", b""))])
    _, _, _, _, targets, _ = unpack_raw(made)
    assert b"\xa4name\xa4gone" in targets
    assert b"\xa5coins\x07" in targets
