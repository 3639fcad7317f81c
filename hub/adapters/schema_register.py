"""The register, what people said about it, and what of it has to be derived again."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema_base import METADATA, OPTIONS, one_of, word

STATUSES = ("Present", "Late", "Absent", "Excused", "Not seen", "Not observed")
METHODS = ("Face Recognition", "Manual")
MARK_STATUSES = ("present", "late", "excused", "absent", "machine")
MARK_ORIGINS = ("hub", "review", "legacy")
REVIEW_OUTCOMES = ("accepted", "rejected")

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
    # What the machine alone says, whatever a person said: empty where it says nothing.
    Column("machine_status", String(20)),
    Column("machine_rule", word(20)),
    # Which of `register_rules` was in force; 0: none was on record yet.
    Column("rules_version", Integer, nullable=False, server_default=text("0")),
    CheckConstraint(one_of("status", STATUSES), name="status"),
    CheckConstraint(one_of("method", METHODS), name="method"),
    Index("ix_attendance_day", "day", "student_id"),
    **OPTIONS,
)

# Derived with `attendance`: how many of a lesson that is over were seen, of those whom a unit could have seen. A lesson
# of which under a share was seen is `held`: a person looks at it before anybody is called Not seen.
lesson_states = Table(
    "lesson_states",
    METADATA,
    Column("lesson_id", UuidColumn, ForeignKey("lessons.id"), primary_key=True),
    Column("seen", Integer, nullable=False),
    Column("unseen", Integer, nullable=False),
    Column("held", Boolean, nullable=False),
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
    # Why, as a word for the audit log; the newest cause, empty where nobody said.
    Column("cause", word(20), nullable=False, server_default=text("''")),
    Index("ix_dirty_students_day", "day", "student_id"),
    **OPTIONS,
)

# What people said. Never changed but for being taken back; the newest that stands wins over the machine and over
# what was marked at a unit before it.
marks = Table(
    "marks",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("student_id", UuidColumn, ForeignKey("students.id"), nullable=False),
    Column("occasion", word(45), nullable=False),
    Column("lesson_id", UuidColumn, ForeignKey("lessons.id"), index=True),
    Column("day", Date, nullable=False),
    # `machine`: no person says anything any more, also not at a unit.
    Column("status", word(12), nullable=False),
    # When the student came, or was seen; empty where the mark says nothing of it.
    Column("at", UtcColumn),
    Column("method", String(20), nullable=False, server_default=text("'Manual'")),
    Column("reason", String(40), nullable=False, server_default=text("''")),
    Column("note", String(500), nullable=False, server_default=text("''")),
    Column("origin", word(10), nullable=False, server_default=text("'hub'")),
    # Marks that were made with one gesture, and are taken back with one.
    Column("batch_id", UuidColumn, index=True),
    Column("made_at", UtcColumn, nullable=False),
    Column("made_by", String(100), nullable=False),
    Column("undone_at", UtcColumn),
    Column("undone_by", String(100)),
    CheckConstraint(one_of("status", MARK_STATUSES), name="status"),
    CheckConstraint(one_of("method", METHODS), name="method"),
    CheckConstraint(one_of("origin", MARK_ORIGINS), name="origin"),
    Index("ix_marks_student_day", "student_id", "day"),
    Index("ix_marks_day", "day"),
    **OPTIONS,
)

# A teacher says that a lesson's register is right. Opened again: closed by whoever closes it next, in a row of its own.
closings = Table(
    "closings",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("lesson_id", UuidColumn, ForeignKey("lessons.id"), nullable=False),
    Column("closed_at", UtcColumn, nullable=False),
    Column("closed_by", String(100), nullable=False),
    Column("reopened_at", UtcColumn),
    Column("reopened_by", String(100)),
    Index("ix_closings_lesson", "lesson_id", "closed_at"),
    Index("ix_closings_at", "closed_at"),
    **OPTIONS,
)

# Append-only: the school's rules, each in force from a day on until another one is. Of two for one day the newer holds.
register_rules = Table(
    "register_rules",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("from_day", Date, nullable=False),
    Column("early_min", Integer, nullable=False),
    Column("late_after_min", Integer, nullable=False),
    Column("left_early_min", Integer, nullable=False),
    Column("covered_share", Double, nullable=False),
    Column("held_share", Double, nullable=False),
    # Parts of a day that count without a timetable, as JSON: [["AM", "07:00", "12:00"], ...].
    Column("sessions", Text, nullable=False),
    Column("made_at", UtcColumn, nullable=False),
    Column("made_by", String(100), nullable=False),
    Index("ix_register_rules_day", "from_day", "version"),
    **OPTIONS,
)

# From when until when the units of a room write Absent by themselves, and what was measured when that was decided.
absence_rules = Table(
    "absence_rules",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("room_id", UuidColumn, ForeignKey("rooms.id"), nullable=False),
    Column("from_day", Date, nullable=False),
    # Exclusive; empty while it holds.
    Column("until_day", Date),
    Column("recall_low", Double, nullable=False),
    Column("present", Integer, nullable=False),
    Column("switched_on_at", UtcColumn, nullable=False),
    Column("switched_on_by", String(100), nullable=False),
    Index("ix_absence_rules_room", "room_id", "from_day"),
    **OPTIONS,
)

# What a person decided about sightings that no machine may decide; `review_key` names the group of them
# (`hub.core.reviews`).
review_decisions = Table(
    "review_decisions",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("review_key", word(64), nullable=False),
    Column("outcome", word(10), nullable=False),
    # Whom it shows, if the person knew; among the candidates or not.
    Column("student_id", UuidColumn),
    # The mark that came of it.
    Column("mark_id", UuidColumn),
    Column("decided_at", UtcColumn, nullable=False),
    Column("decided_by", String(100), nullable=False),
    Column("undone_at", UtcColumn),
    Column("undone_by", String(100)),
    CheckConstraint(one_of("outcome", REVIEW_OUTCOMES), name="outcome"),
    Index("ix_review_decisions_key", "review_key", "decided_at"),
    **OPTIONS,
)
