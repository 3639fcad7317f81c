"""What of the register must be derived again: written in the transaction that changes its inputs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, literal_column, select

from hub.adapters.membership import expected
from hub.adapters.schema import dirty_students, hub_facts, lessons, student_sections, unit_rooms, units
from hub.adapters.sql_literals import run_text, time_text, uuid_text, word_text

ENDED_UNTIL = "register.ended_until"
"""Until when the students of lessons that ended were marked for it: of `hub_facts`."""
LONGEST_EARLY = timedelta(hours=3)
"""The settings allow no more for coming early."""


Pair = tuple[str, date]
"""A student and a local day."""


def mark_dirty(connection: Connection, student_ids: Iterable[str], days: Iterable[date], cause: str = "") -> None:
    """Ask for the register of these students on these local days to be derived again.

    To be called in the transaction that changes lessons, sections, consents or marks. Marking twice is harmless; an
    identifier of no student derives nothing. Rows are written in one order everywhere, so that two writers wait for
    each other instead of deadlocking. `cause` is a word that the audit log gives as the reason, such as "mark".
    """
    mark_pairs(connection, {(student_id, day) for day in set(days) for student_id in set(student_ids)}, cause)


def mark_pairs(connection: Connection, pairs: Collection[Pair], cause: str = "") -> None:
    """Mark students, each on a local day of theirs, in one statement; of several causes the newest is kept."""
    mark_caused(connection, dict.fromkeys(pairs, cause))


def mark_caused(connection: Connection, causes: Mapping[Pair, str]) -> None:
    """Mark students, each on a local day of theirs and with a cause of its own, in one statement."""
    if not causes:
        return
    # Written out: bound one by one the values of a thousand marks would cost more than the events they are for. With
    # the table: in the form for MySQL 8 a bare column could be that of the new row as well.
    rows = ",".join(
        f"({uuid_text(student_id)},'{day.isoformat()}',1,{word_text(causes[student_id, day])})"
        for student_id, day in sorted(causes)
    )
    run_text(
        connection,
        f"insert into {dirty_students.name} (student_id, day, mark, cause) values {rows}"  # noqa: S608 (literals made by us)
        f" on duplicate key update mark = {dirty_students.name}.mark + 1,"
        f" cause = if(values(cause) = '', {dirty_students.name}.cause, values(cause))",
    )


class LocalDays:
    """Tells on which local day something was; quick for one moment after another of the same day. One thread."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._day: date | None = None
        self._first = self._end = datetime.max.replace(tzinfo=UTC)

    def of(self, at: datetime) -> date:
        """Return the local day of an aware moment."""
        if self._day is not None and self._first <= at < self._end:
            return self._day
        self._day = day = at.astimezone(self._zone).date()
        self._first, self._end = (
            datetime.combine(one, time.min, self._zone).astimezone(UTC) for one in (day, day + timedelta(days=1))
        )
        return day


@dataclass(frozen=True, slots=True)
class Watched:
    """A unit watched from `since` to `until`; the hub learned it at `now`."""

    unit_id: str
    since: datetime
    until: datetime
    now: datetime


def covered(connection: Connection, watched: Iterable[Watched], zone: ZoneInfo) -> set[tuple[str, date]]:
    """Return the students and days of lessons that are over and that these units watched.

    Their `Not observed` may become `Not seen`. A lesson that still runs is left alone: its students are marked when it
    ends. What is replayed from the quarantine was received long ago: the register may have called more of them over.
    """
    together = _together(watched)
    if not together:
        return set()
    ended = connection.execute(select(hub_facts.c.value).where(hub_facts.c.name == ENDED_UNTIL)).scalar()
    conditions = [
        f"(units.id = {uuid_text(one.unit_id)} and lessons.starts_at < {time_text(one.until)}"
        f" and lessons.ends_at > {time_text(one.since)} and lessons.ends_at <= {time_text(over)})"
        for one in together
        for over in (max(one.now, datetime.fromisoformat(ended)) if ended else one.now,)
    ]
    found = connection.execute(
        select(student_sections.c.student_id, lessons.c.starts_at)
        .distinct()
        .select_from(units)
        # Every room it ever was in: of one that was carried elsewhere a few too many are derived.
        .outerjoin(unit_rooms, unit_rooms.c.unit_id == units.c.id)
        .join(lessons, lessons.c.room_id == func.coalesce(unit_rooms.c.room_id, units.c.room_id))
        .join(student_sections, expected())
        .where(literal_column(f"({' or '.join(conditions)})"))
    )
    return _pairs(((row.student_id, row.starts_at) for row in found), zone)


def _together(watched: Iterable[Watched]) -> list[Watched]:
    """Return the same with what a unit watched without a break as one."""
    joined: list[Watched] = []
    for one in sorted(watched, key=lambda one: (one.unit_id, one.now, one.since)):
        last = joined[-1] if joined else None
        if last and (last.unit_id, last.now) == (one.unit_id, one.now) and one.since <= last.until:
            joined[-1] = replace(last, until=max(last.until, one.until))
        else:
            joined.append(one)
    return joined


def mark_lessons(
    connection: Connection, lessons_of: Iterable[tuple[str, datetime]], zone: ZoneInfo, cause: str = ""
) -> None:
    """Mark pairs of a student and the start of one of their lessons."""
    mark_pairs(connection, _pairs(lessons_of, zone), cause)


def _pairs(lessons_of: Iterable[tuple[str, datetime]], zone: ZoneInfo) -> set[tuple[str, date]]:
    return {(student_id, starts_at.astimezone(zone).date()) for student_id, starts_at in lessons_of}


def attended_within(
    connection: Connection, bounds: Mapping[str, tuple[datetime, datetime]], zone: ZoneInfo
) -> set[tuple[str, date]]:
    """Return the students and days of those of their lessons that these moments reach, from the first to the last.

    Somebody who may have been seen at any time in between may have been in each of them.
    """
    if not bounds:
        return set()
    found = connection.execute(
        select(student_sections.c.student_id, lessons.c.starts_at, lessons.c.ends_at)
        .select_from(lessons)
        .join(student_sections, expected())
        .where(
            student_sections.c.student_id.in_(sorted(bounds)),
            lessons.c.starts_at < max(latest for _, latest in bounds.values()) + LONGEST_EARLY,
            lessons.c.ends_at > min(earliest for earliest, _ in bounds.values()),
        )
    )
    reached = set()
    for row in found:
        earliest, latest = bounds[row.student_id]
        if row.starts_at - LONGEST_EARLY < latest and row.ends_at > earliest:
            reached.add((row.student_id, row.starts_at))
    return _pairs(reached, zone)
