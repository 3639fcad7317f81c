"""The hub's tables. The migrations in `hub/adapters/migrations` bring a database to this state."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.mysql import BINARY, MEDIUMBLOB, VARBINARY

from hub.adapters.column_types import UtcColumn, UuidColumn

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_OPTIONS: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci"}
# Identifiers are compared byte by byte: "007" is not "7", and "jose" is not "josé".
_EXACT = "utf8mb4_bin"


def _word(length: int) -> String:
    return String(length, collation="ascii_bin")


STATUSES = ("Present", "Late", "Absent", "Excused", "Not seen", "Not observed")
METHODS = ("Face Recognition", "Manual")
LOOK_ALIKE_ORIGINS = ("operator", "calibration")
CALIBRATION_METHODS = ("own", "both", "pack", "none")


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} in ({', '.join(repr(value) for value in values)})"


sections = Table(
    "sections",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("name", String(100, collation=_EXACT), nullable=False, unique=True),
    **_OPTIONS,
)

rooms = Table(
    "rooms",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("name", String(100, collation=_EXACT), nullable=False, unique=True),
    **_OPTIONS,
)

# `id` is the random surrogate by which everything else knows a student.
students = Table(
    "students",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("serial_number", String(40, collation=_EXACT), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("username", String(100, collation=_EXACT), unique=True),
    Column("email", String(254)),
    Column("phone", String(40)),
    Column("section_id", UuidColumn, ForeignKey("sections.id"), index=True),
    Column("created_at", UtcColumn, nullable=False),
    **_OPTIONS,
)

# Which section a student belonged to, and when: moving somebody must not rewrite the register of past lessons.
student_sections = Table(
    "student_sections",
    METADATA,
    Column("student_id", UuidColumn, ForeignKey("students.id"), primary_key=True),
    Column("since", UtcColumn, primary_key=True),
    Column("section_id", UuidColumn, ForeignKey("sections.id"), nullable=False),
    # Exclusive; empty while it holds.
    Column("until", UtcColumn),
    Index("ix_student_sections_section", "section_id", "student_id"),
    **_OPTIONS,
)

consents = Table(
    "consents",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("student_id", UuidColumn, ForeignKey("students.id"), nullable=False, index=True),
    Column("given_at", UtcColumn, nullable=False),
    Column("given_by", String(200), nullable=False),
    Column("reference", String(200), nullable=False, default=""),
    Column("expires_at", UtcColumn),
    Column("withdrawn_at", UtcColumn),
    **_OPTIONS,
)

# One row is one enrolled picture: a vector, sealed with the hub's key for this student and pack.
templates = Table(
    "templates",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("student_id", UuidColumn, ForeignKey("students.id"), nullable=False),
    Column("pack_id", _word(64), nullable=False),
    Column("sealed", VARBINARY(20_000), nullable=False),
    Column("source", String(40), nullable=False),
    Column("face_px", Float, nullable=False),
    Column("picture_sha256", BINARY(32), nullable=False),
    Column("created_at", UtcColumn, nullable=False),
    UniqueConstraint("student_id", "pack_id", "picture_sha256"),
    Index("ix_templates_pack", "pack_id", "student_id"),
    **_OPTIONS,
)

units = Table(
    "units",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("label", String(100, collation=_EXACT), nullable=False, unique=True),
    Column("room_id", UuidColumn, ForeignKey("rooms.id"), nullable=False, index=True),
    # The unit's data key, sealed with the hub's key, so that any hub process can seal content for the unit.
    Column("data_key_sealed", VARBINARY(200), nullable=False),
    Column("added_at", UtcColumn, nullable=False),
    Column("revoked_at", UtcColumn),
    **_OPTIONS,
)

# The streams a unit has had. A second one that is alive at the same time is a cloned card.
epochs = Table(
    "epochs",
    METADATA,
    Column("unit_id", UuidColumn, ForeignKey("units.id"), primary_key=True),
    Column("epoch", _word(16), primary_key=True),
    # Every seq up to here is committed or was rejected.
    Column("high_water", BigInteger, nullable=False, default=0),
    # The highest one that is committed or was rejected; empty where nobody looked. Equal to the mark: nothing waits.
    Column("highest_seq", BigInteger),
    Column("first_heard_at", UtcColumn, nullable=False),
    Column("last_heard_at", UtcColumn, nullable=False),
    # Of the newest hello, and of the one before it from another boot: a boot that returns is a second card.
    Column("boot_id", _word(36)),
    Column("previous_boot_id", _word(36)),
    # When this stream last spoke although another one of the unit lives.
    Column("cloned_at", UtcColumn),
    **_OPTIONS,
)

# The last status of each unit, for people to look at; never the basis of a record.
unit_status = Table(
    "unit_status",
    METADATA,
    Column("unit_id", UuidColumn, ForeignKey("units.id"), primary_key=True),
    Column("session", BigInteger, nullable=False),
    Column("state", _word(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("received_at", UtcColumn, nullable=False),
    **_OPTIONS,
)

# As received, never edited except for when it was (`at_corrected` and what follows from it). No foreign keys to
# students or lessons: an event about an erased or unknown student is still an event.
events = Table(
    "events",
    METADATA,
    Column("event_id", UuidColumn, primary_key=True),
    Column("unit_id", UuidColumn, nullable=False),
    Column("epoch", _word(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", _word(20), nullable=False),
    Column("student_id", UuidColumn),
    Column("at_claimed", UtcColumn, nullable=False),
    Column("at_corrected", UtcColumn, nullable=False),
    Column("received_at", UtcColumn, nullable=False),
    # What a later anchor of the same boot needs to tell when it really was.
    Column("clock", _word(10), nullable=False),
    Column("boot_id", UuidColumn, nullable=False),
    Column("boottime_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("payload_sha256", BINARY(32), nullable=False),
    # How `at_corrected` is known (`hub.core.dating`): as the unit said, by an anchor of its boot, or not really.
    Column("time_basis", _word(10), nullable=False, server_default=text("'claimed'")),
    # Between which moments it was; empty unless estimated.
    Column("at_earliest", UtcColumn),
    Column("at_latest", UtcColumn),
    UniqueConstraint("unit_id", "epoch", "seq"),
    Index("ix_events_student_time", "student_id", "at_corrected"),
    Index("ix_events_unit_time", "unit_id", "kind", "at_corrected"),
    Index("ix_events_boot", "unit_id", "boot_id", "kind"),
    **_OPTIONS,
)

# What anchors said of a boot's clock: the range of moments, in microseconds since 1970, at which that boot began by
# them. A batch whose own times fit into it needs no dating.
boot_clocks = Table(
    "boot_clocks",
    METADATA,
    Column("unit_id", UuidColumn, primary_key=True),
    Column("boot_id", UuidColumn, primary_key=True),
    # 0: no anchor, but an event whose clock was set; `first_ns` is the first such event then.
    Column("anchors", Integer, nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("lowest_us", BigInteger, nullable=False),
    Column("highest_us", BigInteger, nullable=False),
    **_OPTIONS,
)

# Boots of which nobody knows when they were, by stream, with the nearest certain events before and after: an event
# that arrives between those tells more.
undated_boots = Table(
    "undated_boots",
    METADATA,
    Column("unit_id", UuidColumn, primary_key=True),
    Column("boot_id", UuidColumn, primary_key=True),
    Column("epoch", _word(16), primary_key=True),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("before_seq", BigInteger),
    Column("after_seq", BigInteger),
    **_OPTIONS,
)

# What could not be taken: poison events, events of unknown units, an id with another body.
quarantine = Table(
    "quarantine",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("unit_id", UuidColumn),
    Column("epoch", _word(16)),
    Column("seq", BigInteger),
    Column("code", _word(40), nullable=False),
    Column("detail", String(200), nullable=False),
    Column("topic", String(200), nullable=False, default=""),
    Column("body", MEDIUMBLOB, nullable=False),
    Column("body_sha256", BINARY(32), nullable=False),
    Column("received_at", UtcColumn, nullable=False),
    # What a person wrote in its place; `body` stays what the unit sent.
    Column("fixed_body", MEDIUMBLOB),
    # A row is never deleted: `outcome` tells what became of it, empty while it waits.
    Column("resolved_at", UtcColumn),
    Column("resolved_by", String(100)),
    Column("outcome", _word(20)),
    # The same poison sent ten times is one row.
    UniqueConstraint("unit_id", "epoch", "seq", "body_sha256"),
    Index("ix_quarantine_received", "received_at"),
    Index("ix_quarantine_open", "unit_id", "resolved_at"),
    **_OPTIONS,
)

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
    **_OPTIONS,
)

# Derived from events, lessons, marks and coverage; may be deleted and computed again with the same result.
# `occasion` is "lesson:<uuid>" or, without a timetable, "day:2026-09-01".
attendance = Table(
    "attendance",
    METADATA,
    Column("student_id", UuidColumn, ForeignKey("students.id"), primary_key=True),
    Column("occasion", _word(45), primary_key=True),
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
    Column("rule", _word(20), nullable=False),
    CheckConstraint(_one_of("status", STATUSES), name="status"),
    CheckConstraint(_one_of("method", METHODS), name="method"),
    Index("ix_attendance_day", "day", "student_id"),
    **_OPTIONS,
)

# What the derivation still has to look at. Written in the transaction that changes its inputs.
dirty_students = Table(
    "dirty_students",
    METADATA,
    Column("student_id", UuidColumn, primary_key=True),
    Column("day", Date, primary_key=True),
    # A later change during a derivation gives another number, so that the mark is not removed with the old one.
    Column("mark", BigInteger, nullable=False, default=1),
    **_OPTIONS,
)

# One row a unit. `revision` moves in the transaction that changes what the gallery holds; `serve` then writes
# the manifest of exactly that revision beside it and publishes the head.
galleries = Table(
    "galleries",
    METADATA,
    Column("unit_id", UuidColumn, ForeignKey("units.id"), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    # Moves when a person says that the revisions are counted anew.
    Column("generation", Integer, nullable=False, default=0, server_default=text("0")),
    Column("prepared_revision", BigInteger, nullable=False, default=0),
    Column("prepared_at", UtcColumn),
    Column("head", MEDIUMBLOB),
    Column("manifest", MEDIUMBLOB),
    Column("manifest_hash", _word(64)),
    Column("timetable", MEDIUMBLOB),
    Column("timetable_hash", _word(64)),
    # Moves when an operator asks for the head to be published again.
    Column("push_count", Integer, nullable=False, default=0),
    Column("confirmed_revision", BigInteger, nullable=False, default=0),
    Column("confirmed_hash", _word(64)),
    Column("confirmed_students", Integer),
    Column("confirmed_at", UtcColumn),
    Column("problem", String(250)),
    **_OPTIONS,
)

# Whose template a unit was given, from which prepared revision and until which (exclusive; empty while it holds).
# It tells whether a unit could have recognised a student at the time, and what a unit has to delete.
gallery_members = Table(
    "gallery_members",
    METADATA,
    Column("unit_id", UuidColumn, ForeignKey("units.id"), primary_key=True),
    Column("student_id", UuidColumn, primary_key=True),
    Column("from_revision", BigInteger, primary_key=True),
    Column("until_revision", BigInteger),
    **_OPTIONS,
)

# Templates a unit held and has to delete; `confirmed_at` is the unit's receipt.
erasures = Table(
    "erasures",
    METADATA,
    Column("student_id", UuidColumn, primary_key=True),
    Column("unit_id", UuidColumn, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("asked_at", UtcColumn, nullable=False),
    Column("confirmed_at", UtcColumn),
    **_OPTIONS,
)

# Pairs of students who are not told apart by machine: an operator said that they are two people who look alike, or a
# calibration found that their templates are as close as one person's. The smaller id first; no foreign keys, since
# whoever withdraws a consent is forgotten here in the same transaction.
look_alikes = Table(
    "look_alikes",
    METADATA,
    Column("student_id", UuidColumn, primary_key=True),
    Column("other_id", UuidColumn, primary_key=True),
    Column("origin", _word(20), nullable=False),
    # Cosine of the two fused templates; empty for pairs of which only a person spoke.
    Column("score", Double),
    Column("decided_by", String(100), nullable=False, default=""),
    Column("decided_at", UtcColumn, nullable=False),
    CheckConstraint(_one_of("origin", LOOK_ALIKE_ORIGINS), name="origin"),
    Index("ix_look_alikes_other", "other_id"),
    **_OPTIONS,
)

# Append-only: which scores the operating points come from, and when that was found. The newest of a pack holds.
calibrations = Table(
    "calibrations",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("pack_id", _word(64), nullable=False),
    Column("at", UtcColumn, nullable=False),
    Column("fpir", Double, nullable=False),
    Column("method", _word(10), nullable=False),
    Column("students", Integer, nullable=False),
    Column("comparisons", BigInteger, nullable=False),
    # Score statistics as JSON; empty when nothing was measured.
    Column("statistics", Text),
    # How certain they are, as JSON of counts and numbers.
    Column("detail", Text, nullable=False),
    Column("software", String(40), nullable=False),
    Column("actor", String(100), nullable=False),
    CheckConstraint(_one_of("method", CALIBRATION_METHODS), name="method"),
    Index("ix_calibrations_pack", "pack_id", "at"),
    **_OPTIONS,
)

# Append-only: what a person or a rule decided. No update, no delete; names and vectors are not in it.
audit = Table(
    "audit",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("at", UtcColumn, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", _word(60), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_at", "at"),
    Index("ix_audit_subject", "subject", "at"),
    **_OPTIONS,
)

# What the hub knows of itself: site, model pack in use, operating points.
hub_facts = Table(
    "hub_facts",
    METADATA,
    Column("name", _word(60), primary_key=True),
    Column("value", Text, nullable=False),
    Column("changed_at", UtcColumn, nullable=False),
    **_OPTIONS,
)
