"""What a cluster has credited and lost the debit of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    numbers = ("first", "last", "had", "lost", "at")
    op.create_table(
        "fences",
        sa.Column("partition", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("source", sa.SmallInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in numbers),
        sa.PrimaryKeyConstraint("partition", "id", name="fences_pkey"),
    )
