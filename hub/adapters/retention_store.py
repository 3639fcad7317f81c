"""Deleting what was kept long enough, a slice at a time; each function is part of one short transaction.

Of events nothing goes that the register may still be derived from, that stands above a gap of its stream, or by which
a boot is dated of which nobody knows yet when it was (`hub.core.retention`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, false, func, or_, select, text

from hub.adapters import register_days, stream_marks
from hub.adapters.attendance_store import ENDED_UNTIL
from hub.adapters.retention_runs import fact, note_fact
from hub.adapters.schema import (
    attendance,
    audit,
    closings,
    dirty_students,
    epochs,
    events,
    lesson_states,
    lessons,
    marks,
    quarantine,
    undated_boots,
    undated_told,
)
from hub.core.retention import FROZEN_UNTIL, UndatedStretch, deletable_up_to, frozen_until
from hub.core.roster_lessons import LONGEST_LESSON

_FORGOTTEN = "forgotten"
_EPOCH_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = {"attendance": attendance, "marks": marks}


@dataclass(frozen=True, slots=True)
class Source:
    """Events of one unit and kind, some of which are older than what is kept."""

    unit_id: str
    kind: str


# ---- the register's days -------------------------------------------------------------------------------------------


def frozen(connection: Connection, *, lock: bool = False) -> date | None:
    """Return the first day whose register may still be derived; None: every day may."""
    value = fact(connection, FROZEN_UNTIL, lock=lock)
    return None if value is None else date.fromisoformat(value)


def next_frozen(
    connection: Connection, wanted: date | None, zone: ZoneInfo, now: datetime, *, lock: bool = False
) -> date | None:
    """Return the first day whose register may be derived once everything older than `wanted` is let go of."""
    before = frozen(connection, lock=lock)
    waiting = select(func.min(dirty_students.c.day))
    if before is not None:
        # Of frozen days nothing is derived any more, whatever came late.
        waiting = waiting.where(dirty_students.c.day >= before)
    dirty: date | None = connection.execute(waiting).scalar()
    return frozen_until(wanted, before, [dirty, _not_looked_at(connection, zone, now)])


def _not_looked_at(connection: Connection, zone: ZoneInfo, now: datetime) -> date | None:
    """Return the day of the first lesson that is over and whose students were not marked for it."""
    first = select(func.min(lessons.c.starts_at)).where(lessons.c.ends_at <= now)
    ended = fact(connection, ENDED_UNTIL)
    if ended is not None:
        until = datetime.fromisoformat(ended)
        first = first.where(lessons.c.ends_at > until, lessons.c.starts_at > until - LONGEST_LESSON)
    starts_at: datetime | None = connection.execute(first).scalar()
    return None if starts_at is None else starts_at.astimezone(zone).date()


def freeze(connection: Connection, wanted: date | None, zone: ZoneInfo, now: datetime) -> date | None:
    """Let the register of older days stay as it is from now on; return the first day that may still be derived.

    Waits for a derivation that is under way: it read which days are frozen before this.
    """
    register_days.lock(connection, now)
    reached = next_frozen(connection, wanted, zone, now, lock=True)
    if reached is not None:
        note_fact(connection, FROZEN_UNTIL, reached.isoformat(), now)
        connection.execute(delete(dirty_students).where(dirty_students.c.day < reached))
    return reached


# ---- events --------------------------------------------------------------------------------------------------------


def sources(connection: Connection, before: datetime | None) -> list[Source]:
    """Return of which units and kinds there are events from before a moment."""
    if before is None:
        return []
    oldest = func.min(events.c.at_corrected)
    statement = (
        select(events.c.unit_id, events.c.kind).group_by(events.c.unit_id, events.c.kind).having(oldest < before)
    )
    return [Source(row.unit_id, row.kind) for row in connection.execute(statement)]


def delete_events(connection: Connection, source: Source, before: datetime, at: datetime, most: int) -> int:
    """Delete up to `most` events of a unit from before a moment; return how many."""
    stream_marks.lock_units(connection, [source.unit_id])
    wanted = select(events.c.event_id, events.c.epoch, events.c.seq).where(_deletable(connection, source, before))
    rows = connection.execute(wanted.order_by(events.c.at_corrected).limit(most)).all()
    if rows:
        connection.execute(delete(events).where(events.c.event_id.in_([row.event_id for row in rows])))
        highest: dict[str, int] = {}
        for row in rows:
            highest[row.epoch] = max(row.seq, highest.get(row.epoch, 0))
        _note_forgotten(connection, source.unit_id, highest, at)
    if rows and len(rows) < most:
        _forget_boots(connection, source.unit_id)
    return len(rows)


def count_events(connection: Connection, source: Source, before: datetime) -> int:
    """Return how many events of a unit and kind would be deleted."""
    statement = select(func.count()).select_from(events).where(_deletable(connection, source, before))
    return connection.execute(statement).scalar_one()


def forgotten(connection: Connection, unit_id: str, epoch: str) -> int:
    """Return up to which seq events of a stream were deleted because they were old; 0: none was."""
    value = fact(connection, _forgotten_name(unit_id, epoch))
    return 0 if value is None else int(value)


def _deletable(connection: Connection, source: Source, before: datetime) -> ColumnElement[bool]:
    streams = connection.execute(
        select(epochs.c.epoch, epochs.c.high_water).where(epochs.c.unit_id == source.unit_id)
    ).all()
    undated = _undated(connection, source.unit_id)
    limits = {row.epoch: deletable_up_to(row.high_water, undated.get(row.epoch, ()), before) for row in streams}
    below = [and_(events.c.epoch == epoch, events.c.seq <= seq) for epoch, seq in limits.items() if seq]
    return and_(
        events.c.unit_id == source.unit_id,
        events.c.kind == source.kind,
        events.c.at_corrected < before,
        # A unit with a wrong clock may say that it was long ago what came only now.
        events.c.received_at < before,
        or_(*below) if below else false(),
    )


def _undated(connection: Connection, unit_id: str) -> Mapping[str, Sequence[UndatedStretch]]:
    found: dict[str, list[UndatedStretch]] = {}
    for row in connection.execute(select(undated_boots).where(undated_boots.c.unit_id == unit_id)):
        known = row.latest_us is not None and row.last_us is not None
        until = _EPOCH_BEGIN + timedelta(microseconds=row.latest_us + row.last_us) if known else None
        stretch = UndatedStretch(row.first_seq, row.last_seq, row.before_seq, row.after_seq, until)
        found.setdefault(row.epoch, []).append(stretch)
    return found


def _note_forgotten(connection: Connection, unit_id: str, highest: Mapping[str, int], at: datetime) -> None:
    for epoch, seq in highest.items():
        name = _forgotten_name(unit_id, epoch)
        known = fact(connection, name, lock=True)
        note_fact(connection, name, str(max(seq, int(known or 0))), at)


def _forgotten_name(unit_id: str, epoch: str) -> str:
    return f"{_FORGOTTEN}:{unit_id.replace('-', '')}:{epoch}"


def _forget_boots(connection: Connection, unit_id: str) -> None:
    """Forget the estimates of boots of which no event is left."""
    for table in (undated_boots, undated_told):
        left = exists().where(events.c.unit_id == table.c.unit_id, events.c.boot_id == table.c.boot_id)
        ids = connection.execute(select(table.c.boot_id).distinct().where(table.c.unit_id == unit_id, ~left)).scalars()
        gone = list(ids)
        if gone:
            connection.execute(delete(table).where(table.c.unit_id == unit_id, table.c.boot_id.in_(gone)))


# ---- the register --------------------------------------------------------------------------------------------------


def delete_days(connection: Connection, table: str, before: date, most: int) -> int:
    """Delete up to `most` rows of `attendance` or `marks` of days before one; return how many."""
    statement = text(f"delete from {_DAYS[table].name} where day < :day order by day limit {most:d}")  # noqa: S608 (ours)
    return int(connection.execute(statement, {"day": before}).rowcount)


def count_days(connection: Connection, table: str, before: date) -> int:
    """Return how many rows of `attendance` or `marks` are of days before one."""
    statement = select(func.count()).select_from(_DAYS[table]).where(_DAYS[table].c.day < before)
    return connection.execute(statement).scalar_one()


def delete_closings(connection: Connection, before: datetime, most: int) -> int:
    """Delete up to `most` closings of lessons that began before a moment; return how many."""
    ids = connection.execute(_closings(closings.c.id, before).limit(most)).scalars().all()
    if ids:
        connection.execute(delete(closings).where(closings.c.id.in_(ids)))
    return len(ids)


def count_closings(connection: Connection, before: datetime) -> int:
    """Return how many closings are of lessons that began before a moment."""
    return int(connection.execute(_closings(func.count(), before)).scalar_one())


def delete_lesson_states(connection: Connection, before: datetime, most: int) -> int:
    """Delete up to `most` counts of lessons that began before a moment; return how many."""
    ids = connection.execute(_lesson_states(lesson_states.c.lesson_id, before).limit(most)).scalars().all()
    if ids:
        connection.execute(delete(lesson_states).where(lesson_states.c.lesson_id.in_(ids)))
    return len(ids)


def count_lesson_states(connection: Connection, before: datetime) -> int:
    """Return how many counts are of lessons that began before a moment."""
    return int(connection.execute(_lesson_states(func.count(), before)).scalar_one())


def _lesson_states(what: Any, before: datetime) -> Select[Any]:
    joined = select(what).select_from(lesson_states).join(lessons, lessons.c.id == lesson_states.c.lesson_id)
    return joined.where(lessons.c.starts_at < before)


def _closings(what: Any, before: datetime) -> Select[Any]:
    joined = select(what).select_from(closings).join(lessons, lessons.c.id == closings.c.lesson_id)
    return joined.where(lessons.c.starts_at < before)


# ---- quarantine ----------------------------------------------------------------------------------------------------


def delete_quarantine(connection: Connection, before: datetime, most: int) -> int:
    """Delete up to `most` rows of what somebody decided about before a moment; return how many."""
    ids = connection.execute(_decided(quarantine.c.id, before).limit(most)).scalars().all()
    if ids:
        connection.execute(delete(quarantine).where(quarantine.c.id.in_(ids)))
    return len(ids)


def count_quarantine(connection: Connection, before: datetime) -> int:
    """Return how many rows of quarantine are due."""
    return int(connection.execute(_decided(func.count(), before)).scalar_one())


def _decided(what: Any, before: datetime) -> Select[Any]:
    # Above a gap the row says that nothing is missing at its place.
    stream = and_(epochs.c.unit_id == quarantine.c.unit_id, epochs.c.epoch == quarantine.c.epoch)
    settled = or_(quarantine.c.seq.is_(None), epochs.c.high_water.is_(None), quarantine.c.seq <= epochs.c.high_water)
    return (
        select(what).select_from(quarantine).outerjoin(epochs, stream).where(quarantine.c.resolved_at < before, settled)
    )


# ---- the audit log -------------------------------------------------------------------------------------------------


def count_audit(connection: Connection, before: datetime) -> int:
    """Return how many entries of the audit log are older than a moment; `audit_log.forget_before` deletes them."""
    return connection.execute(select(func.count()).select_from(audit).where(audit.c.at < before)).scalar_one()
