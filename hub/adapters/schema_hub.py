"""What the hub knows of itself, and what was decided."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Double, Index, Integer, String, Table, Text, text
from sqlalchemy.dialects.mysql import BINARY

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

# Append-only: what a person or a rule decided. No update, no delete; names and vectors are not in it. Each entry is
# chained to the one before it (`hub.core.audit_chain`), so that one that was edited or taken out is found.
audit = Table(
    "audit",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("at", UtcColumn, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", word(60), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    # What else it is about, such as the lesson in which a student was marked.
    Column("object", word(60), nullable=False, server_default=text("''")),
    Column("seq", BigInteger, unique=True),
    Column("hash", BINARY(32)),
    Index("ix_audit_at", "at"),
    Index("ix_audit_subject", "subject", "at"),
    Index("ix_audit_object", "object", "at"),
    Index("ix_audit_action", "action", "at"),
    **OPTIONS,
)

# The end of the chain: one row, held by the transaction that appends.
audit_head = Table(
    "audit_head",
    METADATA,
    Column("name", word(10), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", BINARY(32), nullable=False),
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
