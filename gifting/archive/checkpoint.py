"""Where an audit may begin: the newest closing of each partition, if its seal is believed and it is what was sealed.

The seal is held against its signature and the file outside of the database, the closing and the last item against the
seal. What is before it is proved by `gifting audit --archive`, and not here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from gifting.archive.closing import Closing, state_hash
from gifting.archive.ledger_items import LedgerItems
from gifting.archive.proving import Broken
from gifting.archive.schema import items, oddities
from gifting.archive.sealed import SealedEntries
from gifting.archive.sealing import read_closing, read_seals
from gifting.archive.seals import Seal
from gifting.archive.signer import Public, is_signed
from gifting.ledger.audit.balances import Balances
from gifting.ledger.audit.carried import ODD, Carried
from gifting.ledger.keys import Keys
from gifting.ledger.stream import Item

SETTLE: Final = 60_000
"""Ms in which a seal that is in the database may not be in the file yet."""

Outside = Mapping[tuple[int, int], Seal]


class Checkpoint(SealedEntries):
    """What was entered before the newest closings, for an audit that begins there (``ledger/audit/before.py``)."""

    def __init__(
        self, connection: AsyncConnection, keys: Keys, seals: Mapping[int, Sequence[Seal]], newer: LedgerItems
    ) -> None:
        super().__init__(connection, keys, seals)
        self._newer = newer
        self.read: Mapping[str, int] = {keys.bases[partition]: own[-1].last_seq for partition, own in seals.items()}
        self.last: Mapping[str, str] = {keys.bases[partition]: own[-1].item_id for partition, own in seals.items()}
        self.periods = {own[-1].period for own in seals.values()}
        self.balances = Balances()
        self.carried = Carried()

    def newer(self, base: str) -> AsyncIterator[Item]:
        """A partition's items after its closing."""
        return self._newer.of(base, self.read.get(base, 0))

    def join(self, base: str, closing: Closing) -> None:
        """Add the books of a partition. Those of who belongs elsewhere are odd."""
        self.balances.join(base, closing.balances)
        self.carried.join(closing.carried)
        owners = closing.balances.coins.keys() | closing.balances.sent.keys() | closing.balances.diamonds.keys()
        self.carried.counts[ODD] += any(self._keys.base(name) != base for name in owners)


async def find_checkpoint(
    connection: AsyncConnection, keys: Keys, believed: Public, outside: Outside, newer: LedgerItems, now: int
) -> Checkpoint | list[Broken]:
    """Where to begin at ``now`` (ms; ``outside`` was read after it); of a closing that can't be believed, why.

    An empty list: nothing is sealed yet. Raises SQLAlchemyError.
    """
    own: dict[int, list[Seal]] = defaultdict(list)
    for seal in await read_seals(connection):
        if seal.place in outside or seal.made < now - SETTLE:
            own[seal.partition].append(seal)
    found = Checkpoint(connection, keys, own, newer)
    broken = []
    for partition, sealed in own.items():
        closing, why = await _read(connection, sealed, believed, outside)
        found.join(keys.bases[partition], closing)
        if why:
            broken.append(Broken(partition, sealed[-1].last_seq, sealed[-1].item_id, why))
    for partition, seq in await connection.execute(select(oddities.c.partition, oddities.c.seq)):
        found.carried.counts[ODD] += seq <= found.read.get(keys.bases[partition], 0)
    return found if own and not broken else broken


async def _read(
    connection: AsyncConnection, sealed: Sequence[Seal], believed: Public, outside: Outside
) -> tuple[Closing, str]:
    """The last closing of a partition, and why it can't be believed, or ''."""
    seal = sealed[-1]
    rows = [row async for row in read_closing(connection, seal.partition, seal.period)]
    closing = Closing(rows)
    what = f"seal of {seal.period}: "
    if wrong := is_signed(seal, believed):
        return closing, what + wrong
    if seal.place not in outside:
        return closing, f"{what}the file outside does not have it"
    if outside[seal.place] != seal:
        return closing, f"{what}the file outside has another"
    if state_hash({(book, name): amount for book, name, amount in rows}) != seal.state_hash:
        return closing, f"{what}the closing is not the one that was sealed"
    if await _hash(connection, sealed) != seal.hash:
        return closing, f"{what}the item is not the one that was sealed"
    return closing, ""


async def _hash(connection: AsyncConnection, sealed: Sequence[Seal]) -> bytes | None:
    """That of the last item that is sealed, which may be one of an earlier month than the last."""
    seal = next(seal for seal in reversed(sealed) if seal.first_seq <= seal.last_seq)
    mine = (items.c.period == seal.period, items.c.partition == seal.partition, items.c.seq == seal.last_seq)
    row = (await connection.execute(select(items.c.hash).where(*mine))).first()
    return bytes(row.hash) if row else None
