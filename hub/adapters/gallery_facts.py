"""Reads what a unit's gallery is made of: who has consented, who is expected in the room, which templates there are."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, exists, func, or_, select

from hub.adapters import consent_store, key_ring, look_alike_store
from hub.adapters.key_ring import Keys
from hub.adapters.schema import (
    consents,
    lessons,
    rooms,
    student_groups,
    student_margins,
    student_sections,
    students,
    templates,
    units,
)
from hub.core.galleries import LESSONS_AHEAD, LESSONS_BEFORE, TIMETABLE_AHEAD, Member, WrongRoomScope
from hub.core.roster_consent import RECOGNITION
from hub.core.roster_consent import Scope as ConsentScope
from protocol.content import Scope, TimetableLesson
from protocol.errors import SealBroken
from protocol.sealing import stored_template_context

_CHUNK = 500
_FLOAT_BYTES = 4
_TRIED = 50


def members(  # noqa: PLR0913 (each is something else)
    connection: Connection,
    room_id: str,
    pack_id: str,
    hub_key: Keys,
    at: datetime,
    wider: WrongRoomScope = "none",
    *,
    unit_id: str | None = None,
) -> tuple[list[Member], list[str]]:
    """Return the students of a unit's gallery: consent in force, and a lesson in the room this term.

    In a room without any lesson, everybody whose consent is in force. Nobody who has left the school. `wider` adds
    others, marked as such. Beside them, the ids of those of whom a template is damaged: they are listed without
    templates, and everybody else is recognised. `unit_id`: whose gallery it is; one that looks around in its room
    (`sweep`) gets only those who agreed to that as well.
    """
    agreed = consented(at)
    if unit_id is not None and consent_store.sweeps(connection, unit_id):
        agreed = and_(agreed, consented(at, "sweep"))
    wanted = select(students.c.id, students.c.serial_number, students.c.name).where(agreed, here(at))
    expected = _expected(connection, wanted, room_id, at)
    scoped: list[tuple[Any, Scope]] = [(row, "room") for row in connection.execute(expected)]
    room = {row.id for row, _ in scoped}
    others = _others(connection, wanted, room_id, at, wider)
    if others is not None:
        scoped += [(row, "wider") for row in connection.execute(others) if row.id not in room]
    vectors, damaged = vectors_of(connection, [row.id for row, _ in scoped], pack_id, hub_key)
    rejections = _rejections(connection)
    found_members = [
        Member(
            row.id,
            row.serial_number,
            row.name,
            dimensions=len(found[0]) // _FLOAT_BYTES if (found := vectors.get(row.id, ())) else 0,
            vectors=tuple(found),
            scope=scope,
            rejections=rejections.get(row.id, 0),
        )
        for row, scope in scoped
        # Somebody of elsewhere without a template could not be noticed here: the list stays short.
        if scope == "room" or vectors.get(row.id)
    ]
    return found_members, damaged


def _rejections(connection: Connection) -> dict[str, int]:
    """Return how often people rejected sightings without naming anybody, of the few students of whom they did."""
    found = connection.execute(select(student_margins.c.student_id, student_margins.c.rejections))
    return {row.student_id: row.rejections for row in found}


def consented(at: datetime, scope: ConsentScope = RECOGNITION) -> ColumnElement[bool]:
    """Return the condition that a row of `students` has a consent to something in force."""
    return exists().where(consents.c.student_id == students.c.id, consent_store.in_force(at, scope))


def here(at: datetime) -> ColumnElement[bool]:
    """Return the condition that a row of `students` has not left the school.

    What the last day means in the school's time zone, the rows of their section say. Of whoever has no section nobody
    expects anything: there the day ends in UTC.
    """
    return or_(
        students.c.left_on.is_(None),
        exists().where(student_sections.c.student_id == students.c.id, _goes_on(student_sections, at)),
        and_(students.c.section_id.is_(None), students.c.left_on >= at.astimezone(UTC).date()),
    )


def _goes_on(table: Table, at: datetime) -> ColumnElement[bool]:
    return or_(table.c.until.is_(None), table.c.until > at)


def scope_sizes(connection: Connection, pack_id: str, at: datetime) -> list[tuple[str, int]]:
    """Return how many students with a template each room with a unit has, by its name, and how many there are in all.

    The name of the last is empty.
    """
    has_template = exists().where(templates.c.student_id == students.c.id, templates.c.pack_id == pack_id)
    watched = select(rooms.c.id, rooms.c.name).where(
        exists().where(units.c.room_id == rooms.c.id, units.c.revoked_at.is_(None))
    )
    found = []
    wanted = select(students.c.id, students.c.serial_number, students.c.name).where(consented(at), here(at))
    for room in connection.execute(watched.order_by(rooms.c.name)).all():
        expected = _expected(connection, wanted, room.id, at).where(has_template).subquery()
        found.append((room.name, connection.execute(select(func.count()).select_from(expected)).scalar_one()))
    everybody = select(students.c.id).where(consented(at), here(at), has_template).subquery()
    return [*found, ("", connection.execute(select(func.count()).select_from(everybody)).scalar_one())]


def _expected(
    connection: Connection, wanted: Select[tuple[str, str, str]], room_id: str, at: datetime
) -> Select[tuple[str, str, str]]:
    if _has_lessons(connection, room_id):
        # Whoever is in the section and group now or soon; also of lessons before they came: there may be none after.
        in_group = exists().where(
            student_groups.c.group_id == lessons.c.group_id,
            student_groups.c.student_id == student_sections.c.student_id,
            _goes_on(student_groups, at),
        )
        this_term = exists().where(
            student_sections.c.student_id == students.c.id,
            _goes_on(student_sections, at),
            lessons.c.room_id == room_id,
            lessons.c.section_id == student_sections.c.section_id,
            lessons.c.starts_at < at + LESSONS_AHEAD,
            lessons.c.ends_at > at - LESSONS_BEFORE,
            lessons.c.cancelled_at.is_(None),
            or_(lessons.c.group_id.is_(None), in_group.correlate(lessons, student_sections)),
        )
        wanted = wanted.where(this_term)
    return wanted.order_by(students.c.id)


def _others(
    connection: Connection, wanted: Select[tuple[str, str, str]], room_id: str, at: datetime, wider: WrongRoomScope
) -> Select[tuple[str, str, str]] | None:
    """Return who may have come to the wrong room; None when nobody is to be noticed, or everybody is expected."""
    if wider == "none" or not _has_lessons(connection, room_id):
        return None
    if wider == "section":
        # Sections with a lesson here in any term, and who belonged to one when this term began or later: people go
        # by habit to where they had lessons before they changed.
        used_to_come = exists().where(
            student_sections.c.student_id == students.c.id,
            or_(student_sections.c.until.is_(None), student_sections.c.until > at - LESSONS_BEFORE),
            lessons.c.section_id == student_sections.c.section_id,
            lessons.c.room_id == room_id,
        )
        wanted = wanted.where(used_to_come)
    return wanted.order_by(students.c.id)


def _has_lessons(connection: Connection, room_id: str) -> bool:
    return connection.execute(select(lessons.c.id).where(lessons.c.room_id == room_id).limit(1)).first() is not None


def vectors_of(
    connection: Connection, student_ids: Sequence[str], pack_id: str, hub_key: Keys
) -> tuple[dict[str, list[bytes]], list[str]]:
    """Return the vectors (little-endian float32) of students, newest first, and the ids of those with a damaged one."""
    found: dict[str, list[bytes]] = defaultdict(list)
    damaged: set[str] = set()
    for start in range(0, len(student_ids), _CHUNK):
        statement = (
            select(templates.c.student_id, templates.c.sealed)
            .where(templates.c.pack_id == pack_id, templates.c.student_id.in_(student_ids[start : start + _CHUNK]))
            # Newest first: when not all fit, the newest are kept.
            .order_by(templates.c.student_id, templates.c.created_at.desc(), templates.c.id)
        )
        for row in connection.execute(statement):
            vector = _opened(hub_key, row.student_id, pack_id, bytes(row.sealed))
            if vector is None:
                damaged.add(row.student_id)
            elif not found[row.student_id] or len(vector) == len(found[row.student_id][0]):
                found[row.student_id].append(vector)
    for student_id in damaged:
        # Altered by somebody or something: none of this student's templates is trusted.
        found.pop(student_id, None)
    return found, sorted(damaged)


def _opened(hub_key: Keys, student_id: str, pack_id: str, sealed: bytes) -> bytes | None:
    try:
        vector = key_ring.opened(hub_key, sealed, *stored_template_context(student_id, pack_id))
    except SealBroken:
        return None
    return vector if vector and len(vector) % _FLOAT_BYTES == 0 else None


def next_expiry(connection: Connection, at: datetime) -> datetime | None:
    """Return when somebody's consent, or time in a section, in a group or at the school runs out next."""
    soonest = select(
        select(func.min(consents.c.expires_at))
        .where(consents.c.withdrawn_at.is_(None), consents.c.expires_at > at)
        .scalar_subquery(),
        select(func.min(student_sections.c.until)).where(student_sections.c.until > at).scalar_subquery(),
        select(func.min(student_groups.c.until)).where(student_groups.c.until > at).scalar_subquery(),
        select(func.min(students.c.left_on))
        .where(students.c.section_id.is_(None), students.c.left_on >= at.astimezone(UTC).date())
        .scalar_subquery(),
    )
    *moments, last_day = connection.execute(soonest).one()
    if last_day is not None:
        moments.append(datetime.combine(last_day + timedelta(days=1), time(), UTC))
    return min((moment for moment in moments if moment is not None), default=None)


def opens_templates(connection: Connection, hub_key: Keys) -> bool | None:
    """Tell whether a key opens any of the newest templates; None when there are none."""
    newest = select(templates.c.student_id, templates.c.pack_id, templates.c.sealed)
    rows = connection.execute(newest.order_by(templates.c.created_at.desc()).limit(_TRIED)).all()
    return any(_opened(hub_key, row.student_id, row.pack_id, bytes(row.sealed)) for row in rows) if rows else None


def look_alikes(connection: Connection) -> frozenset[tuple[str, str]]:
    """Return the pairs of students who are not told apart by machine, whoever found them."""
    return look_alike_store.read(connection)


def timetable(connection: Connection, room_id: str, at: datetime) -> list[TimetableLesson]:
    """Return the lessons of a room that are not over, were not cancelled and begin within two weeks."""
    found = connection.execute(
        select(lessons)
        .where(
            lessons.c.room_id == room_id,
            lessons.c.ends_at > at,
            lessons.c.starts_at < at + TIMETABLE_AHEAD,
            lessons.c.cancelled_at.is_(None),
        )
        .order_by(lessons.c.starts_at, lessons.c.id)
    )
    return [
        TimetableLesson(lesson_id=row.id, starts_at=row.starts_at, ends_at=row.ends_at, label=row.label)
        for row in found
    ]
