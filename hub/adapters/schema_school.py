"""Who is at the school: students, the sections and groups they belong to, and the rooms."""

from sqlalchemy import Column, Date, ForeignKey, Index, String, Table, UniqueConstraint

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema_base import EXACT, METADATA, OPTIONS

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
    # The first and the last day at the school; empty where nobody said. `student_sections` is bounded by them.
    Column("joined_on", Date),
    Column("left_on", Date),
    # When everything that names the person was deleted: what is left is a number that stands for nobody.
    Column("erased_at", UtcColumn),
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

# Parts of a section that are taught apart, such as half groups.
section_groups = Table(
    "section_groups",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("section_id", UuidColumn, ForeignKey("sections.id"), nullable=False),
    Column("name", String(100, collation=EXACT), nullable=False),
    UniqueConstraint("section_id", "name"),
    **OPTIONS,
)

student_groups = Table(
    "student_groups",
    METADATA,
    Column("student_id", UuidColumn, ForeignKey("students.id"), primary_key=True),
    Column("group_id", UuidColumn, ForeignKey("section_groups.id"), primary_key=True),
    Column("since", UtcColumn, primary_key=True),
    # Exclusive; empty while it holds.
    Column("until", UtcColumn),
    Index("ix_student_groups_group", "group_id", "student_id"),
    **OPTIONS,
)
