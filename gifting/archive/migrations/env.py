"""Run by Alembic, on the connection that :mod:`gifting.archive.upgrade` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from gifting.archive.schema import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table=VERSION_TABLE
)
context.run_migrations()
