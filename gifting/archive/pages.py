"""Many rows, a page at a time: what is in memory is bounded, and nothing is open between two pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

PAGE: Final = 1000
"""Rows of a page."""


async def pages(connection: AsyncConnection, asked: Select[Any], *names: ColumnElement[Any]) -> AsyncIterator[Any]:
    """The rows of a query, in the order of the columns that name them."""
    asked = asked.order_by(*names).limit(PAGE)
    page = (await connection.execute(asked)).all()
    while page:
        for row in page:
            yield row
        last = [page[-1]._mapping[name] for name in names]
        page = (await connection.execute(asked.where(tuple_(*names) > tuple_(*last)))).all()


def chunks(found: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """These in parts of that size at most."""
    return (found[start : start + size] for start in range(0, len(found), size))
