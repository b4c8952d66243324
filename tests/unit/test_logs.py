"""Lines of the log: as text and as JSON, for the operator only, and bounded where strangers cause them."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import Any

import pytest

from gifting import config
from gifting.errors import BadSetting, BadToken, LedgerUnavailable, NoRedis
from gifting.logs import REFUSALS_A_SECOND, JsonLines, Refusals, for_the_operator, log_act


class Peer:
    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.7", 5000) if name == "peername" else None


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    for record in caplog.records:
        for_the_operator(record)
    return [record.getMessage() for record in caplog.records]


def test_of_an_error_for_clients_there_is_no_advice(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("gifting.test")
    log.warning("can't: %s", LedgerUnavailable("Redis is gone."))
    log.warning("can't: %s", LedgerUnavailable())
    log.warning("can't: %s", NoRedis("It is not there."))
    first, second, third = lines_of(caplog)
    assert first == "can't: ledger_unavailable: Redis is gone."
    assert second == "can't: ledger_unavailable"
    assert third.startswith("can't: no_redis: It is not there. Install"), "that is for the operator"


def test_refusals_are_bounded_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    counts = Counter[str]()
    refusals = Refusals(counts, lambda: now)
    for _ in range(1000):
        refusals.note(Peer(), BadToken("It is signed by nobody."))  # type: ignore[arg-type]
    now = 101.5
    refusals.note(Peer(), BadToken())  # type: ignore[arg-type]
    assert counts == {"bad_token": 1001}
    lines = lines_of(caplog)
    assert lines[0] == "refused to 192.0.2.7: bad_token: It is signed by nobody."
    assert len(lines) == REFUSALS_A_SECOND + 1
    assert lines[-1] == f"refused to 192.0.2.7: bad_token; {1000 - REFUSALS_A_SECOND} others were, before"


def test_an_act_as_text_and_as_json(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_act("op", "operator", "granted", {"user": "ann", "coins": 5, "reason": "two\nlines"})
    (record,) = caplog.records
    assert record.getMessage() == r"operator op: granted user='ann' coins=5 reason='two\nlines'"
    line = JsonLines().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["who"], told["role"], told["act"]) == ("op", "operator", "granted")
    assert (told["user"], told["coins"], told["level"], told["logger"]) == ("ann", 5, "info", "gifting.acts")
    assert told["time"].endswith("Z")


def test_a_traceback_is_one_line_of_json() -> None:
    error = ValueError("two\nlines")
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), (type(error), error, None))
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "ValueError: two\nlines" in json.loads(line)["error"]


@pytest.mark.parametrize("flag", [{"log_format": "xml"}, {"log_level": "loud"}])
def test_other_words_are_refused(flag: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match="it must be one of"):
        config.load(flag, {})
