"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def _column(name: str, kind: Any, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=null, autoincrement=False)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return _column(name, sa.Text, null=null)


def _big(name: str) -> sa.Column[Any]:
    return _column(name, sa.BigInteger)


def _int(name: str) -> sa.Column[Any]:
    return _column(name, sa.Integer)


def _small(name: str) -> sa.Column[Any]:
    return _column(name, sa.SmallInteger)


def _bytes(name: str, *, null: bool = False) -> sa.Column[Any]:
    return _column(name, sa.LargeBinary, null=null)


def _make(name: str, key: str, *columns: sa.Column[Any], **more: Any) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key.split(), name=f"{name}_pkey"), **more)


def upgrade() -> None:
    _books()
    _items()
    _entries()
    _beside()
    _proof()
    _finance()


def _books() -> None:
    _make("books", "id", _text("id"), _text("prefix"), _big("partitions"), _big("made"))
    _make(
        "cursors",
        "partition",
        _small("partition"),
        _big("seq"),
        _text("item_id"),
        _bytes("hash"),
        _int("period"),
        _big("updated"),
    )


def _items() -> None:
    _make(
        "items",
        "period partition seq",
        _int("period"),
        _small("partition"),
        _big("seq"),
        _text("item_id"),
        _bytes("data"),
        _bytes("hash"),
        postgresql_partition_by="RANGE (period)",
    )


def _entries() -> None:
    _make(
        "entries",
        "month kind key keeper",
        _int("month"),
        _text("kind"),
        _bytes("key"),
        _small("partition"),
        _big("seq"),
        _int("place"),
        _big("ts"),
        _text("owner"),
        _text("peer"),
        _text("room"),
        _text("about"),
        _big("count"),
        _big("coins"),
        _big("paid"),
        _big("bonus"),
        _big("debt"),
        _big("diamonds"),
        _big("money"),
        _text("currency"),
        _text("via"),
        _int("commission"),
        _text("reason"),
        _int("keeper"),
        postgresql_partition_by="RANGE (month)",
    )
    op.create_index("entries_owner_kind_ts", "entries", ["owner", "kind", "ts"])
    _make("oddities", "partition seq place", _small("partition"), _big("seq"), _int("place"), _text("why"))


def _beside() -> None:
    _make(
        "rooms", "room", _text("room"), _text("host"), _small("partition"), _big("seq"), _text("title"), _big("ended")
    )
    _make(
        "events",
        "room seq",
        _text("room"),
        _big("seq"),
        _big("ts"),
        _text("type"),
        _text("user"),
        _text("name", null=True),
        _text("text", null=True),
        _text("gift"),
        _big("count"),
        _big("coins"),
        _big("diamonds"),
        _bytes("key", null=True),
    )
    op.create_index("events_user", "events", ["user"])
    _make(
        "acts", "id", _text("id"), _big("at"), _text("who"), _text("role"), _text("act"), _text("about"), _text("why")
    )
    _make("erasures", "user at", _text("user"), _big("at"), _text("who"), _text("why"))


def _proof() -> None:
    _make(
        "seals",
        "partition period",
        _small("partition"),
        _int("period"),
        _big("first_seq"),
        _big("last_seq"),
        _text("item_id"),
        _bytes("hash"),
        _bytes("state_hash"),
        _big("made"),
        _text("key_id"),
        _bytes("signature"),
    )
    _make(
        "closings",
        "period partition book name",
        _int("period"),
        _small("partition"),
        _text("book"),
        _text("name"),
        _big("amount"),
    )


def _finance() -> None:
    _make(
        "settlements",
        "provider reference",
        _text("provider"),
        _text("reference"),
        _text("order_id"),
        _text("kind"),
        _big("order_amount"),
        _text("order_currency"),
        _text("rate"),
        _big("gross"),
        _big("tax"),
        _big("fee"),
        _big("net"),
        _text("currency"),
        _big("at"),
        _text("batch"),
        _int("period"),
    )
    op.create_index("settlements_period", "settlements", ["period"])
    _make("collected", "provider", _text("provider"), _big("since"), _big("until"), _text("page"))
    _make("locks", "period", _int("period"), _big("at"), _text("who"), _int("breakage_after"), _bytes("reports_hash"))
    _make("locked_reports", "period name place", _int("period"), _text("name"), _int("place"), _text("cells"))
