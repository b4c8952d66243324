"""The Lua scripts: read from ``lua/``, includes resolved, called by SHA, loaded again when Redis forgot them."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha1
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from gifting.ledger.cluster.slots import beside

_INCLUDE = re.compile(r"^-- @include (\w+)(, late)?\n", re.MULTILINE)
_TABLE = re.compile(r"^((?:local )?)(\w+) = \{(.*)\}\n", re.MULTILINE)
_LUA = resources.files("gifting.ledger").joinpath("lua")

NAMES = (
    "account_put",
    "archived",
    "ban",
    "case_close",
    "case_put",
    "claw_back",
    "comment_decide",
    "comment_hold",
    "comment_remove",
    "commit",
    "creator_put",
    "credit",
    "debit",
    "erase",
    "forget",
    "gift_reverse",
    "grant",
    "log_page",
    "move_begin",
    "move_end",
    "move_write",
    "order_put",
    "overlay_issue",
    "payout_put",
    "payouts_forget",
    "person_put",
    "presence",
    "profile_erase",
    "promotion_reserve",
    "prune_days",
    "report_close",
    "report_put",
    "revoke",
    "room_archived",
    "room_end",
    "room_open",
    "room_rules",
    "rooms_page",
    "sandbox_put",
    "snapshot",
    "sweep",
    "top",
    "trim",
    "ward_forget",
)


_FOR_CLUSTER = "KEYS[#KEYS] = nil KEYS[#KEYS] = nil "
"""What a script on a cluster begins with, behind its shebang: see :func:`never`."""


@cache
def source(name: str, *, cluster: bool = False) -> str:
    """The whole text of a script; on a ``cluster`` with what takes the names of :func:`never` off its KEYS."""
    if cluster:
        return for_cluster(source(name))
    return _presize(resolve(_LUA.joinpath(f"{name}.lua").read_text(encoding="utf-8")))


def for_cluster(text: str) -> str:
    """A script that is called with the names of :func:`never` behind its keys; its lines keep their numbers."""
    head, line_end, rest = text.partition("\n") if text.startswith("#!") else ("", "", text)
    return f"{head}{line_end}{_FOR_CLUSTER}{rest}"


def never(key: str) -> tuple[str, str]:
    """Two names in the partition of a key that never exist, the last KEYS of every call of a script on a cluster.

    While a slot moves key by key, its old master would run a script with the keys that are still there, and its new one
    with those that have come, if one name of all is missing where it is asked for. Where two are, both turn it away.
    """
    return beside(key, "never/1"), beside(key, "never/2")


def only_reads(text: str) -> bool:
    """Whether Redis itself lets a script write nothing."""
    return text.startswith("#!") and "no-writes" in text.partition("\n")[0]


def resolve(text: str) -> str:
    """A script with its includes. Each is put in once, where it is first asked for."""
    return _resolve(text, set())


def _resolve(text: str, seen: set[str]) -> str:
    def include(match: re.Match[str]) -> str:
        name, late = match[1], match[2]
        if name in seen:
            return ""
        seen.add(name)
        source = _LUA.joinpath("include", f"{name}.lua").read_text(encoding="utf-8")
        return _late(name, _resolve(source, set(seen))) if late else _closed(name, _resolve(source, seen))

    return _INCLUDE.sub(include, text)


def _late(name: str, text: str) -> str:
    """An include that is seldom needed is made when something of it is first called: a function is made anew in each
    call of a script, and costs it as much as a command of Redis does in a batch.
    """
    return (
        f"local {name} = setmetatable({{}}, {{ __index = function(late, called)\n{text}"
        f"for each, value in pairs({name}) do\n  late[each] = value\nend\nreturn {name}[called]\nend }})\n"
    )


def _closed(name: str, text: str) -> str:
    """An include whose functions are in a table of its name keeps its other names to itself: to find a variable takes
    a function, as it is made, the longer the more such names of others there are.
    """
    table = f"local {name} = {{"
    before, found, after = text.partition(table)
    return f"{before}local {name}\ndo\n{name} = {{{after}end\n" if found else text


def _presize(text: str) -> str:
    """Tables of functions are made with a place for each: to let them grow costs 2 % of a call with one gift."""

    def table(match: re.Match[str]) -> str:
        name, fields = match[2], match[3].strip()
        places = [f"{each} = false" for each in re.findall(rf"^function {name}\.(\w+)", text, re.MULTILINE)]
        return f"{match[1]}{name} = {{ {', '.join(filter(None, [fields, *places]))} }}\n" if places else match[0]

    return _TABLE.sub(table, text)


@cache
def sha(name: str, *, cluster: bool = False) -> str:
    return sha1(source(name, cluster=cluster).encode(), usedforsecurity=False).hexdigest()


@cache
def by_sha() -> dict[str, str]:
    """The names of the scripts, by the SHA they are called by on one Redis."""
    return {sha(name): name for name in NAMES}


async def call(redis: Redis, name: str, keys: list[str], *args: bytes | str | int) -> Any:
    """Run a script. NOSCRIPT is the one error after which it is sent again blindly: nothing was run."""
    try:
        return await redis.evalsha(sha(name), len(keys), *keys, *args)
    except NoScriptError:
        return await redis.eval(source(name), len(keys), *keys, *args)
