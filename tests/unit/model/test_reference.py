"""The specification of the ledger, read as an example."""

from __future__ import annotations

from gifting.model.catalog import load_catalog
from gifting.model.money import make_key
from tests.support.reference import Reference, Rules, Sent


def test_the_specification_by_example() -> None:
    ledger = Reference(Rules(rate=(500, 1)))
    rose = load_catalog()["spark"]
    host = {"id": "host", "name": "Host"}
    keys = [make_key(1000, bytes(9) + bytes((number,))) for number in range(3)]
    assert ledger.open_room("r1", host, "A title") == "ok"
    assert ledger.grant(1000, "ann", 10, keys[0], "bought").coins == 10
    sent = Sent({"id": "ann"}, "r1", host, rose, 2, None)
    assert ledger.gift(1000, keys[1], sent) == (False, "ok", 1, 8, 2, 1)
    assert ledger.gift(4000, keys[1], sent) == (True, "ok", 1, 8, 2, 1)
    assert ledger.gift(4000, keys[2], sent) == (False, "ok", 2, 6, 4, 1)
    assert ledger.sweep(7000) == 0
    assert ledger.sweep(7001) == 1
    end = ledger.rooms["r1"].log[-1].event
    assert (end["repeat_count"], end["repeat_end"], end["count"]) == (4, True, 0)
    assert (ledger.diamonds["host"], ledger.rooms["r1"].top(1)[0]["coins"]) == (2000, 4)
