"""Version 0004: room for the quarantine, what is known of undated boots without reading them, indexes. Frozen."""

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, Connection, Date, Index, Integer, MetaData, String, Table, text
from sqlalchemy.dialects.mysql import BINARY, DATETIME

from hub.adapters.migrations import steps

revision = "0004"
down_revision = "0003"

_UUID = BINARY(16)
_UTC = DATETIME(fsp=6)
_TABLES = MetaData(naming_convention={"pk": "pk_%(table_name)s"})
_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def _word(length: int) -> String:
    return String(length, collation="ascii_bin")


Table(
    "quarantine_dropped",
    _TABLES,
    Column("unit_id", _UUID, primary_key=True),
    Column("dropped", BigInteger, nullable=False),
    Column("dropped_at", _UTC, nullable=False),
    **_OPTIONS,
)

Table(
    "refused_places",
    _TABLES,
    Column("unit_id", _UUID, primary_key=True),
    Column("epoch", _word(16), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    **_OPTIONS,
)

Table("unit_dating", _TABLES, Column("unit_id", _UUID, primary_key=True), **_OPTIONS)

Table(
    "undated_told",
    _TABLES,
    Column("unit_id", _UUID, primary_key=True),
    Column("boot_id", _UUID, primary_key=True),
    Column("earliest_us", BigInteger, nullable=False),
    Column("latest_us", BigInteger, nullable=False),
    Column("begin_us", BigInteger),
    **_OPTIONS,
)

_INDEXED = (
    Table(
        "quarantine",
        MetaData(),
        Column("unit_id", _UUID),
        Column("resolved_at", _UTC),
        Column("body_bytes", Integer),
        Column("body_sha256", BINARY(32)),
        Index("ix_quarantine_held", "resolved_at", "unit_id", "body_bytes"),
        Index("ix_quarantine_body", "body_sha256"),
    ),
    Table(
        "events",
        MetaData(),
        Column("unit_id", _UUID),
        Column("boot_id", _UUID),
        Column("boottime_ns", BigInteger),
        Index("ix_events_boot_time", "unit_id", "boot_id", "boottime_ns"),
    ),
    Table(
        "dirty_students",
        MetaData(),
        Column("student_id", _UUID),
        Column("day", Date),
        Index("ix_dirty_students_day", "day", "student_id"),
    ),
)
_OF_UNDATED_BOOTS = (
    "before_us",
    "after_us",
    "first_us",
    "last_us",
    "lowest_us",
    "highest_us",
    "received_us",
    "claimed_seq",
    "claimed_us",
    "seqs",
    "earliest_us",
    "latest_us",
    "begin_us",
    "widest_earliest_us",
    "widest_latest_us",
)


def upgrade() -> None:
    """Create the tables, columns and indexes, then write down what they are to hold of what is there already."""
    steps.create_tables(_TABLES)
    steps.add_columns("quarantine", [Column("body_bytes", Integer, nullable=False, server_default=text("0"))])
    steps.add_columns("undated_boots", [Column(name, BigInteger) for name in _OF_UNDATED_BOOTS])
    _measure_quarantine(op.get_bind())
    for table in _INDEXED:
        steps.create_indexes(table)
    _name_undated_boots(op.get_bind())


def _measure_quarantine(connection: Connection) -> None:
    """Some rows at a time, so that no statement outlasts the connection; what is done is not done again."""
    unmeasured = "body_bytes = 0 and length(body) > 0"
    change = text(f"update quarantine set body_bytes = length(body) where {unmeasured} limit 1000")  # noqa: S608 (constant)
    while connection.execute(change).rowcount:
        pass


def _name_undated_boots(connection: Connection) -> None:
    """Name the boots of events that version 0003 called estimated: the register finds such events by their boots.

    Without what their events say, so that whatever arrives next of their unit has them dated anew. A boot at a time,
    so that no statement outlasts the connection.
    """
    boots = text("select distinct boot_id from events where unit_id = :unit_id")
    name = text(
        "insert into undated_boots (unit_id, boot_id, epoch, first_seq, last_seq)"
        " select unit_id, boot_id, epoch, min(seq), max(seq) from events"
        " where unit_id = :unit_id and boot_id = :boot_id and time_basis = 'estimated' group by unit_id, boot_id, epoch"
        " on duplicate key update epoch = undated_boots.epoch"
    )
    for unit_id in connection.execute(text("select id from units order by id")).scalars().all():
        for boot_id in connection.execute(boots, {"unit_id": unit_id}).scalars().all():
            connection.execute(name, {"unit_id": unit_id, "boot_id": boot_id})


def downgrade() -> None:
    """Refused: going back would delete a school's records; restore a backup instead."""
    raise NotImplementedError("there is no way back: restore a backup")
