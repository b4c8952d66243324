"""Where requests go, which of them are said again, and until when: told from what nodes reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import pytest
from redis.exceptions import AuthenticationError, ClusterDownError, MovedError, ResponseError, TryAgainError

from gifting.ledger.cluster import router as module
from gifting.ledger.cluster.awaited import AtLeast, Every
from gifting.ledger.cluster.request import Request, say
from gifting.ledger.cluster.router import Router
from gifting.ledger.cluster.slots import slot_of
from gifting.ledger.cluster.topology import NOTHING, Node, Range, Topology
from gifting.ledger.redis_errors import NotReplicated, NotSent, Unanswered
from gifting.ledger.resp import Words
from gifting.tasks import end

TIMEOUT, SHORT, PAUSE, LONG = 10.0, 0.2, 0.01, 60.0
KEY = "{a}:one"
OTHER = next(f"{{{n}}}:other" for n in range(99) if (slot_of(f"{{{n}}}") < 8000) is not (slot_of(KEY) < 8000))
LOW, HIGH = Node("m1", "low", 1), Node("m2", "high", 2)
REPLICA = Node("r1", "low", 3)
TOPOLOGY = Topology(1, (Range(0, 7999, LOW, (REPLICA,)), Range(8000, 16383, HIGH, ())))
OWN, ELSE = (LOW, HIGH) if slot_of(KEY) < 8000 else (HIGH, LOW)
"""The masters of KEY and of OTHER."""

Reply = Callable[[Words], Any]


class Cluster:
    """Nodes whose replies the test gives, and what is known of where slots are."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(module, "PAUSE", PAUSE)
        patch.setattr(module, "Exchange", self._exchange)
        self.topology = self.found = TOPOLOGY
        self.said: list[tuple[str, list[Words]]] = []
        self.told: list[Node | None] = []
        self.reply: dict[str, Reply | Exception] = {}
        self.retired: list[str] = []
        self.refused: Exception | None = None
        self.made = 0
        self.once = False
        """Whether a node has its reply but for the first time."""
        self.router = Router("redis+cluster://low:1", TIMEOUT)
        self.router.map = self  # type: ignore[assignment]

    # As a map.

    def master_of(self, slot: int) -> Node:
        found = self.topology.master_of(slot)
        if found is None:
            raise ClusterDownError("nobody has it")
        return found

    async def refresh(self, told: Node | None = None) -> Topology:
        self.told.append(told)
        if self.refused is not None:
            raise self.refused
        self.topology = self.found
        return self.topology

    # As connections to a node.

    def _exchange(self, url: str, timeout: float) -> Any:
        self.made += 1
        cluster, host = self, url.partition("://")[2].partition(":")[0]

        class Exchange:
            async def __call__(self, commands: Sequence[Words]) -> list[Any]:
                cluster.said.append((host, list(commands)))
                reply = cluster.reply.get(host, _ok)
                if cluster.once:
                    cluster.reply.pop(host, None)
                if isinstance(reply, Exception):
                    raise reply
                return [1 if words[0] == "WAIT" else reply(words) for words in commands]

            def retire(self) -> None:
                cluster.retired.append(host)

        return Exchange()

    async def say(self, *requests: Request) -> list[Any]:
        return await self.router.say(requests)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


def _ok(words: Words) -> Any:
    return b"OK"


def request(*words: Any, confirmed: bool = False) -> Request:
    return Request((say(words),), transaction=False, confirmed=confirmed)


def once(*replies: Any) -> Reply:
    """These, and then b"OK"."""
    left = list(replies)
    return lambda words: left.pop(0) if left else b"OK"


async def test_those_for_one_node_go_in_one_write_and_replies_are_in_order(cluster: Cluster) -> None:
    cluster.reply = {OWN.host: lambda words: words[2], ELSE.host: lambda words: words[2]}
    said = [request("SET", key, number) for number, key in enumerate((KEY, OTHER, KEY, OTHER))]
    assert await cluster.say(*said) == [[0], [1], [2], [3]]
    assert sorted(host for host, _ in cluster.said) == ["high", "low"]
    assert dict(cluster.said)[OWN.host] == [("SET", KEY, 0), ("SET", KEY, 2)]
    assert cluster.told == []


async def test_a_write_counts_once_it_is_where_it_must_be(cluster: Cluster) -> None:
    writes, reads = request("SET", KEY, 1, confirmed=True), request("GET", KEY, confirmed=True)
    assert await cluster.say(reads, writes) == [[b"OK"], [b"OK"]]
    ((_, words),) = cluster.said
    assert [each[0] for each in words] == ["GET", "SET", "SET", "WAIT"]
    assert words[-1] == ("WAIT", 1, 1000 * 0.7 * TIMEOUT)
    assert await cluster.say(reads) == [[b"OK"]]
    assert [each[0] for each in cluster.said[-1][1]] == ["GET"]
    cluster.reply[OWN.host] = lambda words: words[0]
    assert await cluster.say(writes, reads) == [["SET"], ["GET"]]
    cluster.router.awaited = AtLeast(2)
    ((read,), (written,)) = await cluster.say(reads, writes)
    assert read == "GET"
    assert isinstance(written, NotReplicated)
    cluster.router.awaited = Every(cluster, lag=lambda: 0)
    assert await cluster.say(reads) == [["GET"]], "of whom nobody is asked"


@pytest.mark.parametrize("error", [TryAgainError("moving"), NotSent("none")])
async def test_what_has_not_run_is_said_again_after_a_moment_and_a_look(cluster: Cluster, error: Exception) -> None:
    if isinstance(error, NotSent):
        cluster.reply[OWN.host] = error
        cluster.once = True
    else:
        cluster.reply[OWN.host] = once(error)
    began = monotonic()
    assert await cluster.say(request("SET", OTHER, 1), request("SET", KEY, 1)) == [[b"OK"], [b"OK"]]
    assert monotonic() - began >= PAUSE
    assert [host for host, _ in cluster.said].count(ELSE.host) == 1, "what was answered is not said again"
    assert [host for host, _ in cluster.said].count(OWN.host) == 2
    assert cluster.told == [None]


def pauses_for_long(cluster: Cluster, patch: pytest.MonkeyPatch) -> None:
    """Longer than a test may take."""
    patch.setattr(module, "PAUSE", LONG)
    cluster.router._timeout = 10 * LONG


async def test_where_it_has_moved_is_asked_at_once_and_first(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses_for_long(cluster, monkeypatch)
    cluster.reply[OWN.host] = once(MovedError("1 10.0.0.9:7"))
    assert await cluster.say(request("SET", KEY, 1)) == [[b"OK"]]
    assert cluster.told == [Node("", "10.0.0.9", 7)]


async def test_where_nothing_is_known_it_is_asked_at_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses_for_long(cluster, monkeypatch)
    cluster.topology, cluster.found = NOTHING, TOPOLOGY
    assert await cluster.say(request("SET", KEY, 1)) == [[b"OK"]]


async def test_a_node_that_names_no_host_is_not_asked_first(cluster: Cluster) -> None:
    cluster.reply[OWN.host] = once(MovedError("1 :7"))
    await cluster.say(request("SET", KEY, 1))
    assert cluster.told == [None]


async def test_where_some_have_moved_the_others_still_get_their_moment(cluster: Cluster) -> None:
    cluster.reply = {OWN.host: once(MovedError("1 10.0.0.9:7")), ELSE.host: once(TryAgainError("moving"))}
    began = monotonic()
    await cluster.say(request("SET", KEY, 1), request("SET", OTHER, 1))
    assert monotonic() - began >= PAUSE
    assert cluster.told == [Node("", "10.0.0.9", 7)]


async def test_what_was_sent_and_not_answered_is_not_said_again(cluster: Cluster) -> None:
    cluster.reply[OWN.host] = Unanswered("gone")
    ((first,), (other,), (second,)) = await cluster.say(*[request("SET", key, 1) for key in (KEY, OTHER, KEY)])
    assert isinstance(first, Unanswered)
    assert isinstance(second, Unanswered)
    assert other == b"OK"
    assert cluster.told == []


async def test_an_error_that_is_an_answer_is_one(cluster: Cluster) -> None:
    cluster.reply[OWN.host] = once(ResponseError("WRONGTYPE"))
    ((reply,),) = await cluster.say(request("SET", KEY, 1))
    assert isinstance(reply, ResponseError)
    assert len(cluster.said) == 1


@pytest.mark.parametrize("why", ["turned away", "nobody"])
async def test_what_is_never_taken_ends_in_time_as_it_was_turned_away(cluster: Cluster, why: str) -> None:
    if why == "nobody":
        cluster.topology = cluster.found = Topology(1, (TOPOLOGY.ranges[0 if ELSE is LOW else 1],))
    cluster.router._timeout = SHORT
    cluster.reply[OWN.host] = lambda words: TryAgainError("moving")
    began = monotonic()
    both = Request((say(("SET", KEY, 1)), say(("GET", KEY))), transaction=False, confirmed=False)
    (first, second), (other,) = await cluster.say(both, request("SET", OTHER, 1))
    assert monotonic() - began >= SHORT - 2 * PAUSE
    assert type(first) is type(second) is (TryAgainError if why == "turned away" else ClusterDownError)
    assert other == b"OK"


async def test_a_cluster_that_lets_nobody_in_is_told_at_once_if_nothing_is_known_of_it(cluster: Cluster) -> None:
    cluster.refused = AuthenticationError("WRONGPASS")
    cluster.reply[OWN.host] = once(TryAgainError("moving"))
    assert await cluster.say(request("SET", KEY, 1)) == [[b"OK"]], "what was known holds"
    cluster.topology = cluster.found = NOTHING
    with pytest.raises(AuthenticationError):
        await cluster.say(request("SET", KEY, 1))
    assert len(cluster.told) == 2
    cluster.refused, cluster.router._timeout = OSError("down"), SHORT
    ((reply,),) = await cluster.say(request("SET", KEY, 1))
    assert isinstance(reply, ClusterDownError)


# To certain nodes.


async def test_each_master_is_asked_and_each_replica_if_that_is_wanted(cluster: Cluster) -> None:
    assert await cluster.router.each("PING") == {LOW: b"OK", HIGH: b"OK"}
    assert set(await cluster.router.each("PING", replicas=True)) == {LOW, HIGH, REPLICA}
    assert cluster.told == []
    cluster.topology = cluster.found = NOTHING
    assert await cluster.router.each("PING") == {}
    assert cluster.told == [None], "who they are is asked first"


async def test_a_node_is_asked_until_it_takes_it(cluster: Cluster) -> None:
    cluster.reply["low"] = once(TryAgainError("moving"), TryAgainError("moving"))
    assert await cluster.router.at(LOW, "PING") == b"OK"
    assert len(cluster.said) == 3
    cluster.reply["low"] = once(ResponseError("WRONGTYPE"))
    with pytest.raises(ResponseError):
        await cluster.router.at(LOW, "PING")
    began, cluster.router._timeout = monotonic(), SHORT
    cluster.reply["low"] = lambda words: TryAgainError("moving")
    with pytest.raises(TryAgainError):
        await cluster.router.at(LOW, "PING")
    assert monotonic() - began >= SHORT - 2 * PAUSE


async def test_connections_are_kept_while_their_node_is_there(cluster: Cluster) -> None:
    for _ in range(2):
        await cluster.say(request("SET", KEY, 1), request("SET", OTHER, 1))
    assert cluster.made == 2
    cluster.router._forget_nodes(TOPOLOGY)
    assert cluster.retired == []
    cluster.router._forget_nodes(Topology(2, (Range(0, 16383, OWN, ()),)))
    assert cluster.retired == [ELSE.host]
    await cluster.say(request("SET", KEY, 1), request("SET", OTHER, 1))
    assert cluster.made == 3


class Never:
    """Connections to a node that does not answer."""

    async def __call__(self, commands: Sequence[Words]) -> list[Any]:
        await asyncio.Event().wait()
        return []


async def test_who_is_cancelled_leaves_nothing_behind(cluster: Cluster) -> None:
    cluster.router._exchanges = {OWN[1:]: Never(), ELSE[1:]: Never()}  # type: ignore[dict-item]
    saying = asyncio.create_task(cluster.say(request("SET", KEY, 1), request("SET", OTHER, 1)))
    await asyncio.sleep(0.01)
    await end([saying])
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_where_one_node_refuses_nobody_waits_for_the_others(cluster: Cluster) -> None:
    cluster.reply["low"] = once(ResponseError("WRONGTYPE"))
    cluster.router._exchanges = {HIGH[1:]: Never()}  # type: ignore[dict-item]
    with pytest.raises(ResponseError):
        await cluster.router.each("PING")
    assert asyncio.all_tasks() == {asyncio.current_task()}
