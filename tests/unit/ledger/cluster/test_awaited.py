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


def said(found: int, following: dict[str, str], listed: list[str]) -> list[Any]:
    """As Redis 8.2 and Valkey 9 say it."""
    lines = [
        f"slave{at}:ip={address.rpartition(':')[0]},port={address.rpartition(':')[2]},state={state},offset=9,lag=0"
        for at, (address, state) in enumerate(following.items())
    ]
    info = "\r\n".join(["# Replication", "role:master", *lines, "slave_lag:0", "master_replid:abc"])
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
        (2, {A: "online", C: "online"}, [A, B], f"{B} does not follow"),
        (2, ONLINE | {C: "online"}, [A, B], "2 of 3 have it"),
        (2, ONLINE | {C: "wait_bgsave"}, [A, B], ""),
        (2, ONLINE | {C: "send_bulk"}, [A, B, C], f"{C} does not follow"),
        (2, ONLINE, [A], ""),
        (1, {A: "online"}, [], "it has no replica"),
        (0, {}, [A, B], f"{A}, {B} does not follow"),
    ],
)
def test_every_replica_must_have_it(found: int, following: dict[str, str], listed: list[str], why: str) -> None:
    assert Every(Cluster()).lacks(MASTER, said(found, following, listed)) == why


def test_it_waits_for_as_many_as_there_were_last() -> None:
    every = Every(Cluster())
    assert every.asks(MASTER, 50) == (("WAIT", 2, 50), ("INFO", "replication"), ("CLUSTER", "REPLICAS", "m1"))
    every.lacks(MASTER, said(2, ONLINE | {C: "online"}, [A, B]))
    assert every.asks(MASTER, 50)[0] == ("WAIT", 3, 50)
    every.lacks(MASTER, said(1, {A: "online"}, [A]))
    assert every.asks(MASTER, 50)[0] == ("WAIT", 1, 50)
    every.lacks(MASTER, said(0, {}, [A, B]))
    assert every.asks(MASTER, 50)[0] == ("WAIT", 2, 50)
    assert Every(Cluster(NOTHING)).asks(MASTER, 50)[0] == ("WAIT", 1, 50)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_what_a_master_does_not_tell_is_not_there(at: int) -> None:
    replies = said(2, ONLINE, [A, B])
    replies[at] = ResponseError("NOPERM")
    assert Every(Cluster()).lacks(MASTER, replies) == "NOPERM"


def test_those_that_follow_where_it_is_not_asked_who_is_listed() -> None:
    following = Every(Cluster(), listed=False)
    assert following.asks(MASTER, 50) == (("WAIT", 2, 50), ("INFO", "replication"))
    assert not following.lacks(MASTER, said(1, {A: "online"}, [])[:2])
    assert following.lacks(MASTER, said(1, ONLINE, [])[:2]) == "1 of 2 have it"
    assert following.lacks(MASTER, said(0, {}, [])[:2]) == "it has no replica"


def test_so_many_at_least() -> None:
    one, none = AtLeast(1), AtLeast(0)
    assert (one.any, one.asks(MASTER, 50), none.any, none.asks(MASTER, 50)) == (True, (("WAIT", 1, 50),), False, ())
    assert (one.lacks(MASTER, [1]), one.lacks(MASTER, [0]), none.lacks(MASTER, [])) == ("", "0 have it", "")
    assert one.lacks(MASTER, [ResponseError("UNBLOCKED")]) == "UNBLOCKED"
