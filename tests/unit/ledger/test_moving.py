"""What keys, and names of keys, are called on the cluster that books are moved to."""

from __future__ import annotations

import pytest

from gifting.errors import Unmovable
from gifting.ledger.cluster.slots import tags
from gifting.ledger.keys import Keys
from gifting.ledger.moving.names import Names

HERE, THERE = Keys("gifting", 4), Keys("gifting", 4, tags(4))
NAMES = Names(HERE, THERE)


def here(number: int, name: str) -> bytes:
    return f"{HERE.bases[number]}:{name}".encode()


def there(number: int, name: str) -> bytes:
    return f"{THERE.bases[number]}:{name}".encode()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("coins", "coins"),
        ("orders", "orders"),
        ("orders:ann", "orders:*"),
        ("orders:a:b", "orders:*"),
        ("room:a:b", "room:*"),
        ("room:a:b/log", "room:*/log"),
        ("room:orders:x/users", "room:*/users"),
        ("sandbox/payouts/due", "sandbox/payouts/due"),
        ("archived/items", "archived/items"),
        ("keys:28333333", "keys:*"),
    ],
)
def test_a_key_is_in_the_same_partition(name: str, kind: str) -> None:
    place = NAMES.place(here(3, name))
    assert place == (here(3, name), kind, there(3, name))
    assert NAMES.origin(there(3, name)) == here(3, name)


def test_support_cases_are_in_the_first() -> None:
    assert NAMES.name(HERE.cases("ann").encode()) == THERE.cases("ann").encode() == there(0, "cases:ann")
    assert NAMES.origin(there(0, "cases:ann")) == HERE.cases("ann").encode() != here(0, "cases:ann")
    assert NAMES.name(HERE.case_users("c1").encode()) == THERE.case_users("c1").encode()
    assert NAMES.origin(there(0, "cases")) is None, "from all of them"


@pytest.mark.parametrize("name", ["meta", "chain:a node"])
def test_some_stay(name: str) -> None:
    assert NAMES.place(here(0, name)) is None


@pytest.mark.parametrize("name", ["line", "waited", "outbox", "marks", "park/3", "fenced", "meta"])
def test_what_only_a_cluster_has_is_no_copy(name: str) -> None:
    assert NAMES.origin(there(1, name)) is None
    if name != "meta":
        with pytest.raises(Unmovable, match=name):
            NAMES.place(here(1, name))


@pytest.mark.parametrize(
    "key", ["gifting:{p00}:news", "gifting:{p00}:room:r/news", "gifting:{p04}:coins", "gifting:{p0"]
)
def test_what_is_not_known_is_not_moved(key: str) -> None:
    with pytest.raises(Unmovable, match="does not know what"):
        NAMES.place(key.encode())
    with pytest.raises(Unmovable, match="does not know what"):
        NAMES.origin(key.encode())


def test_names_of_keys_change_where_they_are_kept_and_nowhere_else() -> None:
    bucket, plans = here(2, "keys:1"), here(2, "orders:ann")
    assert NAMES.member("keys", bucket) == there(2, "keys:1")
    assert NAMES.member("grants", here(2, "grants:1")) == there(2, "grants:1")
    assert NAMES.member("totals", b"redo\n\n" + plans) == b"redo\n\n" + there(2, "orders:ann")
    assert NAMES.member("totals", b"redo\nann") == b"redo\nann"
    assert NAMES.member("totals", b"spent") == b"spent"
    for kind in ("references", "orders:*", "room:*/users"):
        assert NAMES.member(kind, bucket) == bucket, "who is called so, or writes so"
