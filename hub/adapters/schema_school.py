"""Who is at the school, and what a student agreed to and is recognised by."""

from sqlalchemy import CheckConstraint, Column, Double, Float, ForeignKey, Index, String, Table, UniqueConstraint
from sqlalchemy.dialects.mysql import BINARY, VARBINARY

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema_base import EXACT, METADATA, OPTIONS, one_of, word

LOOK_ALIKE_ORIGINS = ("operator", "calibration")

sections = Table(
    "sections",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("name", String(100, collation=EXACT), nullable=False, unique=True),
    **OPTIONS,
)

rooms = Table(
    "rooms",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("name", String(100, collation=EXACT), nullable=False, unique=True),
    **OPTIONS,
)

# `id` is the random surrogate by which everything else knows a student.
students = Table(
    "students",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("serial_number", String(40, collation=EXACT), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("username", String(100, collation=EXACT), unique=True),
    Column("email", String(254)),
    Column("phone", String(40)),
    Column("section_id", UuidColumn, ForeignKey("sections.id"), index=True),
    Column("created_at", UtcColumn, nullable=False),
    **OPTIONS,
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
    **OPTIONS,
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
    **OPTIONS,
)

# One row is one enrolled picture: a vector, sealed with the hub's key for this student and pack.
templates = Table(
    "templates",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("student_id", UuidColumn, ForeignKey("students.id"), nullable=False),
    Column("pack_id", word(64), nullable=False),
    Column("sealed", VARBINARY(20_000), nullable=False),
    Column("source", String(40), nullable=False),
    Column("face_px", Float, nullable=False),
    Column("picture_sha256", BINARY(32), nullable=False),
    Column("created_at", UtcColumn, nullable=False),
    UniqueConstraint("student_id", "pack_id", "picture_sha256"),
    Index("ix_templates_pack", "pack_id", "student_id"),
    **OPTIONS,
)

# Pairs of students who are not told apart by machine: an operator said that they are two people who look alike, or a
# calibration found that their templates are as close as one person's. The smaller id first; no foreign keys, since
# whoever withdraws a consent is forgotten here in the same transaction.
look_alikes = Table(
    "look_alikes",
    METADATA,
    Column("student_id", UuidColumn, primary_key=True),
    Column("other_id", UuidColumn, primary_key=True),
    Column("origin", word(20), nullable=False),
    # Cosine of the two fused templates; empty for pairs of which only a person spoke.
    Column("score", Double),
    Column("decided_by", String(100), nullable=False, default=""),
    Column("decided_at", UtcColumn, nullable=False),
    CheckConstraint(one_of("origin", LOOK_ALIKE_ORIGINS), name="origin"),
    Index("ix_look_alikes_other", "other_id"),
    **OPTIONS,
)
