"""What users report, for operators to look at."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from gifting import errors
from gifting.ledger.calls import Calls, check, translated
from gifting.model.packing import unpack
from gifting.model.reports import Report

REPORTS_MAX: Final = 10_000
"""Reports that may be open at once, about 1 KB each."""

REPORTS_OF_USER: Final = 20
"""Of one user."""

_FULL: Final = f"A user has {REPORTS_OF_USER} reports open at most, all have {REPORTS_MAX:,}; operators close them."

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Report).decode


class Reports:
    """Those of all users; all raise Unavailable."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._keys = calls.keys.reports()

    async def add(self, report: Report) -> str:
        """Keep a report, whose ``id`` and ``ts`` do not matter; returns its id. The same again is the same report.

        Raises:
            ListFull: of this user, or of all, as many are open as are kept.
        """
        about = (report.by, report.kind, report.room, report.user, str(report.seq))
        found = msgspec.structs.replace(
            report, id=hashlib.blake2b("\n".join(about).encode(), digest_size=8).hexdigest()
        )
        options = (found.id, found.by, _encode(found), REPORTS_MAX, REPORTS_OF_USER)
        try:
            check(unpack(await self._calls.timed("report_put", self._keys, options, unsure=errors.Unconfirmed))[0])
        except errors.ListFull:
            raise errors.ListFull(_FULL) from None
        return found.id

    async def page(self, start: int, limit: int) -> tuple[list[Report], int]:
        """Open reports from place ``start`` on, the oldest first; and where to go on, 0 after the last."""
        redis, (reports, ids, _) = self._calls.redis, self._keys
        with translated():
            found = await redis.zrange(ids, start, start + limit - 1, withscores=True)
            kept = await redis.hmget(reports, [name for name, _ in found]) if found else []
        times = [int(score) for _, score in found]
        read = [msgspec.structs.replace(_decode(one), ts=ts) for one, ts in zip(kept, times, strict=True) if one]
        return read, start + limit if len(found) == limit else 0

    async def close(self, report: str) -> None:
        """Forget one that is settled. Raises NotFound."""
        with translated():
            kept = await self._calls.redis.hget(self._keys[0], report)
        if kept is None or not await self._calls.run(
            "report_close", self._keys, report, _decode(kept).by, unsure=errors.Unconfirmed
        ):
            raise errors.NotFound("No such report is open.")
