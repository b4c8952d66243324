"""Makes the archive's tables, or brings those of an older version up to date."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from gifting.archive.schema import METADATA, VERSION_TABLE
from gifting.errors import BadArchive


def upgrade(connection: Connection) -> None:
    """Bring the schema up to date, in the transaction that has begun: all of it or nothing.

    Raises:
        BadArchive: it is of a newer version of gifting, or of something else.
    """
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "gifting.archive:migrations")
    config.set_main_option("path_separator", "os")
    if not is_current(connection, config):
        command.upgrade(config, "head")


def is_current(connection: Connection, config: Config) -> bool:
    """Whether nothing is to be done. Raises BadArchive, as :func:`upgrade`."""
    script = ScriptDirectory.from_config(config)
    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    if found is None:
        if taken := sorted(METADATA.tables.keys() & set(inspect(connection).get_table_names())):
            raise BadArchive(f"It has tables of something else: {', '.join(taken)}.")
    elif found not in {revision.revision for revision in script.walk_revisions()}:
        raise BadArchive(f"Its schema ({found}) is of a newer version of gifting.")
    return found == script.get_current_head()
