"""Units, their streams, and the galleries they have."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text
from sqlalchemy.dialects.mysql import MEDIUMBLOB, VARBINARY

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema_base import EXACT, METADATA, OPTIONS, word

units = Table(
    "units",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("label", String(100, collation=EXACT), nullable=False, unique=True),
    Column("room_id", UuidColumn, ForeignKey("rooms.id"), nullable=False, index=True),
    # The unit's data key, sealed with the hub's key, so that any hub process can seal content for the unit.
    Column("data_key_sealed", VARBINARY(200), nullable=False),
    Column("added_at", UtcColumn, nullable=False),
    Column("revoked_at", UtcColumn),
    **OPTIONS,
)

# Where a unit was, from when on, until the next row: whatever it saw is of the room it was in at that moment.
unit_rooms = Table(
    "unit_rooms",
    METADATA,
    Column("unit_id", UuidColumn, ForeignKey("units.id"), primary_key=True),
    Column("since", UtcColumn, primary_key=True),
    Column("room_id", UuidColumn, ForeignKey("rooms.id"), nullable=False),
    Index("ix_unit_rooms_room", "room_id", "unit_id"),
    **OPTIONS,
)

# The streams a unit has had. A second one that is alive at the same time is a cloned card.
epochs = Table(
    "epochs",
    METADATA,
    Column("unit_id", UuidColumn, ForeignKey("units.id"), primary_key=True),
    Column("epoch", word(16), primary_key=True),
    # Every seq up to here is committed or was rejected.
    Column("high_water", BigInteger, nullable=False, default=0),
    # The highest one that is committed or was rejected; empty where nobody looked. Equal to the mark: nothing waits.
    Column("highest_seq", BigInteger),
    Column("first_heard_at", UtcColumn, nullable=False),
    Column("last_heard_at", UtcColumn, nullable=False),
    # Of the newest hello, and of the one before it from another boot: a boot that returns is a second card.
    Column("boot_id", word(36)),
    Column("previous_boot_id", word(36)),
    # When this stream last spoke although another one of the unit lives.
    Column("cloned_at", UtcColumn),
    **OPTIONS,
)

# One row a unit, held by the transaction that writes its events: the dates of these depend on each other, also over
# several streams. Nothing refers to it, so that nobody who only writes something else of the unit waits for it.
unit_dating = Table("unit_dating", METADATA, Column("unit_id", UuidColumn, primary_key=True), **OPTIONS)

# The last status of each unit, for people to look at; never the basis of a record.
unit_status = Table(
    "unit_status",
    METADATA,
    Column("unit_id", UuidColumn, ForeignKey("units.id"), primary_key=True),
    Column("session", BigInteger, nullable=False),
    Column("state", word(20), nullable=False),
    Column("body", Text, nullable=False),
    Column("received_at", UtcColumn, nullable=False),
    **OPTIONS,
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
    Column("manifest_hash", word(64)),
    Column("timetable", MEDIUMBLOB),
    Column("timetable_hash", word(64)),
    # Moves when an operator asks for the head to be published again.
    Column("push_count", Integer, nullable=False, default=0),
    Column("confirmed_revision", BigInteger, nullable=False, default=0),
    Column("confirmed_hash", word(64)),
    Column("confirmed_students", Integer),
    Column("confirmed_at", UtcColumn),
    Column("problem", String(250)),
    **OPTIONS,
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
    **OPTIONS,
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
    **OPTIONS,
)
