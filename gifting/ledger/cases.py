"""Support cases: what users open, and what operators decide, once for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gifting import errors
from gifting.ledger.calls import Calls, check, translated
from gifting.ledger.status import Status
from gifting.model import cases
from gifting.model.cases import ERASED, Case, Decision
from gifting.model.packing import pack, unpack

OPEN_MAX: Final = 100_000
"""Cases that may be open at once, of all users; about 3 KB each."""

OPEN_OF_USER: Final = 10
"""Of one user."""

KEPT_OF_USER: Final = 500
"""Cases of one user, those that are decided included."""

TRIES: Final = 10

_FULL: Final = (
    f"A user has {OPEN_OF_USER} cases open and {KEPT_OF_USER} in all at most, and all users {OPEN_MAX:,} open."
)

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Case).decode


class Cases:
    """Those of all users. A case is kept with the digest of what was said; all raise Unavailable."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._keys = calls.keys

    async def open(self, case: Case) -> Case:
        """Keep a case, or give the one that was opened with the same under its id.

        Raises:
            KeyReused: another was opened under it.
            TooManyCases: of this user, or of all, there are as many as may be.
        """
        keys = [self._keys.cases(case.user), self._keys.case_users(case.id), self._keys.open_cases]
        kept = (case.id, cases.digest(case), _encode(case), case.at)
        options = pack((case.user, *kept, OPEN_MAX, OPEN_OF_USER, KEPT_OF_USER))
        (status,) = unpack(await self._calls.run("case_put", keys, options))
        if status == Status.LIST_FULL:
            raise errors.TooManyCases(_FULL)
        if status == Status.KEY_REUSED:
            raise errors.KeyReused("Another case was opened with this key.")
        check(status)
        return await self.find(case.id)

    async def of_user(self, user: str) -> list[Case]:
        """A user's cases, the newest first."""
        with translated():
            kept = await self._calls.redis.hgetall(self._keys.cases(user))
        found = [_read(record) for name, record in kept.items() if name != b"open"]
        return sorted(found, key=lambda case: (case.at, case.id), reverse=True)

    async def find(self, case_id: str, user: str = "") -> Case:
        """A case, of ``user`` unless that is ''. Raises CaseNotFound, also for what is another's."""
        return _read((await self._kept(case_id, user))[1])

    async def page(self, start: int, limit: int) -> tuple[list[Case], int]:
        """Open cases from place ``start`` on, the oldest first; and where to go on, 0 after the last."""
        found = await self._listed(self._keys.open_cases, start, limit)
        return found, start + limit if len(found) == limit else 0

    async def decided(self, count: int) -> list[Case]:
        """Cases of which what is decided is not done, ``count`` at most, the first first."""
        return await self._listed(self._keys.decided_cases, 0, count)

    async def _listed(self, key: str, start: int, limit: int) -> list[Case]:
        """Those of one of the lists of all users, from place ``start`` on."""
        with translated():
            places = await self._calls.redis.zrange(key, start, start + limit - 1)
            pipe = self._calls.redis.pipeline(transaction=False)
            for user, _, case_id in (place.decode().partition("\n") for place in places):
                pipe.hget(self._keys.cases(user), case_id)
            kept = await pipe.execute() if places else []
        return [_read(record) for record in kept if record]

    async def decide(self, case_id: str, decision: Decision) -> Case:
        """Close a case with that outcome; with the same again it is given as it was decided.

        Raises:
            CaseNotFound
            CaseClosed: it was decided otherwise.
        """
        return await self._change(case_id, lambda case: cases.decided(case, decision))

    async def finish(self, case_id: str, at: int) -> Case:
        """Note that what was decided of a case is done. Raises CaseNotFound."""
        return await self._change(case_id, lambda case: cases.finished(case, at))

    async def erase_texts(self, user: str) -> int:
        """Forget what a user wrote in its cases, and what was answered; of how many cases there was any."""
        changed = 0
        for case in await self.of_user(user):
            if case.text or case.reason:
                await self._change(case.id, cases.erased, erase=True)
                changed += 1
        return changed

    async def _kept(self, case_id: str, user: str = "") -> tuple[str, bytes]:
        """Whose it is, and its record. Raises CaseNotFound."""
        redis, kept = self._calls.redis, None
        with translated():
            owner = (await redis.hget(self._keys.case_users(case_id), case_id) or b"").decode()
            if owner and user in ("", owner):
                kept = await redis.hget(self._keys.cases(owner), case_id)
        if kept is None:
            raise errors.CaseNotFound(f"There is no case {case_id}.")
        return owner, kept

    async def _change(self, case_id: str, change: Callable[[Case], Case], *, erase: bool = False) -> Case:
        """Raises CaseNotFound, what ``change`` raises, and Conflict: others have changed it each time."""
        for _ in range(TRIES):
            user, before = await self._kept(case_id)
            case = change(_read(before))
            after = (ERASED if erase else before[: len(ERASED)]) + _encode(case)
            if after == before:
                return case
            keys = [self._keys.cases(user), self._keys.open_cases, self._keys.decided_cases]
            options = pack((user, case_id, before, after, case.closed, case.decided_at))
            (status,) = unpack(await self._calls.run("case_close", keys, options))
            if status != Status.CONFLICT:
                check(status)
                return case
        raise errors.Conflict(f"Case {case_id} changed {TRIES} times meanwhile.")


def _read(record: bytes) -> Case:
    return _decode(record[len(ERASED) :])
