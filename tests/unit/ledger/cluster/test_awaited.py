"""By what a master tells of its replicas it is judged whether all that may be elected have what was written."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ResponseError

from gifting.ledger.cluster.awaited import AtLeast, Every
from gifting.ledger.cluster.topology import NOTHING, Node, Range, Topology

MASTER = Node("m1", "h", 1)
TOPOLOGY = Topology(1, (Range(0, 16383, MASTER, (Node("a", "h", 2), Node("b", "h", 3))),))


class Cluster:
    def __init__(self, topology: Topology = TOPOLOGY) -> None:
        self.topology = topology


def every(topology: Topology = TOPOLOGY, *, listed: bool = True, clock: list[float] | None = None) -> Every:
    clock = clock or [0.0]
    return Every(Cluster(topology), lag=lambda: 60_000, listed=listed, time=lambda: clock[0])


def said(found: int, following: dict[str, str], listed: list[str], syncs: int | None = None) -> list[Any]:
    """As Redis 8.2 and Valkey 9 say it; with ``syncs`` how many they did is asked too."""
    lines = [
        f"slave{at}:ip={address.rpartition(':')[0]},port={address.rpartition(':')[2]},state={state},offset=9,lag=0"
        for at, (address, state) in enumerate(following.items())
    ]
    stats = [] if syncs is None else ["# Stats", f"sync_full:{syncs}", "sync_partial_ok:0", "sync_partial_err:0"]
    info = "\r\n".join([*stats, "", "# Replication", "role:master", *lines, "slave_lag:0", "master_replid:abc"])
    return [found, info.encode(), [f"id{each} {each}@2{each[-4:]},host slave m1 0 1 2".encode() for each in listed]]


A, B, C = "10.0.0.1:6379", "10.0.0.2:6379", "::1:6379"
ONLINE = {A: "online", B: "online"}


@pytest.mark.parametrize(
    ("found", "following", "listed", "why"),
    [
        (2, ONLINE, [A, B], ""),
        (1, {C: "online"}, [C], ""),
        (1, ONLINE, [A, B], "1 of 2 have it"),
        (1, {A: "online"}, [A, B], f"{B} does not follow"),
        (2, {A: "online", C: "online"}, [A, B], f"{B} does not follow, {C} does and is not listed"),
        (2, ONLINE | {C: "online"}, [A, B], "2 of 3 have it"),
        (2, ONLINE | {C: "wait_bgsave"}, [A, B], ""),
        (2, ONLINE | {C: "send_bulk"}, [A, B, C], f"{C} does not follow"),
        (2, ONLINE, [A], ""),
        (1, {A: "online"}, [], "no replica is awaited there"),
        (0, {}, [A, B], f"{A}, {B} does not follow"),
    ],
)
def test_every_replica_must_have_it(found: int, following: dict[str, str], listed: list[str], why: str) -> None:
    assert every().lacks(MASTER, said(found, following, listed)) == why


def test_it_waits_for_as_many_as_there_were_last() -> None:
    double = every()
    assert double.asks(MASTER, 50) == (("WAIT", 2, 50), ("INFO", "replication"), ("CLUSTER", "REPLICAS", "m1"))
    double.lacks(MASTER, said(2, ONLINE | {C: "online"}, [A, B]))
    assert double.asks(MASTER, 50)[0] == ("WAIT", 3, 50)
    double.lacks(MASTER, said(1, {A: "online"}, [A]))
    assert double.asks(MASTER, 50)[0] == ("WAIT", 1, 50)
    double.lacks(MASTER, said(1, {A: "online"}, [A, B]))
    assert double.asks(MASTER, 50)[0] == ("WAIT", 2, 50)
    assert every(NOTHING).asks(MASTER, 50)[0] == ("WAIT", 1, 50)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_what_a_master_does_not_tell_is_not_there(at: int) -> None:
    replies = said(2, ONLINE, [A, B])
    replies[at] = ResponseError("NOPERM")
    assert every().lacks(MASTER, replies) == "NOPERM"


def test_those_that_follow_where_it_is_not_asked_who_is_listed() -> None:
    following = every(listed=False)
    assert following.asks(MASTER, 50) == (("WAIT", 2, 50), ("INFO", "replication"))
    assert not following.lacks(MASTER, said(1, {A: "online"}, [])[:2])
    assert following.lacks(MASTER, said(1, ONLINE, [])[:2]) == "1 of 2 have it"
    assert following.lacks(MASTER, said(0, {}, [])[:2]) == "no replica is awaited there"


STATS = ("INFO", "replication", "stats")


def test_who_is_away_for_longer_than_it_may_lag_is_awaited_no_more(caplog: pytest.LogCaptureFixture) -> None:
    clock = [1000.0]
    double = every(clock=clock)
    without = {A: "online"}
    assert double.lacks(MASTER, said(1, without, [A, B])) == f"{B} does not follow"
    assert double.asks(MASTER, 50)[1] == STATS
    clock[0] += 100  # whether it came back in these is known from the next answer on
    assert double.lacks(MASTER, said(1, without, [A, B], 5)) == f"{B} does not follow"
    clock[0] += 60
    assert double.lacks(MASTER, said(1, without, [A, B], 5)) == f"{B} does not follow"
    clock[0] += 0.001
    for _ in range(2):
        assert double.lacks(MASTER, said(1, without, [A, B], 5)) == ""
        assert double.asks(MASTER, 50)[:2] == (("WAIT", 1, 50), STATS)
    assert double.lacks(MASTER, said(0, without, [A, B], 5)) == "0 of 1 have it"
    assert [record.message.partition(" was away")[0] for record in caplog.records] == [B]
    for syncs in (5, 6):  # it is back, before that is counted too
        assert double.lacks(MASTER, said(1, without | {B: "wait_bgsave"}, [A, B], syncs)) == f"{B} does not follow"
    assert double.lacks(MASTER, said(2, ONLINE, [A, B], 6)) == ""
    assert double.asks(MASTER, 50)[:2] == (("WAIT", 2, 50), STATS[:2])


def test_who_came_back_while_nobody_looked_is_awaited_as_long_again() -> None:
    clock = [1000.0]
    double = every(clock=clock)
    for syncs in (5, 6):
        for _ in range(2):
            assert double.lacks(MASTER, said(1, {A: "online"}, [A, B], syncs)) == f"{B} does not follow"
        clock[0] += 61
    assert double.lacks(MASTER, said(1, {A: "online"}, [A, B], 7)) == f"{B} does not follow"
    clock[0] += 61
    assert double.lacks(MASTER, said(1, {A: "online"}, [A, B])) == f"{B} does not follow", "its history is not told"
    assert double.lacks(MASTER, said(1, {A: "online"}, [A, B], 7)) == ""


def test_each_is_away_since_it_went() -> None:
    clock = [1000.0]
    double = every(clock=clock)
    double.lacks(MASTER, said(1, {A: "online"}, [A, B], 5))
    clock[0] += 61
    assert double.lacks(MASTER, said(0, {}, [A, B], 5)) == f"{A} does not follow"
    clock[0] += 61
    assert double.lacks(MASTER, said(0, {}, [A, B], 5)) == "no replica is awaited there"
    other = Node("m2", "h", 9)
    assert double.lacks(other, said(0, {}, [A, B], 5)) == f"{A}, {B} does not follow"


def test_so_many_at_least() -> None:
    one, none = AtLeast(1), AtLeast(0)
    assert (one.any, one.asks(MASTER, 50), none.any, none.asks(MASTER, 50)) == (True, (("WAIT", 1, 50),), False, ())
    assert (one.lacks(MASTER, [1]), one.lacks(MASTER, [0]), none.lacks(MASTER, [])) == ("", "0 have it", "")
    assert one.lacks(MASTER, [ResponseError("UNBLOCKED")]) == "UNBLOCKED"
