"""Moving a unit to another room, now or since a moment that is past."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from hub.adapters import attendance_store, audit_log, gallery_revisions, unit_rooms
from hub.adapters.schema import units
from hub.core.errors import BadInput, Conflict, NotFound
from hub.office.context import Office
from hub.office.rooms import need_room

_AHEAD = timedelta(minutes=1)
"""An operator's clock may be a little ahead of the hub's."""


@dataclass(frozen=True, slots=True)
class UnitMoved:
    """A unit is in a room since `at`, until it was moved again (None: it still is)."""

    unit_id: str
    label: str
    room: str
    at: datetime
    until: datetime | None
    students_days: int
    """How many registers of a student and day are derived again."""


def move_unit(office: Office, label: str, room: str, at: datetime | None = None) -> UnitMoved:
    """Note that a unit is in another room since `at`; now if not given.

    What it saw from then on, until it was moved again, counts for that room. Raises NotFound for the unit or the room,
    BadInput for a moment to come or before 2000, Conflict when the unit is in that room at that moment already.
    """
    now = office.clock.now()
    since = now if at is None else at
    if since > now + _AHEAD:
        hint = "move the unit, then say so here"
        raise BadInput(f"{since.astimezone(office.settings.zone):%Y-%m-%d %H:%M} is to come", hint=hint)
    if since.year < 2000:
        raise BadInput(f"{since:%Y-%m-%d} is long ago: is the year right?")
    made: list[UnitMoved] = []

    def work(connection: Connection) -> UnitMoved:
        row = connection.execute(select(units.c.id).where(units.c.label == label).with_for_update()).one_or_none()
        if row is None:
            raise NotFound(f"there is no unit {label!r}", hint="rollcall-hub unit list shows them")
        room_id = need_room(connection, room)
        before = unit_rooms.rooms_over_time(connection)[row.id]
        if before.room_at(since) == room_id:
            if made:
                return made[0]  # the commit whose answer was lost
            raise Conflict(f"unit {label!r} is in room {room!r} at that time already")
        after, until = before.moved(since, room_id), before.next_move(since)
        unit_rooms.write(connection, row.id, after, after.room_at(max(now, since)))
        pairs = _pairs(connection, office, row.id, {before.room_at(since), room_id}, since, until or now)
        attendance_store.mark_pairs(connection, pairs, "lesson")
        # Its gallery is that of the room it is in now, which may not have changed; a renewal more does no harm.
        gallery_revisions.touch_galleries(connection, now, room_id=after.room_at(max(now, since)))
        audit_log.record(
            connection,
            at=now,
            actor=office.actor,
            action="unit.move",
            subject=f"unit:{row.id}",
            detail={"room_id": room_id, "before": before.room_at(since), "since": since.isoformat()},
            object_=f"room:{room_id}",
        )
        made[:] = [UnitMoved(row.id, label, room, since, until, len(pairs))]
        return made[0]

    return office.database.run(work)


def _pairs(
    connection: Connection, office: Office, unit_id: str, room_ids: set[str], since: datetime, until: datetime
) -> set[attendance_store.Pair]:
    zone = office.settings.zone
    # What a unit watched from before a move until after it counts for neither room.
    first, last = (
        unit_rooms.watched_across(connection, unit_id, since)[0],
        unit_rooms.watched_across(connection, unit_id, until)[1],
    )
    # Whoever comes early is seen before the lesson begins.
    expected = unit_rooms.attended(connection, sorted(room_ids), first, last + attendance_store.LONGEST_EARLY)
    seen = unit_rooms.told_of(connection, unit_id, since, until)
    return {(student_id, moment.astimezone(zone).date()) for student_id, moment in (*expected, *seen)}
