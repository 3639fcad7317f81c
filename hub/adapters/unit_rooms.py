"""In which room each unit was, and when."""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from hub.adapters.membership import expected
from hub.adapters.schema import events, lessons, student_sections, unit_rooms, units
from hub.core.belonging import SINCE_EVER, UnitPlaces
from hub.core.dating import watched_since
from protocol.events import Coverage


def rooms_over_time(connection: Connection) -> dict[str, UnitPlaces]:
    """Return where every unit was, by the unit's id; one of which nobody noted it was always where it is."""
    statement = (
        select(units.c.id, units.c.room_id, unit_rooms.c.since, unit_rooms.c.room_id.label("was_in"))
        .outerjoin(unit_rooms, unit_rooms.c.unit_id == units.c.id)
        .order_by(units.c.id, unit_rooms.c.since)
    )
    found: dict[str, list[tuple[datetime, str]]] = {}
    for row in connection.execute(statement):
        place = (SINCE_EVER, row.room_id) if row.since is None else (row.since, row.was_in)
        found.setdefault(row.id, []).append(place)
    return {unit_id: UnitPlaces(tuple(places)) for unit_id, places in found.items()}


def begin(connection: Connection, unit_id: str, room_id: str) -> None:
    """Note the room of a new unit: until it is moved, all it sees is of this room."""
    connection.execute(insert(unit_rooms).values(unit_id=unit_id, since=SINCE_EVER, room_id=room_id))


def write(connection: Connection, unit_id: str, places: UnitPlaces, now_in: str) -> None:
    """Replace what is noted of a unit; `now_in`: the room it is in now."""
    connection.execute(delete(unit_rooms).where(unit_rooms.c.unit_id == unit_id))
    connection.execute(
        insert(unit_rooms),
        [{"unit_id": unit_id, "since": since, "room_id": room_id} for since, room_id in places.places],
    )
    connection.execute(update(units).where(units.c.id == unit_id).values(room_id=now_in))


def attended(
    connection: Connection, room_ids: Sequence[str], since: datetime, starts_before: datetime
) -> list[tuple[str, datetime]]:
    """Return who is expected in the lessons of these rooms that end after `since`, each with the lesson's start."""
    statement = (
        select(student_sections.c.student_id, lessons.c.starts_at)
        .distinct()
        .select_from(lessons)
        .join(student_sections, expected())
        .where(lessons.c.room_id.in_(list(room_ids)), lessons.c.ends_at > since, lessons.c.starts_at < starts_before)
    )
    return [(row.student_id, row.starts_at) for row in connection.execute(statement)]


def told_of(connection: Connection, unit_id: str, since: datetime, until: datetime) -> list[tuple[str, datetime]]:
    """Return of whom a unit told from `since` to before `until`, and when; also who it may have been."""
    statement = select(events.c.kind, events.c.student_id, events.c.at_corrected, events.c.body).where(
        events.c.unit_id == unit_id,
        events.c.kind.in_(("seen", "left", "mark", "review")),
        events.c.at_corrected >= since,
        events.c.at_corrected < until,
    )
    found = []
    for row in connection.execute(statement):
        if row.student_id is not None:
            found.append((row.student_id, row.at_corrected))
        elif row.kind == "review":
            found += [(one["student_id"], row.at_corrected) for one in json.loads(row.body)["candidates"]]
    return found


def watched_across(connection: Connection, unit_id: str, moment: datetime) -> tuple[datetime, datetime]:
    """Return the bounds of the coverage in the midst of which a moment lies; the moment twice if there is none."""
    statement = (
        select(events.c.body, events.c.at_corrected)
        .where(events.c.unit_id == unit_id, events.c.kind == "coverage", events.c.at_corrected >= moment)
        .order_by(events.c.at_corrected)
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return moment, moment
    body = Coverage.model_validate_json(row.body)
    since = watched_since(body.since, body.at, body.watched_s, row.at_corrected)
    return (since, row.at_corrected) if since < moment else (moment, moment)
