"""Every op that can be said is done, and has a price and a reader."""

from __future__ import annotations

from typing import get_args

import pytest

from gifting.transport.commands import _COMMANDS, READ_ONLY
from gifting.transport.costs import COSTS
from gifting.transport.sending import KINDS
from gifting.wire.messages import OPS, AnyMessage, Message
from gifting.wire.replies import REPLIES


@pytest.mark.parametrize("kind", get_args(AnyMessage))
def test_an_op_has_a_command_and_a_reply(kind: type[Message]) -> None:
    name = kind.__struct_config__.tag
    assert kind in _COMMANDS
    assert name in OPS
    assert name in REPLIES


def test_no_table_has_an_op_that_there_is_not() -> None:
    kinds = set(get_args(AnyMessage))
    assert set(_COMMANDS) == kinds
    assert set(COSTS) | set(READ_ONLY) | set(KINDS) <= kinds
    assert len(OPS) == len(REPLIES) == len(kinds)


def test_what_is_posted_is_an_event_of_its_op_s_name() -> None:
    assert all(kind.__struct_config__.tag == event for kind, event in KINDS.items())
