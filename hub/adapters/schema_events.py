"""What units sent: on record, dated, or in quarantine."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.mysql import BINARY, MEDIUMBLOB

from hub.adapters.column_types import UtcColumn, UuidColumn
from hub.adapters.schema_base import METADATA, OPTIONS, word

# As received, never edited except for when it was (`at_corrected` and what follows from it). No foreign keys to
# students or lessons: an event about an erased or unknown student is still an event.
events = Table(
    "events",
    METADATA,
    Column("event_id", UuidColumn, primary_key=True),
    Column("unit_id", UuidColumn, nullable=False),
    Column("epoch", word(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", word(20), nullable=False),
    Column("student_id", UuidColumn),
    Column("at_claimed", UtcColumn, nullable=False),
    Column("at_corrected", UtcColumn, nullable=False),
    Column("received_at", UtcColumn, nullable=False),
    # What a later anchor of the same boot needs to tell when it really was.
    Column("clock", word(10), nullable=False),
    Column("boot_id", UuidColumn, nullable=False),
    Column("boottime_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("payload_sha256", BINARY(32), nullable=False),
    # How `at_corrected` is known (`hub.core.dating`): as the unit said, by an anchor of its boot, or not really.
    Column("time_basis", word(10), nullable=False, server_default=text("'claimed'")),
    # Of an estimated event of which an older program said between which moments it was; `undated_boots` says it now.
    Column("at_earliest", UtcColumn),
    Column("at_latest", UtcColumn),
    UniqueConstraint("unit_id", "epoch", "seq"),
    Index("ix_events_student_time", "student_id", "at_corrected"),
    Index("ix_events_unit_time", "unit_id", "kind", "at_corrected"),
    Index("ix_events_boot", "unit_id", "boot_id", "kind"),
    Index("ix_events_boot_time", "unit_id", "boot_id", "boottime_ns"),
    **OPTIONS,
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
    **OPTIONS,
)

# Boots of which nobody knows when they were, by stream, with the nearest certain events before and after: an event
# that arrives between those tells more.
undated_boots = Table(
    "undated_boots",
    METADATA,
    Column("unit_id", UuidColumn, primary_key=True),
    Column("boot_id", UuidColumn, primary_key=True),
    Column("epoch", word(16), primary_key=True),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("before_seq", BigInteger),
    Column("after_seq", BigInteger),
    # What `hub.core.dating_bounds` asks of its events, in microseconds, so that nobody has to read them again; empty
    # where an older program wrote the row.
    Column("before_us", BigInteger),
    Column("after_us", BigInteger),
    Column("first_us", BigInteger),
    Column("last_us", BigInteger),
    Column("lowest_us", BigInteger),
    Column("highest_us", BigInteger),
    Column("received_us", BigInteger),
    Column("claimed_seq", BigInteger),
    Column("claimed_us", BigInteger),
    # How many seqs it spanned when it was summed up: a row that an older program changed since has others.
    Column("seqs", BigInteger),
    # The estimate: between which moments the boot began; where it is put, empty if its events keep what they claim.
    Column("earliest_us", BigInteger),
    Column("latest_us", BigInteger),
    Column("begin_us", BigInteger),
    # By any estimate so far.
    Column("widest_earliest_us", BigInteger),
    Column("widest_latest_us", BigInteger),
    **OPTIONS,
)

# By which estimate of a boot the register was last told to derive anew what depends on it.
undated_told = Table(
    "undated_told",
    METADATA,
    Column("unit_id", UuidColumn, primary_key=True),
    Column("boot_id", UuidColumn, primary_key=True),
    Column("earliest_us", BigInteger, nullable=False),
    Column("latest_us", BigInteger, nullable=False),
    Column("begin_us", BigInteger),
    **OPTIONS,
)

# What could not be taken: poison events, events of unknown units, an id with another body.
quarantine = Table(
    "quarantine",
    METADATA,
    Column("id", UuidColumn, primary_key=True),
    Column("unit_id", UuidColumn),
    Column("epoch", word(16)),
    Column("seq", BigInteger),
    Column("code", word(40), nullable=False),
    Column("detail", String(200), nullable=False),
    Column("topic", String(200), nullable=False, default=""),
    Column("body", MEDIUMBLOB, nullable=False),
    Column("body_bytes", Integer, nullable=False, server_default=text("0")),
    Column("body_sha256", BINARY(32), nullable=False),
    Column("received_at", UtcColumn, nullable=False),
    # What a person wrote in its place; `body` stays what the unit sent.
    Column("fixed_body", MEDIUMBLOB),
    # A row is never deleted: `outcome` tells what became of it, empty while it waits.
    Column("resolved_at", UtcColumn),
    Column("resolved_by", String(100)),
    Column("outcome", word(20)),
    # The same poison sent ten times is one row.
    UniqueConstraint("unit_id", "epoch", "seq", "body_sha256"),
    Index("ix_quarantine_received", "received_at"),
    Index("ix_quarantine_open", "unit_id", "resolved_at"),
    Index("ix_quarantine_held", "resolved_at", "unit_id", "body_bytes"),
    Index("ix_quarantine_body", "body_sha256"),
    **OPTIONS,
)

# How much of a unit was refused and found no room in quarantine, and when that was last.
quarantine_dropped = Table(
    "quarantine_dropped",
    METADATA,
    Column("unit_id", UuidColumn, primary_key=True),
    Column("dropped", BigInteger, nullable=False),
    Column("dropped_at", UtcColumn, nullable=False),
    **OPTIONS,
)

# Where events stood that were refused and found no room, until the stream's mark has passed them: they are no gap.
refused_places = Table(
    "refused_places",
    METADATA,
    Column("unit_id", UuidColumn, primary_key=True),
    Column("epoch", word(16), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    **OPTIONS,
)
