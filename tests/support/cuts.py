"""Scripts that break off at one of their writes, as where Redis runs out of memory."""

from __future__ import annotations

import pytest

from tests.support.lua import GIFTS, hook

CALL = "return real.call(command, key, ...)"
STAMPED = f"""
if command == 'XADD' and (...) == '*' then
  local last, ms = real.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1], ARGV[1]
  local newest = last and string.match(last[1], '^%d+') or '0'
  return real.call(command, key, (tonumber(newest) > tonumber(ms) and newest or ms) .. '-*', select(2, ...))
end
{CALL}
"""
"""The ledger's items have ids by the clock that a script is given, as they have them by Redis' own."""

WRITES = ("HSET", "HDEL", "XADD", "XTRIM", "ZADD", "ZREM", "SET", "SPUBLISH")


def cut(patch: pytest.MonkeyPatch, at: int, call: str = CALL) -> None:
    """Let every script but those of gifts break off before its write number ``at``, from 1; else ``call`` is done."""
    is_write = " or ".join(f"command == '{one}'" for one in WRITES)
    broken = f"writes = writes + 1; if writes == {at} then error({{ err = 'ERR broken off' }}, 0) end"
    hook(patch, "local writes = 0", f"if {is_write} then {broken} end; {call}", spared=GIFTS)
