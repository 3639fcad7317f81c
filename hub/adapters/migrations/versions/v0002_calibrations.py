"""Version 0002: calibrations, and look-alikes as a table instead of JSON in `hub_facts`. Frozen."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    column,
    select,
    table,
    update,
)
from sqlalchemy.dialects.mysql import BINARY, DATETIME, insert

from hub.adapters.migrations import steps
from hub.core.errors import StoreRefused

revision = "0002"
down_revision = "0001"

_UUID = BINARY(16)
_UTC = DATETIME(fsp=6)
_TABLES = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def _word(length: int) -> String:
    return String(length, collation="ascii_bin")


_LOOK_ALIKES = Table(
    "look_alikes",
    _TABLES,
    Column("student_id", _UUID, primary_key=True),
    Column("other_id", _UUID, primary_key=True),
    Column("origin", _word(20), nullable=False),
    Column("score", Double),
    Column("decided_by", String(100), nullable=False, default=""),
    Column("decided_at", _UTC, nullable=False),
    CheckConstraint("origin in ('operator', 'calibration')", name="origin"),
    Index("ix_look_alikes_other", "other_id"),
    **_OPTIONS,
)

Table(
    "calibrations",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("pack_id", _word(64), nullable=False),
    Column("at", _UTC, nullable=False),
    Column("fpir", Double, nullable=False),
    Column("method", _word(10), nullable=False),
    Column("students", Integer, nullable=False),
    Column("comparisons", BigInteger, nullable=False),
    Column("statistics", Text),
    Column("detail", Text, nullable=False),
    Column("software", String(40), nullable=False),
    Column("actor", String(100), nullable=False),
    CheckConstraint("method in ('own', 'both', 'pack', 'none')", name="method"),
    Index("ix_calibrations_pack", "pack_id", "at"),
    **_OPTIONS,
)

_FACTS = table("hub_facts", column("name"), column("value"), column("changed_at"))
_FACT = "look_alikes"
_NONE = "[]"


def upgrade() -> None:
    """Create the tables and move the pairs. A second run finds an empty list or writes the same rows again."""
    steps.create_tables(_TABLES)
    _move_pairs(op.get_bind())


def _move_pairs(connection: Connection) -> None:
    # Locked: an operator of the old program may be adding a pair at this moment.
    found = connection.execute(
        select(_FACTS.c.value, _FACTS.c.changed_at).where(_FACTS.c.name == _FACT).with_for_update()
    ).one_or_none()
    rows = [] if found is None else _rows(str(found.value), found.changed_at)
    if rows:
        statement = insert(_LOOK_ALIKES)
        connection.execute(statement.on_duplicate_key_update(origin=statement.inserted.origin), rows)
    # The row stays: whoever changes pairs locks it.
    connection.execute(update(_FACTS).where(_FACTS.c.name == _FACT).values(value=_NONE))


def _rows(value: str, at: datetime) -> list[dict[str, Any]]:
    try:
        pairs = {tuple(sorted((UUID(one).bytes, UUID(other).bytes))) for one, other in json.loads(value)}
    except (ValueError, TypeError, AttributeError) as exc:
        raise StoreRefused(
            f"the fact {_FACT!r} in the database is damaged",
            hint="restore it from a backup, or set its value to [] and enrol look-alikes again",
        ) from exc
    # Who said it is in the audit log, with the picture.
    return [
        {"student_id": one, "other_id": other, "origin": "operator", "decided_by": "", "decided_at": at}
        for one, other in sorted(pairs)
    ]


def downgrade() -> None:
    """Refused: going back would delete a school's records; restore a backup instead."""
    raise NotImplementedError("there is no way back: restore a backup")
