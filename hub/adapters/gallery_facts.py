"""Reads what a unit's gallery is made of: who has consented, who is expected in the room, which templates there are."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, or_, select

from hub.adapters import look_alike_store
from hub.adapters.schema import consents, lessons, rooms, student_sections, students, templates, units
from hub.core.galleries import LESSONS_AHEAD, LESSONS_BEFORE, TIMETABLE_AHEAD, Member, WrongRoomScope
from protocol.content import Scope, TimetableLesson
from protocol.errors import SealBroken
from protocol.sealing import stored_template_context, unseal

_CHUNK = 500
_FLOAT_BYTES = 4
_TRIED = 50


def members(
    connection: Connection,
    room_id: str,
    pack_id: str,
    hub_key: bytes,
    at: datetime,
    wider: WrongRoomScope = "none",
) -> tuple[list[Member], list[str]]:
    """Return the students of a unit's gallery: consent in force, and a lesson in the room this term.

    In a room without any lesson, everybody whose consent is in force. `wider` adds others, marked as such. Beside
    them, the ids of those of whom a template is damaged: they are listed without templates, and everybody else is
    recognised.
    """
    scoped: list[tuple[Any, Scope]] = [(row, "room") for row in connection.execute(_expected(connection, room_id, at))]
    room = {row.id for row, _ in scoped}
    others = _others(connection, room_id, at, wider)
    if others is not None:
        scoped += [(row, "wider") for row in connection.execute(others) if row.id not in room]
    vectors, damaged = vectors_of(connection, [row.id for row, _ in scoped], pack_id, hub_key)
    found_members = [
        Member(
            row.id,
            row.serial_number,
            row.name,
            dimensions=len(found[0]) // _FLOAT_BYTES if (found := vectors.get(row.id, ())) else 0,
            vectors=tuple(found),
            scope=scope,
        )
        for row, scope in scoped
        # Somebody of elsewhere without a template could not be noticed here: the list stays short.
        if scope == "room" or vectors.get(row.id)
    ]
    return found_members, damaged


def consented(at: datetime) -> ColumnElement[bool]:
    """Return the condition that a row of `students` has a consent in force."""
    return exists().where(
        consents.c.student_id == students.c.id,
        consents.c.given_at <= at,
        consents.c.withdrawn_at.is_(None),
        or_(consents.c.expires_at.is_(None), consents.c.expires_at > at),
    )


def scope_sizes(connection: Connection, pack_id: str, at: datetime) -> list[tuple[str, int]]:
    """Return how many students with a template each room with a unit has, by its name, and how many there are in all.

    The name of the last is empty.
    """
    has_template = exists().where(templates.c.student_id == students.c.id, templates.c.pack_id == pack_id)
    watched = select(rooms.c.id, rooms.c.name).where(
        exists().where(units.c.room_id == rooms.c.id, units.c.revoked_at.is_(None))
    )
    found = []
    for room in connection.execute(watched.order_by(rooms.c.name)).all():
        expected = _expected(connection, room.id, at).where(has_template).subquery()
        found.append((room.name, connection.execute(select(func.count()).select_from(expected)).scalar_one()))
    everybody = select(students.c.id).where(consented(at), has_template).subquery()
    return [*found, ("", connection.execute(select(func.count()).select_from(everybody)).scalar_one())]


def _expected(connection: Connection, room_id: str, at: datetime) -> Select[tuple[str, str, str]]:
    wanted = select(students.c.id, students.c.serial_number, students.c.name).where(consented(at))
    if _has_lessons(connection, room_id):
        this_term = exists().where(
            lessons.c.room_id == room_id,
            lessons.c.section_id == students.c.section_id,
            lessons.c.starts_at < at + LESSONS_AHEAD,
            lessons.c.ends_at > at - LESSONS_BEFORE,
        )
        wanted = wanted.where(this_term)
    return wanted.order_by(students.c.id)


def _others(
    connection: Connection, room_id: str, at: datetime, wider: WrongRoomScope
) -> Select[tuple[str, str, str]] | None:
    """Return who may have come to the wrong room; None when nobody is to be noticed, or everybody is expected."""
    if wider == "none" or not _has_lessons(connection, room_id):
        return None
    wanted = select(students.c.id, students.c.serial_number, students.c.name).where(consented(at))
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
    connection: Connection, student_ids: Sequence[str], pack_id: str, hub_key: bytes
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


def _opened(hub_key: bytes, student_id: str, pack_id: str, sealed: bytes) -> bytes | None:
    try:
        vector = unseal(hub_key, sealed, *stored_template_context(student_id, pack_id))
    except SealBroken:
        return None
    return vector if vector and len(vector) % _FLOAT_BYTES == 0 else None


def next_expiry(connection: Connection, at: datetime) -> datetime | None:
    """Return when the next consent runs out."""
    found: datetime | None = connection.execute(
        select(func.min(consents.c.expires_at)).where(consents.c.withdrawn_at.is_(None), consents.c.expires_at > at)
    ).scalar()
    return found


def opens_templates(connection: Connection, hub_key: bytes) -> bool | None:
    """Tell whether a key opens any of the newest templates; None when there are none."""
    newest = select(templates.c.student_id, templates.c.pack_id, templates.c.sealed)
    rows = connection.execute(newest.order_by(templates.c.created_at.desc()).limit(_TRIED)).all()
    return any(_opened(hub_key, row.student_id, row.pack_id, bytes(row.sealed)) for row in rows) if rows else None


def look_alikes(connection: Connection) -> frozenset[tuple[str, str]]:
    """Return the pairs of students who are not told apart by machine, whoever found them."""
    return look_alike_store.read(connection)


def timetable(connection: Connection, room_id: str, at: datetime) -> list[TimetableLesson]:
    """Return the lessons of a room that are not over and begin within two weeks."""
    found = connection.execute(
        select(lessons)
        .where(and_(lessons.c.room_id == room_id, lessons.c.ends_at > at, lessons.c.starts_at < at + TIMETABLE_AHEAD))
        .order_by(lessons.c.starts_at, lessons.c.id)
    )
    return [
        TimetableLesson(lesson_id=row.id, starts_at=row.starts_at, ends_at=row.ends_at, label=row.label)
        for row in found
    ]
