"""Which errors mean that a script has not run: told apart by what Redis says, as redis-py reads it."""

from __future__ import annotations

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gifting import errors
from gifting.ledger.calls import Unsure, translate
from gifting.ledger.redis_errors import Fate, fate

IN_SCRIPT = " script: 1b24, on @user_script:12."

SAID = {
    "NOSCRIPT No matching script.": Fate.FORGOTTEN,
    "OOM command not allowed when used memory > 'maxmemory'.": Fate.NO_MEMORY,
    "LOADING Redis is loading the dataset in memory": Fate.NOT_RUN,
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": Fate.NOT_RUN,
    "READONLY You can't write against a read only replica.": Fate.NOT_RUN,
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": Fate.NOT_RUN,
    "CLUSTERDOWN The cluster is down": Fate.NOT_RUN,
    "TRYAGAIN Multiple keys request during rehashing of slot": Fate.NOT_RUN,
    "MOVED 3999 127.0.0.1:6381": Fate.NOT_RUN,
    "ASK 3999 127.0.0.1:6381": Fate.NOT_RUN,
    "CROSSSLOT Keys in request don't hash to the same slot": Fate.NOT_RUN,
    "NOPERM User default has no permissions to run the 'evalsha' command": Fate.NOT_RUN,
    "NOREPLICAS Not enough good replicas to write.": Fate.NOT_RUN,
    "MISCONF Errors writing to the AOF file: No space left on device": Fate.NOT_RUN,
    "NOAUTH Authentication required.": Fate.UNKNOWN,
    "ERR user_script:12: attempt to index a nil value" + IN_SCRIPT: Fate.BROKEN,
    "WRONGTYPE Operation against a key holding the wrong kind of value" + IN_SCRIPT: Fate.BROKEN,
    "OOM command not allowed when used memory > 'maxmemory'." + IN_SCRIPT: Fate.BROKEN,
    "READONLY You can't write against a read only replica." + IN_SCRIPT: Fate.BROKEN,
    "MISCONF Errors writing to the AOF file: No space left on device" + IN_SCRIPT: Fate.BROKEN,
    "ERR nobody has seen this before": Fate.BROKEN,
    "NEWCODE nor this": Fate.BROKEN,
}


@pytest.mark.parametrize("said", SAID)
def test_what_redis_says(said: str) -> None:
    assert fate(BaseParser.parse_error(said)) is SAID[said]


@pytest.mark.parametrize("error", [RedisConnectionError("reset"), RedisTimeoutError(), TimeoutError(), OSError()])
def test_no_answer(error: Exception) -> None:
    assert fate(error) is Fate.UNKNOWN


@pytest.mark.parametrize("unsure", [errors.LedgerUnavailable, errors.OutcomeUnknown, errors.Unconfirmed])
def test_what_a_single_call_is_told(unsure: Unsure) -> None:
    """Certainty only where the script has not run; what the caller can live with for all else."""
    told = {
        Fate.FORGOTTEN: errors.LedgerUnavailable,
        Fate.NOT_RUN: errors.LedgerUnavailable,
        Fate.NO_MEMORY: errors.LedgerFull,
        Fate.BROKEN: unsure,
        Fate.UNKNOWN: unsure,
    }
    for said, became in SAID.items():
        assert type(translate(BaseParser.parse_error(said), unsure)) is told[became], said
