"""Scripts of the ledger with something in between them and Redis."""

from __future__ import annotations

import re
from collections.abc import Collection
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from gifting.ledger import commit_call, scripts
from gifting.ledger.cluster.script_call import ScriptCall
from gifting.ledger.resp import bulk

LUA = Path(scripts.__file__).parent / "lua"

_source = scripts.source
_pack = ScriptCall.pack


GIFTS = ("debit", "credit")
"""Scripts that relays of a cluster call at any moment, without gifts too."""


def break_off(monkeypatch: pytest.MonkeyPatch, at: int, *, for_good: bool = False) -> None:
    """Let every script but those of gifts fail at its call number ``at``, and ``for_good`` at all after it."""
    broken = (
        f"calls = calls + 1; if calls {'>=' if for_good else '=='} at then error({{ err = 'ERR broken off' }}, 0) end"
    )
    hook(monkeypatch, f"local calls, at = 0, {at}", f"{broken}; return real.call(command, key, ...)", spared=GIFTS)


def hook(
    monkeypatch: pytest.MonkeyPatch, before: str, call: str, included: str = "", spared: Collection[str] = ()
) -> None:
    """Let every ``redis.call`` of every script go through ``call``, the body of a Lua function of ``command, key, ...``
    in which ``real`` is the table that it hides; ``before`` is run once, at the script's start, and ``included`` once
    where its includes are there. Of those of a cluster's own, ``spared`` ones stay as they are.
    """

    def source(name: str, *, cluster: bool = False) -> str:
        shebang, _, text = _source(name).partition("\n")
        own = (LUA / f"{name}.lua").read_text(encoding="utf-8").partition("\n")[2]
        body = re.split(r"^-- @include \w+\n", own, flags=re.MULTILINE)[-1]
        text = text.removesuffix(body) + included + body
        table = f"{{ call = function(command, key, ...) {call} end }}"
        hidden = f"local real = redis\n{before}\nlocal redis = setmetatable({table}, {{ __index = real }})"
        hooked = f"{shebang}\n{hidden}\n{text}"
        return scripts.for_cluster(hooked) if cluster else hooked

    def sha(name: str, *, cluster: bool = False) -> str:
        return sha1(source(name, cluster=cluster).encode(), usedforsecurity=False).hexdigest()

    def pack(call: ScriptCall, *said: Any) -> bytes:
        if call.name in spared:
            return _pack(call, *said)
        hooked = ScriptCall(call.name, call.base)
        hooked.load_script()
        return _pack(hooked, *said)

    monkeypatch.setattr(ScriptCall, "pack", pack)
    monkeypatch.setattr(scripts, "source", source)
    monkeypatch.setattr(scripts, "sha", sha)
    monkeypatch.setattr(commit_call, "_EVALSHA", bulk(b"EVALSHA") + bulk(sha("commit").encode()))
    monkeypatch.setattr(commit_call, "_EVAL", bulk(b"EVAL") + bulk(source("commit").encode()))
