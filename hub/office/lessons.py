"""The timetable: adding a lesson, listing lessons, importing them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import attendance_store, audit_log, gallery_revisions, lesson_store, roster_store
from hub.core.csv_reading import Reading, read_rows
from hub.core.errors import Conflict, NotFound
from hub.core.roster_lessons import (
    LESSON_COLUMNS,
    LONGEST_LESSON,
    Lesson,
    LessonChange,
    LessonFields,
    LessonPlan,
    lesson_fields,
    overlap_refusal,
    overlaps,
    plan_lessons,
)
from hub.core.roster_times import day_bounds, day_of
from hub.office.context import Office

_TODAY_TOO = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LessonsImported:
    """What an import changed, or would change when `dry_run`."""

    added: tuple[LessonFields, ...]
    changed: tuple[LessonChange, ...]
    unchanged: int
    dry_run: bool


def add_lesson(office: Office, form: Mapping[str, str]) -> Lesson:
    """Add one lesson; `form` has the columns of the import.

    Raises BadInput for what cannot be used, NotFound for an unknown room or section, Conflict for a lesson that
    overlaps in its room.
    """
    zone = office.settings.zone
    lesson = Lesson(str(uuid4()), lesson_fields(form, zone, office.clock.now()))
    fields = lesson.fields

    def work(connection: Connection) -> None:
        rooms, sections = roster_store.room_ids(connection), roster_store.section_ids(connection)
        if fields.room not in rooms:
            raise NotFound(f"there is no room {fields.room!r}", hint=f'add it: rollcall-hub room add "{fields.room}"')
        if fields.section not in sections:
            hint = f'add it: rollcall-hub section add "{fields.section}"'
            raise NotFound(f"there is no section {fields.section!r}", hint=hint)
        roster_store.lock_rooms(connection, [rooms[fields.room]])
        for known in lesson_store.find_lessons(connection, fields.ends_at, fields.starts_at, room=fields.room):
            if known.lesson_id == lesson.lesson_id:
                return  # the commit whose answer was lost
            if overlaps([known.fields, fields]):
                raise Conflict(f"{overlap_refusal(fields, known.fields, zone)}; nothing was added")
        plan = LessonPlan((fields,), (), 0)
        _carry_out(connection, office, plan, {fields.key: lesson.lesson_id}, {})

    office.database.run(work)
    return lesson


def list_lessons(
    office: Office, first: date, last: date, *, room: str | None = None, section: str | None = None
) -> list[Lesson]:
    """Return the lessons of the school's days from `first` to `last`, by start and room."""
    zone = office.settings.zone
    start, end = day_bounds(first, zone)[0], day_bounds(last, zone)[1]
    return office.database.run(
        lambda connection: lesson_store.find_lessons(connection, end, start, room=room, section=section)
    )


def import_lessons(office: Office, data: bytes, *, update: bool = False, dry_run: bool = False) -> LessonsImported:
    """Make the timetable say what a CSV file says, all of it or nothing; importing it again changes nothing.

    Lessons that are not in the file stay. Raises BadInput when the file cannot be read, RowsRefused with every row
    that cannot be used.
    """
    zone, now = office.settings.zone, office.clock.now()
    reading = read_rows(data, LESSON_COLUMNS, lambda cells: lesson_fields(cells, zone, now))
    ids = {row.value.key: str(uuid4()) for row in reading.rows}
    detail = {"file_sha256": hashlib.sha256(data).hexdigest()}

    def work(connection: Connection) -> LessonPlan:
        rooms, sections = roster_store.room_ids(connection), roster_store.section_ids(connection)
        named = {row.value.room for row in reading.rows}
        if not dry_run:
            roster_store.lock_rooms(connection, [rooms[name] for name in named if name in rooms])
        known = _around(connection, reading)
        plan = plan_lessons(reading, known, rooms.keys(), sections.keys(), update=update, zone=zone)
        if not dry_run:
            _carry_out(connection, office, plan, ids, detail)
        return plan

    plan = office.database.run(work)
    return LessonsImported(plan.add, plan.change, plan.unchanged, dry_run)


def _around(connection: Connection, reading: Reading[LessonFields]) -> list[Lesson]:
    if not reading.rows:
        return []
    starts = [row.value.starts_at for row in reading.rows]
    return lesson_store.find_lessons(
        connection, max(starts) + LONGEST_LESSON, min(starts) - LONGEST_LESSON, room=None, section=None
    )


def _carry_out(
    connection: Connection,
    office: Office,
    plan: LessonPlan,
    ids: Mapping[tuple[str, str, datetime], str],
    detail: Mapping[str, audit_log.Json],
) -> None:
    if not plan.add and not plan.change:
        return
    rooms, sections = roster_store.room_ids(connection), roster_store.section_ids(connection)
    added = {ids[fields.key]: fields for fields in plan.add}
    changed = {change.before.lesson_id: change.after for change in plan.change}
    lesson_store.insert_lessons(connection, added, rooms, sections)
    lesson_store.update_lessons(connection, changed)
    at = office.clock.now()
    for action, lesson_ids in (("lesson.add", added), ("lesson.change", changed)):
        for lesson_id in lesson_ids:
            subject = f"lesson:{lesson_id}"
            audit_log.record(connection, at=at, actor=office.actor, action=action, subject=subject, detail=detail)
    touched = [*plan.add, *changed.values()]
    _register_follows(connection, office, touched, at)
    for room in sorted({rooms[fields.room] for fields in touched}):
        gallery_revisions.touch_galleries(connection, at, room_id=room)


def _register_follows(connection: Connection, office: Office, lessons: Iterable[LessonFields], at: datetime) -> None:
    days: dict[str, set[date]] = {}
    for lesson in lessons:
        # There is nothing to derive yet for lessons of the days to come: a term of them would be a million marks.
        if lesson.starts_at < at + _TODAY_TOO:
            days.setdefault(lesson.section, set()).add(day_of(lesson.starts_at, office.settings.zone))
    members = roster_store.students_of_sections(connection, sorted(days))
    for section, student_ids in members.items():
        attendance_store.mark_dirty(connection, student_ids, days[section])
