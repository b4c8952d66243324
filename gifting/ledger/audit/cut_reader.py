"""A cut from Redis' replies; what in them is no number or out of place is found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from gifting.ledger.account import read_account
from gifting.ledger.audit import about
from gifting.ledger.audit.cut import Cut, OpenStreak, RoomState
from gifting.ledger.audit.report import Findings
from gifting.ledger.audit.values import scores, text, unpack_all
from gifting.ledger.entry_parser import UNREADABLE
from gifting.ledger.keys import Keys

_NUMBER: Final = re.compile(rb"-?\d{1,20}")

MARK: Final = b"redo\n"
"""What marks of what broke off begin with (``lua/include/redo.lua``); no user's id does."""

_DEBT: Final = b"/debt"

_COUNTED: Final = (b"seq", b"coins", b"diamonds", b"likes")


class CutReader:
    def __init__(self, keys: Keys, findings: Findings) -> None:
        self._keys = keys
        self.findings = findings
        self.cut = Cut()

    def partition(
        self, base: str, coins: Any, diamonds: Any, carry: Any, totals: Any, directory: Any, since: Any, last: Any
    ) -> None:
        cut, kept = self.cut, self.cut.balances
        self._add_accounts(base, _unmarked(coins))
        own = _unmarked(diamonds)
        owed = {name.removesuffix(_DEBT): value for name, value in own.items() if name.endswith(_DEBT)}
        self._add(kept.diamonds, base, "diamonds", {k: v for k, v in own.items() if b"/" not in k}, about.earnings)
        self._add(kept.host_debt, base, "diamonds", owed, about.earnings)
        days = {name: value for name, value in own.items() if name.rpartition(b"/")[2].isdigit() and b"/" in name}
        self._add(kept.day, base, "diamonds", days, about.earnings)
        self._add(kept.carry, base, "carry", carry, about.earnings)
        for name, value in _unmarked(totals).items():
            number = self._number(value, f"{base}:totals {text(name)}", about.totals(base))
            kept.totals[f"{base} {text(name)}"] = number
        cut.directory.update((text(room), text(host)) for room, host in directory.items())
        if since[1]:
            cut.days_since[base] = max(int(day or 0) for day in since)
        if last:
            cut.ledger_ends[base] = last[0][0].decode()

    def _add(
        self, book: Counter[str], base: str, name: str, found: dict[bytes, bytes], tag: Callable[[str], str]
    ) -> None:
        place = f"{base}:{name}"
        for field_, value in found.items():
            key = text(field_)
            owner = key.rpartition("/")[0] if "/" in key else key
            self._check_home(base, key, owner, place, tag)
            if _NUMBER.fullmatch(value):
                book[key] += int(value)
            else:
                self._number(value, f"{place} {key}", tag(owner))

    def _add_accounts(self, base: str, found: dict[bytes, bytes]) -> None:
        """What users have, of the fields beside which it is kept."""
        kept, place = self.cut.balances, f"{base}:coins"
        for name, field_ in found.items():
            user = text(name)
            self._check_home(base, user, user, place, about.wallet)
            try:
                account = read_account(field_)
            except ValueError as error:
                self.findings.found("not_a_number", f"{place} {user} is {error}.", about.wallet(user))
            else:
                kept.coins[user] += account.coins
                kept.bonus[user] += account.bonus
                kept.debt[user] += account.debt
                kept.sent[user] += account.sent
                kept.purchased[user] += account.purchased

    def _check_home(self, base: str, key: str, owner: str, place: str, tag: Callable[[str], str]) -> None:
        if self._keys.base(owner) != base:
            self.findings.found("wrong_partition", f"{place} has {key}, which belongs elsewhere.", tag(owner))

    def room(self, room: str, state: dict[bytes, bytes]) -> RoomState | None:
        if b"state" not in state:
            return None
        seq, coins, diamonds, likes = (
            self._number(state.get(name, b""), f"{room}, {name.decode()}", about.room(room)) for name in _COUNTED
        )
        host, live = text(state.get(b"host", b"")), state[b"state"] == b"live"
        started = state.get(b"started", b"")
        found = RoomState(host, live, int(started) if started.isdigit() else 0, seq, coins, diamonds, likes)
        self.cut.rooms[room] = found
        return found

    def live_room(self, room: str, state: dict[bytes, bytes], top: Any, streaks: dict[bytes, bytes]) -> None:
        found = self.room(room, state)
        if found is None:
            self.cut.missing.add(room)
            return
        found.top = scores(top)
        found.streaks = {}
        for name, record in streaks.items():
            if not name.startswith(b"="):
                self._streak(room, found.streaks, text(name), record)

    def _streak(self, room: str, streaks: dict[int, OpenStreak], name: str, record: bytes) -> None:
        try:
            first, count, coins, *_ = unpack_all(record)
        except UNREADABLE as error:
            self.findings.found("open_streaks_differ", f"{room}, streak {name!r}: {error!r}.", about.log(room))
        else:
            streaks[first] = OpenStreak(count, coins)

    def _number(self, value: bytes, where: str, tag: str) -> int:
        if _NUMBER.fullmatch(value):
            return int(value)
        self.findings.found("not_a_number", f"{where} is {value[:40]!r}.", tag)
        return 0


def _unmarked(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Without marks."""
    return {name: value for name, value in found.items() if not name.startswith(MARK)}
