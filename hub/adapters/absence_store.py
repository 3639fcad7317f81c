"""In which rooms units write Absent by themselves, and what is known of how reliable that would be."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from hub.adapters.schema import absence_rules, attendance, closings, lessons

_COULD_BE_SEEN = ("seen", "seen_late", "seen_estimated", "not_seen")
_SEEN = ("Present", "Late")


@dataclass(frozen=True, slots=True)
class Counted:
    """Of a room's closed lessons: how often somebody was there whom a unit could have seen, and how often it did."""

    lessons: int
    present: int
    found: int


@dataclass(frozen=True, slots=True)
class Switch:
    """From which day on until which (exclusive; None while it holds) the units of a room write Absent."""

    id: str
    room_id: str
    from_day: date
    until_day: date | None
    recall_low: float
    present: int
    switched_on_at: datetime
    switched_on_by: str


_COLUMNS = tuple(Switch.__dataclass_fields__)


def counted(connection: Connection, since: datetime, *, room_id: str | None = None) -> dict[str, Counted]:
    """Return what the closed lessons since a moment show, by room; a room without any is not there."""
    spoken = attendance.c.rule == "mark"
    there = or_(
        and_(attendance.c.machine_status.in_(_SEEN), ~and_(spoken, attendance.c.status.in_(("Absent", "Excused")))),
        and_(spoken, attendance.c.status.in_(_SEEN)),
    )
    present = and_(attendance.c.machine_rule.in_(_COULD_BE_SEEN), there)
    query = (
        select(
            lessons.c.room_id,
            func.count(func.distinct(lessons.c.id)).label("lessons"),
            func.coalesce(func.sum(_one(present)), 0).label("present"),
            func.coalesce(func.sum(_one(and_(present, attendance.c.machine_status.in_(_SEEN)))), 0).label("found"),
        )
        .join(attendance, attendance.c.lesson_id == lessons.c.id)
        .where(lessons.c.starts_at >= since, lessons.c.cancelled_at.is_(None), _closed())
        .group_by(lessons.c.room_id)
    )
    if room_id is not None:
        query = query.where(lessons.c.room_id == room_id)
    return {row.room_id: Counted(row.lessons, int(row.present), int(row.found)) for row in connection.execute(query)}


def _one(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.if_(condition, 1, 0)


def _closed() -> ColumnElement[bool]:
    return select(closings.c.id).where(closings.c.lesson_id == lessons.c.id, closings.c.reopened_at.is_(None)).exists()


def switches(connection: Connection, *, room_id: str | None = None) -> list[Switch]:
    """Return when this was on, also before, by room and day."""
    query = select(absence_rules).order_by(absence_rules.c.room_id, absence_rules.c.from_day, absence_rules.c.id)
    if room_id is not None:
        query = query.where(absence_rules.c.room_id == room_id)
    return [Switch(**{name: getattr(row, name) for name in _COLUMNS}) for row in connection.execute(query)]


def switch_on(connection: Connection, switch: Switch) -> None:
    """Write down that it is on."""
    connection.execute(insert(absence_rules).values({name: getattr(switch, name) for name in _COLUMNS}))


def switch_off(connection: Connection, switch_id: str, until_day: date) -> None:
    """Write down from which day on it is off again."""
    connection.execute(update(absence_rules).where(absence_rules.c.id == switch_id).values(until_day=until_day))
