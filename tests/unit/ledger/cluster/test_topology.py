"""What nodes say of their cluster, in both protocols and both forms, and where the cluster's URL says that they are."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import RedisError, ResponseError

from gifting.errors import BadSetting
from gifting.ledger.address import Address
from gifting.ledger.cluster.address import ClusterAddress, is_cluster
from gifting.ledger.cluster.topology import NOTHING, Node, Range, read_topology

ASKED = Node("", "10.0.0.9", 7000)
INFO = b"cluster_state:ok\r\ncluster_current_epoch:6\r\ncluster_my_epoch:1\r\n"
ONE, TWO, THREE = Node("a1", "10.0.0.1", 7001), Node("b2", "10.0.0.9", 7002), Node("c3", "10.0.0.3", 7003)


def said(node: Node, role: str, health: str = "online", **more: Any) -> dict[bytes, Any]:
    fields = {"id": node.id, "port": node.port, "endpoint": node.host, "role": role, "health": health, **more}
    return {name.encode(): value.encode() if isinstance(value, str) else value for name, value in fields.items()}


SHARDS = [
    {b"slots": [9000, 16383], b"nodes": [said(THREE, "master", "fail"), said(TWO, "replica", endpoint=None)]},
    {b"slots": [0, 10, 20, 8999], b"nodes": [said(TWO, "replica", endpoint="?"), said(ONE, "master")]},
    {b"slots": [], b"nodes": [said(THREE, "master")]},
]
RANGES = (Range(0, 10, ONE, (TWO,)), Range(20, 8999, ONE, (TWO,)), Range(9000, 16383, None, (TWO,)))


def flat(value: Any) -> Any:
    """As RESP2 has it."""
    if isinstance(value, dict):
        return [part for name, each in value.items() for part in (name, flat(each))]
    return [flat(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("shards", [SHARDS, flat(SHARDS)], ids=["RESP3", "RESP2"])
def test_shards(shards: Any) -> None:
    found = read_topology(INFO, shards, ASKED)
    assert (found.epoch, found.ranges) == (6, RANGES)
    assert (found.masters, found.nodes) == ((ONE,), (ONE, TWO))
    assert [found.master_of(slot) for slot in (0, 10, 11, 20, 8999, 9000)] == [ONE, ONE, None, ONE, ONE, None]
    assert found.replicas_of(ONE) == (TWO,)
    assert found.replicas_of(THREE) == ()


def test_with_tls_a_node_has_another_port() -> None:
    shards = [{b"slots": [0, 16383], b"nodes": [{**said(ONE, "master"), b"tls-port": 9001}]}]
    assert read_topology(INFO, shards, ASKED, tls=True).masters == (ONE._replace(port=9001),)
    assert read_topology(INFO, shards, ASKED).masters == (ONE,)


def test_slots_of_engines_that_have_no_shards() -> None:
    rows = [[0, 16383, [b"10.0.0.1", 7001, b"a1", []], [b"", 7002, b"b2", []]]]
    assert read_topology(INFO, rows, ASKED).ranges == (Range(0, 16383, ONE, (TWO,)),)


def test_who_refuses_or_says_nonsense_tells_nothing() -> None:
    with pytest.raises(ResponseError, match="disabled"):
        read_topology(INFO, ResponseError("This instance has cluster support disabled"), ASKED)
    every: list[Any] = [[{b"slots": [1], b"nodes": []}], [[b"what"]], [{b"nodes": []}], 7]
    for nonsense in every:
        with pytest.raises(RedisError, match="can't be read"):
            read_topology(INFO, nonsense, ASKED)
    assert read_topology(INFO, [], ASKED).master_of(7) is NOTHING.master_of(7) is None


def test_the_url_names_seeds_and_what_holds_for_all_nodes() -> None:
    address = ClusterAddress("rediss+cluster://me:p%40ss@one:7001,[::1]:7002,three?ssl_cert_reqs=none")
    assert address.seeds == (("one", 7001), ("::1", 7002), ("three", 6379))
    assert address.url_of("10.0.0.1", 7) == "rediss://me:p%40ss@10.0.0.1:7?ssl_cert_reqs=none"
    assert address.url_of("::1", 7) == "rediss://me:p%40ss@[::1]:7?ssl_cert_reqs=none"
    assert Address(address.url_of("::1", 7)).greeting == [("HELLO", 3, "AUTH", "me", "p@ss")]
    assert ClusterAddress("redis+cluster://one").url_of("one", 6379) == "redis://one:6379"
    assert ClusterAddress("redis+cluster://one/0").seeds == (("one", 6379),)
    assert (
        ClusterAddress("redis+cluster://one?ssl_ca_certs=/a@b#c").url_of("two", 2) == "redis://two:2?ssl_ca_certs=/a@b"
    )
    assert [is_cluster(url) for url in ("redis://a", "redis+cluster://a", "rediss+cluster://a", "unix:///a")] == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("nodes", ["", "one,", "one:port", "one:99999", ":7", "one:0", "one/1", "[::1"])
def test_a_url_that_is_none_is_a_bad_setting(nodes: str) -> None:
    with pytest.raises(BadSetting):
        ClusterAddress(f"redis+cluster://{nodes}")
