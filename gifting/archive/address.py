"""Where an archive is: its URL, as an operator writes it."""

from __future__ import annotations

from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gifting.errors import BadSetting

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


def database_at(url: str) -> URL:
    """The database at ``sqlite:///path`` or ``postgresql://…``.

    Raises:
        BadSetting: a URL that means neither. It is not told, since it may hold a password.
    """
    try:
        parsed = make_url(url)
        driver = _DRIVERS[parsed.get_backend_name()]
    except (ArgumentError, KeyError, ValueError):
        raise BadSetting("archive must be off, sqlite:///path or postgresql://user@host/database.") from None
    return parsed.set(drivername=driver)
