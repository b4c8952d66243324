"""What the items of a commit are told: each once, what the script said of it, or the error that a refusal is."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

import gifting
from gifting import errors
from gifting.ledger.commit import EVENT, GIFT, LIKE, PendingCommit, abandon, deliver, pack_batch, refuse
from gifting.ledger.commit_keys import Spot, bucket_spot, room_spot
from gifting.ledger.keys import account_keys, credit_keys, house_keys, room_keys
from gifting.ledger.status import Status
from gifting.model.packing import pack, unpack
from gifting.model.values import Done, Outcome, Result

SPOT = Spot("a", b"")


def items(told: list[Outcome], count: int, *, free: bool = False, sent: bool = False) -> Sequence[PendingCommit]:
    return [item(told.append, free, sent) for _ in range(count)]


def item(done: Done, free: bool = False, sent: bool = False) -> PendingCommit:
    return PendingCommit(LIKE if free else GIFT, None if free else SPOT, SPOT, b"", b"", done, 0.0, sent)


def test_what_was_committed_is_a_result() -> None:
    told: list[Outcome] = []
    deliver(items(told, 2), [(0, Status.OK, 7, 90, 3, 5), (1, Status.OK, 7, 90, 3, 5)])
    assert told == [Result(False, 7, 90, 3, 5), Result(True, 7, 90, 3, 5)]
    assert [result.duplicate for result in told if isinstance(result, Result)] == [False, True]


@pytest.mark.parametrize("status", [status for status in Status if status != Status.OK])
def test_a_refusal_is_its_error(status: Status) -> None:
    told: list[Outcome] = []
    deliver(items(told, 1), [(0, status, 0, 12, 0, 0)])
    (error,) = told
    assert type(error) is status.error
    assert str(error).startswith(status.name.lower())
    assert ("There are 12 coins" in str(error)) == (status == Status.INSUFFICIENT_COINS)


def test_nobody_else_looks_at_a_status() -> None:
    """Above the ledger a refusal is an error and nothing else."""
    package = Path(gifting.__file__).parent
    knowing = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "gifting.ledger.status":
                knowing.add(path.relative_to(package).parts[0])
    assert knowing == {"ledger"}


@pytest.mark.parametrize(
    ("free", "sent", "error"),
    [
        (False, False, errors.LedgerFull),
        (True, False, errors.LedgerFull),
        (False, True, errors.OutcomeUnknown),
        (True, True, errors.Unconfirmed),
    ],
)
def test_not_taken_is_said_only_where_it_is_certain(free: bool, sent: bool, error: type[errors.GiftingError]) -> None:
    told: list[Outcome] = []
    refuse(items(told, 2, free=free, sent=sent), errors.LedgerFull())
    abandon(items(told, 1, free=free))
    assert [type(outcome) for outcome in told[:2]] == [error] * 2
    assert type(told[2]) is (errors.Unconfirmed if free else errors.OutcomeUnknown)


def test_who_fails_to_be_told_keeps_nobody_from_it(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_: Outcome) -> None:
        raise ZeroDivisionError

    told: list[Outcome] = []
    deliver([item(fails), *items(told, 1)], [(0, Status.OK, 1, 1, 1, 1), (0, Status.OWN_ROOM, 0, 0, 0, 0)])
    assert type(told[0]) is errors.OwnRoom
    assert "telling its sender failed" in caplog.text


# On the wire.

ROOM_NAMES = [*room_keys("{p1}", "r"), *house_keys("{p1}", "r", "h")]
ROOM_SPOT, TARGET = room_spot("{p1}", "r", "h"), b"a gift in r"


def keys_of(packed: bytes) -> list[str]:
    return packed.decode().split("\r\n")[1::2]


@pytest.mark.parametrize("kind", [EVENT, LIKE])
def test_a_call_of_one_free_event(kind: int) -> None:
    packed = pack_batch([PendingCommit(kind, None, ROOM_SPOT, None, b"fields", told, 0.0)])
    assert keys_of(packed.keys) == credit_keys("{p1}") + ROOM_NAMES
    assert packed.keys_count == len(keys_of(packed.keys))
    kinds, places, heads, terms, values = packed.arguments
    assert (kinds, unpack(places)) == (bytes([kind]), [0, 1, [1], [], []])
    assert (heads, terms, values) == (b"", b"", pack(1) + b"fields")


@pytest.mark.parametrize("base", ["{p1}", "{p2}"])
def test_a_call_of_one_gift_is_as_one_that_says_it_twice(base: str) -> None:
    """All that stands once in a call of two that are alike, stands in the call of one."""
    gift = PendingCommit(GIFT, bucket_spot(base, 29_400_000), ROOM_SPOT, TARGET, b"fields", told, 0.0, terms=b"terms")
    one, two = pack_batch([gift]), pack_batch([gift, gift])
    assert (one.keys, one.keys_count) == (two.keys, two.keys_count)
    assert keys_of(one.keys)[:-1] == account_keys(base) + credit_keys("{p1}") + ROOM_NAMES
    assert one.keys_count == len(keys_of(one.keys))
    kinds, places, heads, terms, values = one.arguments
    assert (2 * kinds, places, heads, terms, 2 * values) == two.arguments


def told(_: Outcome) -> None:
    """Of nothing that these tests look at."""
