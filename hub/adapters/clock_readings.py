"""What is known of the present beside our clock: what it said before, and what units say (`hub.core.retention`)."""

import json
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, func, select

from hub.adapters.retention_runs import fact, note_fact
from hub.adapters.schema import audit, epochs, events, units
from hub.core.retention import Heard, clock_agrees

_MIGRATE = "db.migrate"
_READING = "retention.clock"
_ANCHORS = 50


def heard(connection: Connection, clock: datetime) -> Heard:
    """Return what is known of the present beside what our clock says."""
    received = connection.execute(select(func.max(epochs.c.last_heard_at))).scalar()
    # By unit and kind: the index has the newest of each at its end, and nothing else is read.
    newest = select(func.max(events.c.at_corrected)).group_by(events.c.unit_id, events.c.kind)
    known = Heard(received, max(connection.execute(newest).scalars(), default=None), reading(connection))
    # Only where it is needed: it looks at all events of a boot.
    return known if clock_agrees(clock, known) else replace(known, told_at=_told_at(connection))


def note_reading(connection: Connection, believed: datetime, at: datetime) -> None:
    """Note what our clock said when it was believed."""
    note_fact(connection, _READING, believed.isoformat(), at)


def reading(connection: Connection) -> datetime | None:
    """Return what our clock said when it was last believed; None: nothing is known of it."""
    value = fact(connection, _READING)
    if value is not None:
        return datetime.fromisoformat(value)
    # Before the first run: when the tables were made.
    made: datetime | None = connection.execute(select(func.max(audit.c.at)).where(audit.c.action == _MIGRATE)).scalar()
    return made


def _told_at(connection: Connection) -> datetime | None:
    """Return the newest moment that units said of which the boot had its time from a time server."""
    moments = []
    for unit_id in connection.execute(select(units.c.id).where(units.c.revoked_at.is_(None))).scalars().all():
        anchors = select(events.c.boot_id, events.c.body).where(events.c.unit_id == unit_id, events.c.kind == "anchor")
        newest = connection.execute(anchors.order_by(events.c.at_corrected.desc()).limit(_ANCHORS)).all()
        boot_id = next((row.boot_id for row in newest if json.loads(row.body).get("source") == "ntp"), None)
        if boot_id is not None:
            # As the unit said it: what is corrected may be so by our own time.
            said = select(func.max(events.c.at_claimed)).where(
                events.c.unit_id == unit_id, events.c.boot_id == boot_id, events.c.clock == "synced"
            )
            moments.append(connection.execute(said).scalar())
    return max((moment for moment in moments if moment is not None), default=None)
