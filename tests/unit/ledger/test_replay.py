"""What entries do to balances is one thing, whether an audit holds them against each other or a month is closed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.books import Books
from gifting.ledger.audit.replay import enter
from gifting.ledger.audit.report import Findings
from gifting.ledger.entries import Credit, Debit, Entry, Grant, Purchase, Reversal, owner
from gifting.ledger.keys import Keys

KEYS = Keys("replay", 3)
names = st.sampled_from(["ann", "bob", "cat"])
coins = st.integers(1, 1000)
some = st.integers(-50, 50)
none = st.integers(0, 200)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Of any kind, in any order, each with a key of its own."""
    kinds: list[st.SearchStrategy[Entry]] = [
        st.builds(Grant, st.just(1), st.just(b""), names, coins, st.just(""), st.just("")),
        st.builds(Purchase, st.just(1), st.just(b""), names, st.just("o"), coins, none, none),
        st.builds(Reversal, st.just(1), st.just(b""), names, st.just("o"), some, some, some),
        st.builds(Debit, st.just(1), st.just(b""), names, st.just("r"), names, st.just("rose"), st.just(1), coins),
        st.builds(
            Credit, st.just(1), st.just(b""), names, st.just("r"), names, coins, coins, none, coins, st.integers(1, 7)
        ),
    ]
    found = draw(st.lists(st.one_of(kinds), max_size=40))
    return [replace(entry, key=number.to_bytes(16, "big")) for number, entry in enumerate(found)]


@given(entries())
def test_a_replay_comes_to_the_balances_of_the_audit(found: list[Entry]) -> None:
    books, replayed = Books(KEYS, Findings()), Balances()
    for entry in found:
        base = KEYS.base(owner(entry))
        books.enter(base, entry)
        enter(replayed, base, entry)
    assert replayed == books.balances
