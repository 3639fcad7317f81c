"""The timetable, the register, and what of it has to be derived again."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, ForeignKey, Index, String, Table, UniqueConstraint

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema_base import METADATA, OPTIONS, one_of, word

STATUSES = ("Present", "Late", "Absent", "Excused", "Not seen", "Not observed")
METHODS = ("Face Recognition", "Manual")

lessons = Table(
    "lessons",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("room_id", UuidColumn, ForeignKey("rooms.id"), nullable=False),
    Column("section_id", UuidColumn, ForeignKey("sections.id"), nullable=False),
    Column("label", String(100), nullable=False, default=""),
    Column("starts_at", UtcColumn, nullable=False),
    Column("ends_at", UtcColumn, nullable=False),
    CheckConstraint("ends_at > starts_at", name="lasts"),
    UniqueConstraint("room_id", "section_id", "starts_at"),
    Index("ix_lessons_room_time", "room_id", "starts_at", "ends_at"),
    Index("ix_lessons_section_time", "section_id", "starts_at"),
    Index("ix_lessons_time", "starts_at", "ends_at"),
    **OPTIONS,
)

# Derived from events, lessons, marks and coverage; may be deleted and computed again with the same result.
# `occasion` is "lesson:<uuid>" or, without a timetable, "day:2026-09-01".
attendance = Table(
    "attendance",
    METADATA,
    Column("student_id", UuidColumn, ForeignKey("students.id"), primary_key=True),
    Column("occasion", word(45), primary_key=True),
    Column("lesson_id", UuidColumn, ForeignKey("lessons.id"), index=True),
    Column("day", Date, nullable=False),
    # When the student was first seen or marked; the start of the occasion when neither happened.
    Column("timestamp", UtcColumn, nullable=False),
    Column("status", String(20), nullable=False),
    Column("method", String(20), nullable=False),
    Column("last_seen_at", UtcColumn),
    Column("left_early_at", UtcColumn),
    Column("unit_id", UuidColumn),
    Column("notes", String(500), nullable=False, default=""),
    Column("rule", word(20), nullable=False),
    CheckConstraint(one_of("status", STATUSES), name="status"),
    CheckConstraint(one_of("method", METHODS), name="method"),
    Index("ix_attendance_day", "day", "student_id"),
    **OPTIONS,
)

# What the derivation still has to look at. Written in the transaction that changes its inputs.
dirty_students = Table(
    "dirty_students",
    METADATA,
    Column("student_id", UuidColumn, primary_key=True),
    Column("day", Date, primary_key=True),
    # A later change during a derivation gives another number, so that the mark is not removed with the old one.
    Column("mark", BigInteger, nullable=False, default=1),
    Index("ix_dirty_students_day", "day", "student_id"),
    **OPTIONS,
)
