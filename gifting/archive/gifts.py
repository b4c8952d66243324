"""One gift, by its key, of which Redis has no more."""

from __future__ import annotations

from gifting.archive.reading import Archive
from gifting.errors import NoArchive
from gifting.ledger.entries import Credit, Debit, Entry
from gifting.ledger.entry_parser import parse_entries
from gifting.ledger.keys import Keys
from gifting.ledger.lookup import given_of
from gifting.model.reversals import Given


async def find_gift(archive: Archive, keys: Keys, user: str, key: bytes) -> Given | None:
    """The gift that a user sent with a key, if both sides of it are archived. Raises ArchiveUnavailable."""
    keeper = keys.bases.index(keys.base(user))
    try:
        async with archive.reading() as connection:
            from gifting.archive import queries  # noqa: PLC0415

            found = [await queries.item_of(connection, kind, key, keeper) for kind in ("debit", "credit")]
    except NoArchive:
        return None
    debit, credit = (_entry(*one) if one else None for one in found)
    if isinstance(debit, Debit) and isinstance(credit, Credit) and debit.user == user:
        return given_of(debit, credit)
    return None


def _entry(data: bytes, place: int) -> Entry:
    return list(parse_entries(data))[place]
