"""When what was read of a cluster counts, by what masters say: told from their replies alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ClusterDownError, ResponseError

from gifting.ledger.cluster import confirmed as module
from gifting.ledger.cluster.confirmed import WAIT, Confirmed
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.cluster.survey import Survey
from gifting.ledger.cluster.topology import Node, Range, Topology
from gifting.ledger.confirmed import Unsettled
from gifting.ledger.keys import Keys
from gifting.ledger.resp import Words
from tests.support.waiting import WITHIN

BASES = Keys("gifting", 4, ["p00", "p01", "p02", "p03"]).bases
FIRST, SECOND = Node("m1", "h", 1), Node("m2", "h", 2)


class Masters:
    """Two, as a router reaches them: what each was asked, and what its next replies are."""

    def __init__(self) -> None:
        slots = sorted(map(slot_of, BASES))
        middle = (slots[1] + slots[2]) // 2
        ranges = (
            Range(0, middle, FIRST, (Node("r1", "h", 3),)),
            Range(middle + 1, 16383, SECOND, (Node("r2", "h", 4),)),
        )
        self.topology = Topology(1, ranges)
        self.map = self
        self.refreshed = 0
        self.asked: list[tuple[Node, list[Words]]] = []
        self.ids = {FIRST: "a" * 40, SECOND: "b" * 40}
        self.replicas = {FIRST: 1, SECOND: 1}
        self.slow = set[Node]()
        self.error: Exception | None = None

    def master_of(self, slot: int) -> Node:
        found = self.topology.master_of(slot)
        if found is None:
            raise ClusterDownError("nobody")
        return found

    async def refresh(self) -> Topology:
        self.refreshed += 1
        return self.topology

    async def ask(self, node: Node, commands: Sequence[Words]) -> list[Any]:
        self.asked.append((node, list(commands)))
        lines = [f"slave{n}:ip=h,port={n},state=online" for n in range(self.replicas[node])]
        info = "\r\n".join(["role:master", *lines, f"master_replid:{self.ids[node]}", ""]).encode()
        return [self._reply(node, words, info) for words in commands]

    def _reply(self, node: Node, words: Words, info: bytes) -> Any:
        if words[0] == "WAIT":
            return 0 if node in self.slow else min(int(words[1]), self.replicas[node])
        if words[0] == "INFO":
            return info
        if words[0] == "CLUSTER":
            return [b"r%d h:%d@0 slave" % (n, n) for n in range(self.replicas[node])]
        return self.error or b"OK"


def confirmed(masters: Masters, replicas: int = 1, *, every: bool = False) -> Confirmed:
    return Confirmed(masters, BASES, replicas, every)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 1.0)
    monkeypatch.setattr(module, "PAUSE", 0.01)


async def test_each_master_is_asked_once_after_a_write_of_its_own() -> None:
    masters = Masters()
    it = confirmed(masters)
    await it.begin()
    await it.hold()
    assert sorted(node.id for node, _ in masters.asked) == ["m1", "m1", "m2", "m2"]
    for node, (write, wait, *_) in masters.asked:
        assert write[0] == "SET"
        assert masters.master_of(slot_of(str(write[1]))) == node
        assert wait == ("WAIT", 1, WAIT)
    assert masters.refreshed == 1, "where partitions are is known"


async def test_a_replica_that_has_joined_is_counted_at_the_second_try() -> None:
    masters = Masters()
    it = confirmed(masters)
    await it.begin()
    masters.replicas[FIRST] = 2
    await it.hold()
    assert [wait[1] for node, (_, wait, *_) in masters.asked if node is FIRST] == [1, 1, 2]


async def test_what_replicas_have_not_got_may_be_lost_yet() -> None:
    masters = Masters()
    it = confirmed(masters)
    await it.begin()
    masters.slow.add(SECOND)
    with pytest.raises(Unsettled, match="What was read of h:2 may be lost: 0 of 1 have it"):
        await it.hold()
    assert masters.refreshed == 1
    masters.slow.clear()
    await it.hold()
    assert masters.refreshed == 2, "another master may have them"


@pytest.mark.parametrize(("every", "pause", "times"), [(True, 1e9, 1), (True, 0.0, 6), (False, 0.0, 0)])
async def test_how_far_a_replica_may_lag_is_asked_while_something_is_lacking_and_not_each_time(
    monkeypatch: pytest.MonkeyPatch, every: bool, pause: float, times: int
) -> None:
    asked = list[Topology]()

    async def take_survey(topology: Topology, ask: Any) -> Survey:
        asked.append(topology)
        return Survey(topology, (), {})

    monkeypatch.setattr(module, "take_survey", take_survey)
    monkeypatch.setattr(module, "LEARNT_FOR", pause)
    masters = Masters()
    it = confirmed(masters, every=every)
    await it.begin()
    assert not asked
    masters.slow.update((FIRST, SECOND))
    for _ in range(3):
        with pytest.raises(Unsettled):
            await it.hold()
    assert len(asked) == times


async def test_where_masters_are_trusted_nothing_is_written() -> None:
    masters = Masters()
    it = confirmed(masters, replicas=0)
    await it.begin()
    await it.hold()
    assert {words for _, commands in masters.asked for words in commands} == {("INFO", "replication")}


async def test_another_history_is_named_by_its_partitions() -> None:
    masters = Masters()
    it = confirmed(masters)
    await it.begin()
    masters.ids[FIRST] = "c" * 40
    named = [base for base in BASES if masters.master_of(slot_of(base)) is FIRST]
    assert 0 < len(named) < len(BASES)
    with pytest.raises(Unsettled) as caught:
        await it.hold()
    assert str(caught.value).startswith(f"{', '.join(named)} came to another master")
    await it.begin()
    await it.hold()


async def test_a_failover_is_waited_for_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    masters = Masters()
    masters.error = ResponseError("LOADING")
    with pytest.raises(ResponseError, match="LOADING"):
        await confirmed(masters).begin()
    assert len(masters.asked) > 2

    def mend(node: Node, words: Words, info: bytes) -> Any:
        reply = Masters._reply(masters, node, words, info)
        if len(masters.asked) > before + 2:
            masters.error = None
        return reply

    monkeypatch.setattr(module, "PATIENCE", WITHIN)
    before = len(masters.asked)
    masters._reply = mend  # type: ignore[method-assign]
    await confirmed(masters).begin()


async def test_an_error_that_is_none_of_redis_is_as_unsettling() -> None:
    masters = Masters()
    masters.error = ValueError("not a reply")
    with pytest.raises(Unsettled, match="not a reply"):
        await confirmed(masters).begin()
