"""Version 0001: the first tables. Frozen: what changes later gets a version of its own."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import BINARY, DATETIME, MEDIUMBLOB, VARBINARY

from hub.adapters.migrations import steps

revision = "0001"
down_revision = None

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
_EXACT = "utf8mb4_bin"


def _word(length: int) -> String:
    return String(length, collation="ascii_bin")


_STATUSES = ("Present", "Late", "Absent", "Excused", "Not seen", "Not observed")
_METHODS = ("Face Recognition", "Manual")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} in ({', '.join(repr(value) for value in values)})"


Table(
    "sections",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("name", String(100, collation=_EXACT), nullable=False, unique=True),
    **_OPTIONS,
)

Table(
    "rooms",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("name", String(100, collation=_EXACT), nullable=False, unique=True),
    **_OPTIONS,
)

Table(
    "students",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("serial_number", String(40, collation=_EXACT), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("username", String(100, collation=_EXACT), unique=True),
    Column("email", String(254)),
    Column("phone", String(40)),
    Column("section_id", _UUID, ForeignKey("sections.id"), index=True),
    Column("created_at", _UTC, nullable=False),
    **_OPTIONS,
)

Table(
    "student_sections",
    _TABLES,
    Column("student_id", _UUID, ForeignKey("students.id"), primary_key=True),
    Column("since", _UTC, primary_key=True),
    Column("section_id", _UUID, ForeignKey("sections.id"), nullable=False),
    Column("until", _UTC),
    Index("ix_student_sections_section", "section_id", "student_id"),
    **_OPTIONS,
)

Table(
    "consents",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("student_id", _UUID, ForeignKey("students.id"), nullable=False, index=True),
    Column("given_at", _UTC, nullable=False),
    Column("given_by", String(200), nullable=False),
    Column("reference", String(200), nullable=False, default=""),
    Column("expires_at", _UTC),
    Column("withdrawn_at", _UTC),
    **_OPTIONS,
)

Table(
    "templates",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("student_id", _UUID, ForeignKey("students.id"), nullable=False),
    Column("pack_id", _word(64), nullable=False),
    Column("sealed", VARBINARY(20_000), nullable=False),
    Column("source", String(40), nullable=False),
    Column("face_px", Float, nullable=False),
    Column("picture_sha256", BINARY(32), nullable=False),
    Column("created_at", _UTC, nullable=False),
    UniqueConstraint("student_id", "pack_id", "picture_sha256"),
    Index("ix_templates_pack", "pack_id", "student_id"),
    **_OPTIONS,
)

Table(
    "units",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("label", String(100, collation=_EXACT), nullable=False, unique=True),
    Column("room_id", _UUID, ForeignKey("rooms.id"), nullable=False, index=True),
    Column("data_key_sealed", VARBINARY(200), nullable=False),
    Column("added_at", _UTC, nullable=False),
    Column("revoked_at", _UTC),
    **_OPTIONS,
)

Table(
    "epochs",
    _TABLES,
    Column("unit_id", _UUID, ForeignKey("units.id"), primary_key=True),
    Column("epoch", _word(16), primary_key=True),
    Column("high_water", BigInteger, nullable=False, default=0),
    Column("first_heard_at", _UTC, nullable=False),
    Column("last_heard_at", _UTC, nullable=False),
    Column("boot_id", _word(36)),
    **_OPTIONS,
)

Table(
    "unit_status",
    _TABLES,
    Column("unit_id", _UUID, ForeignKey("units.id"), primary_key=True),
    Column("session", BigInteger, nullable=False),
    Column("state", _word(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("received_at", _UTC, nullable=False),
    **_OPTIONS,
)

Table(
    "events",
    _TABLES,
    Column("event_id", _UUID, primary_key=True),
    Column("unit_id", _UUID, nullable=False),
    Column("epoch", _word(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", _word(20), nullable=False),
    Column("student_id", _UUID),
    Column("at_claimed", _UTC, nullable=False),
    Column("at_corrected", _UTC, nullable=False),
    Column("received_at", _UTC, nullable=False),
    Column("clock", _word(10), nullable=False),
    Column("boot_id", _UUID, nullable=False),
    Column("boottime_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("payload_sha256", BINARY(32), nullable=False),
    UniqueConstraint("unit_id", "epoch", "seq"),
    Index("ix_events_student_time", "student_id", "at_corrected"),
    Index("ix_events_unit_time", "unit_id", "kind", "at_corrected"),
    Index("ix_events_boot", "unit_id", "boot_id", "kind"),
    **_OPTIONS,
)

Table(
    "quarantine",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("unit_id", _UUID),
    Column("epoch", _word(16)),
    Column("seq", BigInteger),
    Column("code", _word(40), nullable=False),
    Column("detail", String(200), nullable=False),
    Column("topic", String(200), nullable=False, default=""),
    Column("body", MEDIUMBLOB, nullable=False),
    Column("body_sha256", BINARY(32), nullable=False),
    Column("received_at", _UTC, nullable=False),
    UniqueConstraint("unit_id", "epoch", "seq", "body_sha256"),
    Index("ix_quarantine_received", "received_at"),
    **_OPTIONS,
)

Table(
    "lessons",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("room_id", _UUID, ForeignKey("rooms.id"), nullable=False),
    Column("section_id", _UUID, ForeignKey("sections.id"), nullable=False),
    Column("label", String(100), nullable=False, default=""),
    Column("starts_at", _UTC, nullable=False),
    Column("ends_at", _UTC, nullable=False),
    CheckConstraint("ends_at > starts_at", name="lasts"),
    UniqueConstraint("room_id", "section_id", "starts_at"),
    Index("ix_lessons_room_time", "room_id", "starts_at", "ends_at"),
    Index("ix_lessons_section_time", "section_id", "starts_at"),
    Index("ix_lessons_time", "starts_at", "ends_at"),
    **_OPTIONS,
)

Table(
    "attendance",
    _TABLES,
    Column("student_id", _UUID, ForeignKey("students.id"), primary_key=True),
    Column("occasion", _word(45), primary_key=True),
    Column("lesson_id", _UUID, ForeignKey("lessons.id"), index=True),
    Column("day", Date, nullable=False),
    Column("timestamp", _UTC, nullable=False),
    Column("status", String(20), nullable=False),
    Column("method", String(20), nullable=False),
    Column("last_seen_at", _UTC),
    Column("left_early_at", _UTC),
    Column("unit_id", _UUID),
    Column("notes", String(500), nullable=False, default=""),
    Column("rule", _word(20), nullable=False),
    CheckConstraint(_one_of("status", _STATUSES), name="status"),
    CheckConstraint(_one_of("method", _METHODS), name="method"),
    Index("ix_attendance_day", "day", "student_id"),
    **_OPTIONS,
)

Table(
    "dirty_students",
    _TABLES,
    Column("student_id", _UUID, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("mark", BigInteger, nullable=False, default=1),
    **_OPTIONS,
)

Table(
    "galleries",
    _TABLES,
    Column("unit_id", _UUID, ForeignKey("units.id"), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("prepared_revision", BigInteger, nullable=False, default=0),
    Column("head", MEDIUMBLOB),
    Column("manifest", MEDIUMBLOB),
    Column("manifest_hash", _word(64)),
    Column("timetable", MEDIUMBLOB),
    Column("timetable_hash", _word(64)),
    Column("push_count", Integer, nullable=False, default=0),
    Column("confirmed_revision", BigInteger, nullable=False, default=0),
    Column("confirmed_hash", _word(64)),
    Column("confirmed_students", Integer),
    Column("confirmed_at", _UTC),
    Column("problem", String(250)),
    **_OPTIONS,
)

Table(
    "gallery_members",
    _TABLES,
    Column("unit_id", _UUID, ForeignKey("units.id"), primary_key=True),
    Column("student_id", _UUID, primary_key=True),
    Column("from_revision", BigInteger, primary_key=True),
    Column("until_revision", BigInteger),
    **_OPTIONS,
)


Table(
    "erasures",
    _TABLES,
    Column("student_id", _UUID, primary_key=True),
    Column("unit_id", _UUID, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("asked_at", _UTC, nullable=False),
    Column("confirmed_at", _UTC),
    **_OPTIONS,
)

Table(
    "audit",
    _TABLES,
    Column("id", _UUID, primary_key=True),
    Column("at", _UTC, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", _word(60), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_at", "at"),
    Index("ix_audit_subject", "subject", "at"),
    **_OPTIONS,
)

Table(
    "hub_facts",
    _TABLES,
    Column("name", _word(60), primary_key=True),
    Column("value", Text, nullable=False),
    Column("changed_at", _UTC, nullable=False),
    **_OPTIONS,
)


def upgrade() -> None:
    """Create all tables."""
    steps.create_tables(_TABLES)


def downgrade() -> None:
    """Refused: going back would delete a school's records; restore a backup instead."""
    raise NotImplementedError("there is no way back: restore a backup")
