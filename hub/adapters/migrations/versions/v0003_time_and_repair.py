"""Version 0003: how well the time of an event is known, what became of quarantined messages, copied cards. Frozen."""

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, Connection, Index, Integer, MetaData, String, Table, text
from sqlalchemy.dialects.mysql import BINARY, DATETIME, MEDIUMBLOB

from hub.adapters.migrations import steps

revision = "0003"
down_revision = "0002"

_UUID = BINARY(16)
_UTC = DATETIME(fsp=6)
_TABLES = MetaData(naming_convention={"pk": "pk_%(table_name)s"})
_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}


def _word(length: int) -> String:
    return String(length, collation="ascii_bin")


Table(
    "boot_clocks",
    _TABLES,
    Column("unit_id", _UUID, primary_key=True),
    Column("boot_id", _UUID, primary_key=True),
    Column("anchors", Integer, nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("lowest_us", BigInteger, nullable=False),
    Column("highest_us", BigInteger, nullable=False),
    **_OPTIONS,
)

Table(
    "undated_boots",
    _TABLES,
    Column("unit_id", _UUID, primary_key=True),
    Column("boot_id", _UUID, primary_key=True),
    Column("epoch", _word(16), primary_key=True),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("before_seq", BigInteger),
    Column("after_seq", BigInteger),
    **_OPTIONS,
)

_INDEXED = Table(
    "quarantine",
    MetaData(),
    Column("unit_id", _UUID),
    Column("resolved_at", _UTC),
    Index("ix_quarantine_open", "unit_id", "resolved_at"),
)


def upgrade() -> None:
    """Create the tables and columns, then say of old events how their time is known."""
    steps.create_tables(_TABLES)
    steps.add_columns(
        "events",
        [
            Column("time_basis", _word(10), nullable=False, server_default=text("'claimed'")),
            Column("at_earliest", _UTC),
            Column("at_latest", _UTC),
        ],
    )
    steps.add_columns(
        "epochs",
        [Column("previous_boot_id", _word(36)), Column("cloned_at", _UTC), Column("highest_seq", BigInteger)],
    )
    steps.add_columns(
        "quarantine",
        [
            Column("fixed_body", MEDIUMBLOB),
            Column("resolved_at", _UTC),
            Column("resolved_by", String(100)),
            Column("outcome", _word(20)),
        ],
    )
    steps.create_indexes(_INDEXED)
    steps.add_columns(
        "galleries",
        [
            Column("generation", Integer, nullable=False, server_default=text("0")),
            Column("prepared_at", _UTC),
        ],
    )
    _say_how_times_are_known(op.get_bind())


def _say_how_times_are_known(connection: Connection) -> None:
    """Of events whose clock was never set: an anchor dated them, or nobody knows more than when they came in.

    A unit and some rows at a time, so that no statement outlasts the connection; what is done is not done again.
    """
    for unit_id, added_at in connection.execute(text("select id, added_at from units order by id")).all():
        for change in (
            "update events set time_basis = 'anchor' where unit_id = :unit_id and clock = 'unsynced'"
            " and time_basis = 'claimed' and at_corrected <> at_claimed limit 10000",
            "update events set time_basis = 'estimated', at_earliest = least(:added_at, received_at),"
            " at_latest = received_at where unit_id = :unit_id and clock = 'unsynced'"
            " and time_basis = 'claimed' and at_corrected = at_claimed limit 10000",
        ):
            parameters = {"unit_id": unit_id, "added_at": added_at} if ":added_at" in change else {"unit_id": unit_id}
            while connection.execute(text(change), parameters).rowcount:
                pass


def downgrade() -> None:
    """Refused: going back would delete a school's records; restore a backup instead."""
    raise NotImplementedError("there is no way back: restore a backup")
