"""Single lessons: adding one, listing them, importing and exporting them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import audit_log, lesson_store, timetable_store
from hub.adapters.lesson_store import PlaceIds
from hub.core.csv_reading import Reading, read_rows
from hub.core.csv_writing import csv_bytes
from hub.core.errors import BadInput, NotFound
from hub.core.roster_lesson_plan import Wishes, plan_lessons
from hub.core.roster_lessons import (
    LESSON_COLUMNS,
    LONGEST_LESSON,
    Key,
    Lesson,
    LessonChange,
    LessonFields,
    LessonPlan,
    Places,
    lesson_fields,
)
from hub.core.roster_times import day_bounds, local_iso
from hub.core.timetable_replan import Wanted
from hub.office.context import Office
from hub.office.lesson_effects import follow, refuse_clashes
from hub.office.rooms import need_room
from hub.office.sections import need_section


@dataclass(frozen=True, slots=True)
class LessonsImported:
    """What an import changed, or would change when `dry_run`."""

    added: tuple[LessonFields, ...]
    changed: tuple[LessonChange, ...]
    unchanged: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class LessonsFile:
    """Lessons as a CSV file, and how many."""

    content: bytes
    lessons: int


def add_lesson(office: Office, form: Mapping[str, str], *, teacher_conflicts: bool = False) -> Lesson:
    """Add one lesson; `form` has the columns of the import.

    Raises BadInput for what cannot be used, NotFound for an unknown room, section or group, Conflict for a lesson that
    needs a room, a section, a student or (unless `teacher_conflicts`) a teacher that is elsewhere.
    """
    zone = office.settings.zone
    lesson = Lesson(str(uuid4()), lesson_fields(form, zone, office.clock.now()))
    fields = lesson.fields

    def work(connection: Connection) -> None:
        ids = timetable_store.place_ids(connection)
        need_places(fields, ids)
        timetable_store.lock_timetable(connection, ids)
        if lesson_store.lessons_by_id(connection, [lesson.lesson_id]):
            return  # the commit whose answer was lost
        coming = [Wanted(lesson.lesson_id, fields)]
        refuse_clashes(connection, office, coming, teachers=not teacher_conflicts)
        _carry_out(connection, office, LessonPlan((fields,), (), 0), {fields.key: lesson.lesson_id}, {})

    office.database.run(work)
    return lesson


def list_lessons(
    office: Office, first: date, last: date, *, room: str | None = None, section: str | None = None
) -> list[Lesson]:
    """Return the lessons of the school's days from `first` to `last`, by start and room; also those cancelled.

    Raises NotFound for an unknown room or section, BadInput.
    """
    if last < first:
        raise BadInput(f"the last day ({last}) is before the first ({first})")
    zone = office.settings.zone
    start, end = day_bounds(first, zone)[0], day_bounds(last, zone)[1]

    def work(connection: Connection) -> list[Lesson]:
        if room is not None:
            need_room(connection, room)
        if section is not None:
            need_section(connection, section)
        return lesson_store.find_lessons(connection, end, start, room=room, section=section)

    return office.database.run(work)


def export_lessons(
    office: Office, first: date, last: date, *, room: str | None = None, section: str | None = None, bom: bool = False
) -> LessonsFile:
    """Return the lessons that take place as a CSV file that imports back without a change."""
    zone = office.settings.zone
    rows = [
        (
            one.fields.room,
            one.fields.section,
            one.fields.label,
            local_iso(one.fields.starts_at, zone),
            local_iso(one.fields.ends_at, zone),
            one.fields.group,
            one.fields.teacher,
        )
        for one in list_lessons(office, first, last, room=room, section=section)
        if not one.cancelled
    ]
    return LessonsFile(csv_bytes(LESSON_COLUMNS.required + LESSON_COLUMNS.optional, rows, bom=bom), len(rows))


def import_lessons(
    office: Office, data: bytes, *, update: bool = False, dry_run: bool = False, teacher_conflicts: bool = False
) -> LessonsImported:
    """Make the single lessons say what a CSV file says, all of it or nothing; importing it again changes nothing.

    Lessons that are not in the file stay. Raises BadInput when the file cannot be read, RowsRefused with every row
    that cannot be used.
    """
    zone, now = office.settings.zone, office.clock.now()
    reading = read_rows(data, LESSON_COLUMNS, lambda cells: lesson_fields(cells, zone, now))
    ids = {row.value.key: str(uuid4()) for row in reading.rows}
    detail = {"file_sha256": hashlib.sha256(data).hexdigest()}

    def work(connection: Connection) -> LessonPlan:
        known_ids = timetable_store.place_ids(connection)
        if not dry_run:
            timetable_store.lock_timetable(connection, known_ids)
        plan = plan_lessons(
            reading,
            _around(connection, reading),
            Places(known_ids.rooms.keys(), known_ids.sections.keys(), known_ids.groups.keys()),
            Wishes(update=update, teachers=not teacher_conflicts),
            zone,
            timetable_store.shared_students(connection),
        )
        if not dry_run:
            _carry_out(connection, office, plan, ids, detail)
        return plan

    plan = office.database.run(work)
    return LessonsImported(plan.add, plan.change, plan.unchanged, dry_run)


def need_places(fields: LessonFields, ids: PlaceIds) -> None:
    """Raise NotFound for a lesson in an unknown room, of an unknown section or group."""
    if fields.room not in ids.rooms:
        hint = f'rollcall-hub room list shows them; add it: rollcall-hub room add "{fields.room}"'
        raise NotFound(f"there is no room {fields.room!r}", hint=hint)
    if fields.section not in ids.sections:
        hint = f'rollcall-hub section list shows them; add it: rollcall-hub section add "{fields.section}"'
        raise NotFound(f"there is no section {fields.section!r}", hint=hint)
    if fields.group and (fields.section, fields.group) not in ids.groups:
        hint = f'add it: rollcall-hub section group-add "{fields.section}" "{fields.group}"'
        raise NotFound(f"section {fields.section} has no group {fields.group!r}", hint=hint)


def _around(connection: Connection, reading: Reading[LessonFields]) -> list[Lesson]:
    if not reading.rows:
        return []
    starts = [row.value.starts_at for row in reading.rows]
    return lesson_store.find_lessons(connection, max(starts) + LONGEST_LESSON, min(starts) - LONGEST_LESSON)


def _carry_out(
    connection: Connection,
    office: Office,
    plan: LessonPlan,
    new_ids: Mapping[Key, str],
    detail: Mapping[str, audit_log.Json],
) -> None:
    if not plan.add and not plan.change:
        return
    ids = timetable_store.place_ids(connection)
    added = [Wanted(new_ids[fields.key], fields) for fields in plan.add]
    changed = {
        one.before.lesson_id: Wanted(one.before.lesson_id, one.after, one.before.series_id, one.before.series_day)
        for one in plan.change
    }
    at = office.clock.now()
    lesson_store.insert_lessons(connection, added, ids)
    # One of a series is from now on what a person said.
    by_hand = {key: one.series_id is not None for key, one in changed.items()}
    lesson_store.update_lessons(connection, changed, ids, at, by_hand=by_hand)
    for action, lesson_ids in (("lesson.add", [one.lesson_id for one in added]), ("lesson.change", list(changed))):
        for lesson_id in lesson_ids:
            subject = f"lesson:{lesson_id}"
            audit_log.record(connection, at=at, actor=office.actor, action=action, subject=subject, detail=detail)
    touched = [*plan.add, *(one.before.fields for one in plan.change), *(one.after for one in plan.change)]
    follow(connection, office, touched, at, ids)
