"""One lesson that a person cancels, restores, changes or deletes, whatever the weekly timetable says."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from hub.adapters import audit_log, lesson_store, timetable_store
from hub.adapters.lesson_store import PlaceIds
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.roster import MAX_SHORT_NAME, clean_text
from hub.core.roster_lessons import LONGEST_LESSON, MAX_NOTE, Lesson, LessonFields
from hub.core.roster_times import checked_span, day_of
from hub.core.timetable import expand, lesson_of
from hub.core.timetable_calendar import from_calendar
from hub.core.timetable_replan import Wanted
from hub.office.context import Office
from hub.office.lesson_effects import follow, refuse_clashes
from hub.office.lessons import need_places

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class LessonChoice:
    """Which lesson is meant: by its identifier, or as the one that is going on `at` a moment in a room or a section."""

    lesson_id: str | None = None
    room: str | None = None
    section: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LessonEdit:
    """What is to change; None: as it is. `teacher` is who takes the lesson, also instead of another."""

    room: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    group: str | None = None
    label: str | None = None
    teacher: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class LessonChanged:
    """A lesson as it was and as it is; the same twice when there was nothing to do."""

    before: Lesson
    after: Lesson


def cancel_lesson(office: Office, choice: LessonChoice, *, note: str | None = None) -> LessonChanged:
    """Let a lesson not take place: nobody is expected in it. Cancelling it again changes nothing.

    Raises NotFound, BadInput for a note that cannot be kept.
    """
    return _change(office, choice, "lesson.cancel", LessonEdit(note=note), cancelled=True)


def restore_lesson(office: Office, choice: LessonChoice, *, teacher_conflicts: bool = False) -> LessonChanged:
    """Let a cancelled lesson take place after all. Raises NotFound, LessonsClash when something else is there now."""
    return _change(office, choice, "lesson.restore", LessonEdit(), cancelled=False, teacher_conflicts=teacher_conflicts)


def change_lesson(
    office: Office, choice: LessonChoice, edit: LessonEdit, *, teacher_conflicts: bool = False
) -> LessonChanged:
    """Change one lesson: its room, its times, who takes it, its label or note.

    Raises NotFound, BadInput for what cannot be, LessonsClash for what is in the way, Conflict for moving a lesson to
    another day about which something was said.
    """
    return _change(office, choice, "lesson.change", edit, teacher_conflicts=teacher_conflicts)


def delete_lesson(office: Office, choice: LessonChoice) -> Lesson:
    """Delete a lesson about which nobody said anything.

    Raises NotFound, Conflict when there are marks, a closing or attendance of it, or the weekly timetable has it.
    """

    seen: list[Lesson] = []

    def work(connection: Connection) -> Lesson:
        ids = timetable_store.place_ids(connection)
        timetable_store.lock_timetable(connection, ids)
        if seen and not lesson_store.lessons_by_id(connection, [seen[0].lesson_id]):
            return seen[0]  # the commit whose answer was lost
        lesson = find_lesson(connection, office, choice)
        seen[:] = [lesson]
        said = lesson.fields.described(office.settings.zone)
        if lesson_store.referred_to(connection, [lesson.lesson_id]):
            raise Conflict(
                f"{said} has marks, a closing or attendance", hint="cancel it instead: rollcall-hub lesson cancel"
            )
        if _planned(connection, office, lesson) is not None:
            raise Conflict(
                f"{said} belongs to the weekly timetable, which would make it again",
                hint="cancel it instead: rollcall-hub lesson cancel",
            )
        at = office.clock.now()
        lesson_store.delete_lessons(connection, [lesson.lesson_id])
        _record(connection, office, "lesson.delete", lesson, [])
        follow(connection, office, [lesson.fields], at, ids)
        return lesson

    return office.database.run(work)


def find_lesson(connection: Connection, office: Office, choice: LessonChoice) -> Lesson:
    """Return the lesson that is meant. Raises NotFound when there is none, Conflict when there are several."""
    if choice.lesson_id is not None:
        found = lesson_store.lessons_by_id(connection, [choice.lesson_id])
        if not found:
            raise NotFound(f"there is no lesson {choice.lesson_id}", hint="rollcall-hub lesson list --json shows them")
        return found[0]
    if choice.at is None or (choice.room is None and choice.section is None):
        raise BadInput("which lesson? name it by its id, or a room or section and a time")
    found = lesson_store.find_lessons(
        connection, choice.at + _MOMENT, choice.at, room=choice.room, section=choice.section
    )
    taking_place = [one for one in found if not one.cancelled]
    # Cancelled and something else instead: whoever names a time means what is there now.
    if len(taking_place or found) > 1:
        zone = office.settings.zone
        named = "; ".join(f"{one.fields.described(zone)}: --id {one.lesson_id}" for one in taking_place or found)
        raise Conflict(f"several lessons are meant: {named}")
    if not found:
        where = " and ".join(word for word in (choice.room, choice.section) if word)
        at = choice.at.astimezone(office.settings.zone)
        raise NotFound(f"there is no lesson in {where} at {at:%Y-%m-%d %H:%M}", hint="rollcall-hub lesson list")
    return (taking_place or found)[0]


def _change(
    office: Office,
    choice: LessonChoice,
    action: str,
    edit: LessonEdit,
    *,
    cancelled: bool | None = None,
    teacher_conflicts: bool = False,
) -> LessonChanged:
    def work(connection: Connection) -> LessonChanged:
        ids = timetable_store.place_ids(connection)
        timetable_store.lock_timetable(connection, ids)
        before = find_lesson(connection, office, choice)
        after = _edited(office, before, edit, cancelled=cancelled)
        if after == before:
            return LessonChanged(before, before)
        need_places(after.fields, ids)
        _need_day(connection, office, before, after)
        planned = _planned(connection, office, after)
        followed = after.series_id is not None or from_calendar(after)
        after = replace(after, by_hand=followed and planned != (after.fields, after.cancelled))
        wanted = Wanted(after.lesson_id, after.fields, after.series_id, after.series_day, after.cancelled)
        if (before.fields, before.cancelled) != (after.fields, after.cancelled):
            refuse_clashes(connection, office, [wanted], leaving=[before.lesson_id], teachers=not teacher_conflicts)
        _write(connection, office, action, before, after, wanted, ids)
        return LessonChanged(before, after)

    return office.database.run(work)


def _write(  # noqa: PLR0913, PLR0917 (what the change is made of)
    connection: Connection,
    office: Office,
    action: str,
    before: Lesson,
    after: Lesson,
    wanted: Wanted,
    ids: PlaceIds,
) -> None:
    at = office.clock.now()
    lesson_store.update_lessons(
        connection, {after.lesson_id: wanted}, ids, at, by_hand={after.lesson_id: after.by_hand}
    )
    lesson_store.set_note(connection, after.lesson_id, after.note)
    _record(connection, office, action, after, _fields_changed(before, after))
    follow(connection, office, [before.fields, after.fields], at, ids)


def _edited(office: Office, before: Lesson, edit: LessonEdit, *, cancelled: bool | None) -> Lesson:
    old = before.fields
    starts_at = edit.starts_at or old.starts_at
    # Who moves only the start moves the lesson.
    ends_at = edit.ends_at or starts_at + (old.ends_at - old.starts_at)
    if (starts_at, ends_at) != (old.starts_at, old.ends_at):
        checked_span(starts_at, ends_at, office.clock.now(), LONGEST_LESSON)
    fields = LessonFields(
        room=old.room if edit.room is None else edit.room,
        section=old.section,
        label=_text(edit.label, "label", old.label),
        starts_at=starts_at,
        ends_at=ends_at,
        group=_text(edit.group, "group", old.group),
        teacher=_text(edit.teacher, "teacher", old.teacher),
    )
    return replace(
        before,
        fields=fields,
        cancelled=before.cancelled if cancelled is None else cancelled,
        note=_text(edit.note, "note", before.note, MAX_NOTE),
    )


def _text(text: str | None, what: str, before: str, limit: int = MAX_SHORT_NAME) -> str:
    return before if text is None else clean_text(text, what, limit)


def _need_day(connection: Connection, office: Office, before: Lesson, after: Lesson) -> None:
    zone = office.settings.zone
    days: tuple[date, date] = day_of(before.fields.starts_at, zone), day_of(after.fields.starts_at, zone)
    if days[0] != days[1] and lesson_store.referred_to(connection, [before.lesson_id]):
        raise Conflict(
            f"{before.fields.described(zone)} has marks, a closing or attendance of that day: "
            f"it cannot move to {days[1]}",
            hint="cancel it, and add one on the other day: rollcall-hub lesson cancel, rollcall-hub lesson add",
        )


def _planned(connection: Connection, office: Office, lesson: Lesson) -> tuple[LessonFields, bool] | None:
    """Return what the weekly timetable says the lesson is, and that it is not cancelled; None: it has none that day."""
    terms = {one.term_id: one for one in timetable_store.all_terms(connection)}
    for series in timetable_store.series_of(connection, terms):
        if series.series_id == lesson.series_id:
            holidays = timetable_store.all_holidays(connection)
            for planned in expand(series.fields, terms[series.term_id], holidays, office.settings.zone):
                if planned.day == lesson.series_day:
                    return lesson_of(series.fields, planned), False
    return None


def _fields_changed(before: Lesson, after: Lesson) -> Collection[str]:
    names = ("room", "starts_at", "ends_at", "group", "label", "teacher")
    changed = [name for name in names if getattr(before.fields, name) != getattr(after.fields, name)]
    return [*changed, *(["note"] if before.note != after.note else [])]


def _record(connection: Connection, office: Office, action: str, lesson: Lesson, fields: Collection[str]) -> None:
    # No label and no teacher: names do not belong in the log.
    detail: dict[str, audit_log.Json] = {
        "fields": list(fields),
        "starts_at": lesson.fields.starts_at.isoformat(),
        "ends_at": lesson.fields.ends_at.isoformat(),
    }
    subject = f"lesson:{lesson.lesson_id}"
    audit_log.record(
        connection, at=office.clock.now(), actor=office.actor, action=action, subject=subject, detail=detail
    )
