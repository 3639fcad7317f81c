"""What a student agreed to, and what they are recognised by."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.mysql import BINARY, MEDIUMBLOB, VARBINARY

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema_base import METADATA, OPTIONS, one_of, word

LOOK_ALIKE_ORIGINS = ("operator", "calibration", "review")

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
    # What was agreed to, as words with a comma between them (`hub.core.roster_consent`).
    Column("scope", word(100), nullable=False, server_default=text("'recognition'")),
    Column("recorded_by", String(100), nullable=False, server_default=text("''")),
    Column("withdrawn_by", String(200)),
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
    # Which of the hub's keys it is sealed with (`hub.adapters.key_files`); empty: nobody noted it.
    Column("key_id", word(16), nullable=False, server_default=text("''")),
    UniqueConstraint("student_id", "pack_id", "picture_sha256"),
    Index("ix_templates_pack", "pack_id", "student_id"),
    Index("ix_templates_key", "key_id"),
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

# Pictures that students were enrolled with, kept only where the school chose so and the consent says so: sealed with
# the hub's key for this student.
photos = Table(
    "photos",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("student_id", UuidColumn, ForeignKey("students.id"), nullable=False),
    Column("sealed", MEDIUMBLOB, nullable=False),
    Column("source", String(40), nullable=False),
    Column("picture_sha256", BINARY(32), nullable=False),
    Column("created_at", UtcColumn, nullable=False),
    Column("key_id", word(16), nullable=False, server_default=text("''")),
    UniqueConstraint("student_id", "picture_sha256"),
    Index("ix_photos_key", "key_id"),
    **OPTIONS,
)

# Students for whom a teacher rejected a sighting without knowing whom it showed: told apart by a larger margin now.
student_margins = Table(
    "student_margins",
    METADATA,
    Column("student_id", UuidColumn, ForeignKey("students.id"), primary_key=True),
    Column("rejections", Integer, nullable=False),
    Column("changed_at", UtcColumn, nullable=False),
    **OPTIONS,
)
