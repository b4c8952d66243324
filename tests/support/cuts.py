"""Scripts that break off at one of their writes, as where Redis runs out of memory."""

from __future__ import annotations

import pytest

from tests.support.lua import hook

WRITES = ("HSET", "HDEL", "XADD", "XTRIM", "ZADD", "ZREM", "SET", "PUBLISH")


def cut(patch: pytest.MonkeyPatch, at: int) -> None:
    """Let every script of the ledger break off before its write number ``at``, from 1 on."""
    is_write = " or ".join(f"command == '{one}'" for one in WRITES)
    broken = f"writes = writes + 1; if writes == {at} then error({{ err = 'ERR broken off' }}, 0) end"
    hook(patch, "local writes = 0", f"if {is_write} then {broken} end; return real.call(command, key, ...)")
