"""What the hub knows of itself, and what was decided."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, Index, Integer, String, Table, Text

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema_base import METADATA, OPTIONS, one_of, word

CALIBRATION_METHODS = ("own", "both", "pack", "none")

# Append-only: which scores the operating points come from, and when that was found. The newest of a pack holds.
calibrations = Table(
    "calibrations",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("pack_id", word(64), nullable=False),
    Column("at", UtcColumn, nullable=False),
    Column("fpir", Double, nullable=False),
    Column("method", word(10), nullable=False),
    Column("students", Integer, nullable=False),
    Column("comparisons", BigInteger, nullable=False),
    # Score statistics as JSON; empty when nothing was measured.
    Column("statistics", Text),
    # How certain they are, as JSON of counts and numbers.
    Column("detail", Text, nullable=False),
    Column("software", String(40), nullable=False),
    Column("actor", String(100), nullable=False),
    CheckConstraint(one_of("method", CALIBRATION_METHODS), name="method"),
    Index("ix_calibrations_pack", "pack_id", "at"),
    **OPTIONS,
)

# Append-only: what a person or a rule decided. No update, no delete; names and vectors are not in it.
audit = Table(
    "audit",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("at", UtcColumn, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", word(60), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_at", "at"),
    Index("ix_audit_subject", "subject", "at"),
    **OPTIONS,
)

# What the hub knows of itself: site, model pack in use, operating points.
hub_facts = Table(
    "hub_facts",
    METADATA,
    Column("name", word(60), primary_key=True),
    Column("value", Text, nullable=False),
    Column("changed_at", UtcColumn, nullable=False),
    **OPTIONS,
)
