"""Dates events anew whose unit did not know the time, once an anchor of the same boot tells it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, select, text, update

from hub.adapters.attendance_store import Watched, mark_covered, mark_dirty
from hub.adapters.schema import events
from hub.core.ingest import Verdict
from protocol.events import Anchor, Coverage


def rewrite(connection: Connection, verdicts: Iterable[Verdict], zone: ZoneInfo) -> None:
    """Correct the times of the boots that these new events belong to, and mark what depends on them as dirty.

    Only events whose clock was never set in that boot, and only once: the first anchor of a boot holds.
    """
    boots = {
        (row.unit_id, row.event.boot_id): verdict.batch.received_at
        for verdict in verdicts
        for row in verdict.new
        if row.event.clock == "unsynced" or isinstance(row.event, Anchor)
    }
    for (unit_id, boot_id), now in sorted(boots.items()):
        of_boot = (events.c.unit_id == unit_id, events.c.boot_id == boot_id)
        body = connection.execute(
            select(events.c.body)
            .where(*of_boot, events.c.kind == "anchor")
            .order_by(events.c.epoch, events.c.seq)
            .limit(1)
        ).scalar()
        if body is None:
            continue
        anchor = Anchor.model_validate_json(body)
        undated = (*of_boot, events.c.clock == "unsynced", events.c.at_corrected == events.c.at_claimed)
        rows = connection.execute(
            select(events.c.student_id, events.c.kind, events.c.boottime_ns, events.c.at_claimed, events.c.body).where(
                *undated, events.c.kind.in_(("seen", "left", "mark", "coverage"))
            )
        ).all()
        connection.execute(
            update(events)
            .where(*undated)
            .values(
                at_corrected=text(
                    "timestampadd(microsecond, (cast(boottime_ns as signed) - :anchor_ns) div 1000, :anchor_utc)"
                ).bindparams(anchor_ns=anchor.boottime_ns, anchor_utc=anchor.utc.astimezone(UTC).replace(tzinfo=None))
            )
        )
        _mark_dirty(connection, rows, anchor, Watcher(unit_id, now, zone))


@dataclass(frozen=True, slots=True)
class Watcher:
    """The unit whose events get other times, the moment this happens, and the school's zone."""

    unit_id: str
    now: datetime
    zone: ZoneInfo


def _mark_dirty(
    connection: Connection, rows: Sequence[Row[*tuple[Any, ...]]], anchor: Anchor, watcher: Watcher
) -> None:
    # The days of the claimed times were marked when the events came in; these are the days they really belong to.
    days: dict[date, set[str]] = defaultdict(set)
    watched = []
    for row in rows:
        at = anchor.utc - timedelta(microseconds=(anchor.boottime_ns - row.boottime_ns) // 1000)
        for moved in (row.at_claimed, at):
            if row.student_id is not None:
                days[moved.astimezone(watcher.zone).date()].add(row.student_id)
        if row.kind == "coverage":
            since = Coverage.model_validate_json(row.body).since + (at - row.at_claimed)
            watched.append(Watched(watcher.unit_id, since, at, watcher.now))
    for day in sorted(days):
        mark_dirty(connection, days[day], [day])
    mark_covered(connection, watched, watcher.zone)
