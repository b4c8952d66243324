"""What is said to a cluster, and what came of it: told from the replies alone."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ClusterCrossSlotError, NoScriptError, OutOfMemoryError, RedisError, ResponseError

from gifting.ledger import scripts
from gifting.ledger.cluster.request import HOME, Request, say
from gifting.ledger.cluster.slots import slot_of, tags
from gifting.ledger.redis_errors import Fate, NotReplicated, Unanswered, fate, is_turned_away, read_error

KEY = f"gifting:{{{tags(16)[3]}}}:coins"
MARK = ("SET", f"gifting:{{{tags(16)[3]}}}:waited", "")
READ, WRITE = say(("HGET", KEY, "ann")), say(("HSET", KEY, "ann", 1))
AWAY = [
    "MOVED 3866 127.0.0.1:1",
    "ASK 3866 127.0.0.1:1",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN The cluster is down",
    "MASTERDOWN Link with MASTER is down",
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    "NOREPLICAS Not enough good replicas to write.",
]
STAYS = [
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Errors writing to the AOF file",
    "READONLY You can't write against a read only replica. script: 1, on @user_script:1.",
    "ERR Error running script @user_script:7: NOREPLICAS",
]


def request(*commands: Any, transaction: bool = False, confirmed: bool = True) -> Request:
    return Request(commands, transaction, confirmed)


def test_a_script_gets_two_names_that_never_exist_and_its_text_takes_them_off() -> None:
    name, text, count, *rest = say(("EVAL", "#!lua\nreturn 1", 1, KEY, "arg")).words
    assert (name, count) == ("EVAL", 3)
    assert str(text).splitlines() == ["#!lua", "KEYS[#KEYS] = nil KEYS[#KEYS] = nil return 1"]
    assert rest == [KEY, *scripts.never(KEY), "arg"]
    assert {slot_of(name) for name in scripts.never(KEY)} == {slot_of(KEY)}
    ours = say(("EVALSHA", scripts.sha("top"), 2, KEY, KEY, 7))
    assert ours.words[:3] == ("EVALSHA", scripts.sha("top", cluster=True), 4)
    assert not ours.writes
    assert say(("EVALSHA", scripts.sha("trim"), 1, KEY)).writes
    with pytest.raises(NoScriptError):
        say(("EVALSHA", "0" * 40, 1, KEY))


def test_where_commands_go() -> None:
    assert say(("TIME",)).slot == say(("INFO", "server")).slot == HOME
    assert say(("XINFO STREAM", KEY)).words == ("XINFO", "STREAM", KEY)
    assert say(("XREAD", b"COUNT", 1, "STREAMS", KEY, "0")).slot == say(("GET", KEY.encode())).slot == slot_of(KEY)
    assert READ.slot == WRITE.slot == slot_of(KEY)
    for words in (("SCAN", 0), ("FLUSHALL",), ("EVAL", "return 1", 0)):
        with pytest.raises(ResponseError):
            say(words)
    with pytest.raises(ClusterCrossSlotError):
        _ = request(READ, say(("GET", "elsewhere")), transaction=True).slot


def test_what_writes_is_followed_by_what_a_wait_covers() -> None:
    assert request(READ).words == [READ.words]
    assert request(WRITE).words == [WRITE.words, MARK]
    assert request(WRITE, confirmed=False).words == [WRITE.words]
    assert request(READ, transaction=True).words == [("MULTI",), READ.words, ("EXEC",)]
    assert request(READ, WRITE, transaction=True).words == [("MULTI",), READ.words, WRITE.words, MARK, ("EXEC",)]


@pytest.mark.parametrize("said", AWAY)
def test_what_a_node_could_not_take_is_said_again(said: str) -> None:
    error = read_error(said)
    assert is_turned_away(error)
    assert request(WRITE).turned_away([error, error]) is error
    aborted = read_error("EXECABORT Transaction discarded because of previous errors.")
    whole = request(READ, WRITE, transaction=True)
    assert whole.turned_away([b"OK", b"QUEUED", error, b"QUEUED", aborted]) is error
    assert whole.turned_away([b"OK", b"QUEUED", b"QUEUED", b"QUEUED", error]) is error
    assert whole.turned_away([error, error, error, error, error]) is error


@pytest.mark.parametrize("said", STAYS)
def test_what_was_refused_or_broke_off_is_not(said: str) -> None:
    error = read_error(said)
    assert request(WRITE).turned_away([error, b"OK"]) is None
    assert request(WRITE).results([error, b"OK"], copied=True) == [error]


def test_what_is_not_known_is_never_said_again() -> None:
    moved, lost = read_error(AWAY[0]), Unanswered("lost")
    assert request(WRITE).turned_away([lost, lost]) is None
    assert request(WRITE).results([lost, lost], copied=False) == [lost]
    whole = request(WRITE, READ, transaction=True)
    for replies in (
        [b"OK", b"QUEUED", b"QUEUED", b"QUEUED", lost],
        [b"OK", moved, b"QUEUED", b"QUEUED", lost],
        [read_error(AWAY[5]), 1, b"1", b"OK", read_error("ERR EXEC without MULTI")],  # it ran, but not as a whole
    ):
        assert whole.turned_away(replies) is None
        assert [fate(each) for each in whole.results(replies, copied=False)] == [Fate.UNKNOWN] * 2


def test_what_no_replica_has_is_unsure_but_not_what_failed() -> None:
    assert request(WRITE).results([1, b"OK"], copied=True) == [1]
    assert request(READ).results([b"1"], copied=False) == [b"1"]
    assert request(WRITE, confirmed=False).results([1], copied=False) == [1]
    failed: RedisError = read_error(STAYS[0])
    for replies, copied in (([1, b"OK"], False), ([1, failed], True)):
        (found,) = request(WRITE).results(replies, copied=copied)
        assert isinstance(found, NotReplicated)
    whole = request(WRITE, READ, transaction=True)
    found, other = whole.results([b"OK", b"QUEUED", b"QUEUED", b"QUEUED", [failed, b"1", b"OK"]], copied=False)
    assert found is failed
    assert isinstance(other, NotReplicated)


def test_what_frees_memory_holds_though_nothing_more_can_be_written() -> None:
    assert request(WRITE).results([1, OutOfMemoryError("no")], copied=True) == [1]


def test_what_any_node_could_answer_goes_where_the_rest_of_its_transaction_does() -> None:
    assert request(say(("TIME",)), READ, transaction=True).slot == READ.slot
    assert request(say(("TIME",))).slot == HOME
