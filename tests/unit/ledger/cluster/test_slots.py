"""Keys and slots: as a Redis Cluster counts them, and spread evenly by their tags."""

from __future__ import annotations

from binascii import crc_hqx

import pytest

from gifting.config import PARTITIONS_MAX
from gifting.ledger.cluster.slots import SLOTS, slot_of, tags
from gifting.ledger.keys import Keys


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        ("{user1000}.following", "user1000"),
        ("foo{}{bar}", "foo{}{bar}"),  # nothing between the first braces: the whole key
        ("foo{{bar}}zap", "{bar"),
        ("foo{bar}{zap}", "bar"),
        ("foo{bar", "foo{bar"),
        ("gifting:{p00-0r26}:meta", "p00-0r26"),
    ],
)
def test_a_key_is_in_the_slot_of_its_tag(key: str, hashed: str) -> None:
    assert slot_of(key) == slot_of(key.encode()) == crc_hqx(hashed.encode(), 0) % SLOTS


def test_slots_are_those_of_the_specification() -> None:
    assert slot_of("123456789") == 0x31C3 % SLOTS


@pytest.mark.parametrize("partitions", [1, 2, 3, 16, 64, PARTITIONS_MAX])
def test_each_partition_is_in_the_middle_of_its_own_range(partitions: int) -> None:
    slots = [slot_of(base) for base in Keys("gifting", partitions, tags(partitions)).bases]
    assert [slot * partitions // SLOTS for slot in slots] == list(range(partitions))
    assert slots[1:] == [(2 * number + 1) * SLOTS // (2 * partitions) for number in range(1, partitions)]


@pytest.mark.parametrize("masters", [1, 2, 3, 4, 5, 6, 8, 16])
def test_masters_with_equal_ranges_have_equally_many_partitions(masters: int) -> None:
    """One more or less."""
    counts = [0] * masters
    for tag in tags(16):
        counts[slot_of(tag) * masters // SLOTS] += 1
    assert max(counts) - min(counts) <= 1


def test_the_first_partition_is_found_without_knowing_how_many_there_are() -> None:
    assert {tags(partitions)[0] for partitions in range(1, PARTITIONS_MAX + 1)} == {"p00-0r26"}


def test_tags_stay_as_they_are() -> None:
    """Data is kept under them."""
    assert tags(4) == ("p00-0r26", "p01-045i", "p02-021m", "p03-05b4")
    assert Keys("gifting", 2).bases == ["gifting:{p00}", "gifting:{p01}"]
    assert Keys("gifting", 2, tags(2)).bases == ["gifting:{p00-0r26}", "gifting:{p01-0g1r}"]


def test_what_a_script_changes_of_support_cases_is_in_one_partition() -> None:
    """On one Redis it is where it was."""
    keys = Keys("gifting", 16, tags(16))
    names = [*map(keys.cases, ("ann", "bob")), *map(keys.case_users, ("1", "2")), keys.open_cases, keys.decided_cases]
    assert {slot_of(name) for name in names} == {slot_of(keys.meta)}
    assert Keys("gifting", 16).cases("ann") == f"{Keys('gifting', 16).base('ann')}:cases:ann"
