"""What importing a list of single lessons would change."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo

from hub.core.csv_reading import Reading, Row, RowProblem, RowsRefused
from hub.core.roster_lessons import Key, Lesson, LessonChange, LessonFields, LessonPlan, Places
from hub.core.timetable_clashes import Clash, Shared, clashes


@dataclass(frozen=True, slots=True)
class Wishes:
    """How an import is to be done: `update` changes lessons on record, `teachers` refuses one teacher in two places."""

    update: bool = False
    teachers: bool = True


def plan_lessons(
    reading: Reading[LessonFields],
    known: Iterable[Lesson],
    places: Places,
    wishes: Wishes,
    zone: tzinfo,
    shared: Shared | None = None,
) -> LessonPlan:
    """Return what the rows would change. `known`: every lesson around them.

    Raises RowsRefused with every row that could not be read, repeats another, names an unknown place, contradicts a
    lesson on record (unless `update`) or one that was cancelled, or clashes with another lesson. A column that the
    file does not have leaves what is on record.
    """
    by_key = {lesson.fields.key: lesson for lesson in known}
    line_of: dict[Key, int] = {}
    add: list[LessonFields] = []
    change: list[LessonChange] = []
    rows, problems = reading.rows, list(reading.problems)
    in_file: dict[Key, LessonFields] = {}
    for row in rows:
        before = by_key.get(row.value.key)
        lesson = row.value if before is None else _filled(row.value, before, reading.absent)
        unknown = places.unknown(lesson.room, lesson.section, lesson.group)
        problems += [RowProblem(row.line, reason) for reason in unknown]
        if line_of.setdefault(lesson.key, row.line) != row.line:
            problems.append(RowProblem(row.line, f"this lesson is already on line {line_of[lesson.key]}"))
            continue
        in_file[lesson.key] = lesson
        if before is None:
            add.append(lesson)
        elif before.cancelled or before.fields != lesson:
            problems += _contradiction(row, before, wishes, zone)
            change.append(LessonChange(before, lesson))
    standing = {key: lesson.fields for key, lesson in by_key.items() if not lesson.cancelled}
    problems += _clash_problems(clashes((standing | in_file).values(), shared, teachers=wishes.teachers), line_of, zone)
    if problems:
        raise RowsRefused(problems)
    return LessonPlan(tuple(add), tuple(change), len(rows) - len(add) - len(change))


def _filled(lesson: LessonFields, before: Lesson, absent: Collection[str]) -> LessonFields:
    """Return the lesson with what is on record in the columns that the file does not have."""
    return replace(lesson, **{name: getattr(before.fields, name) for name in absent})


def _contradiction(row: Row[LessonFields], before: Lesson, wishes: Wishes, zone: tzinfo) -> Iterable[RowProblem]:
    was = before.fields.described(zone)
    if before.cancelled:
        how = f"`rollcall-hub lesson restore --id {before.lesson_id}` lets it take place"
        yield RowProblem(row.line, f"{was} was cancelled: {how}")
    elif not wishes.update:
        yield RowProblem(row.line, f"on record as {was}{_teacher(before)}: pass --update to change it")


def _teacher(lesson: Lesson) -> str:
    return f", {lesson.fields.teacher}" if lesson.fields.teacher else ""


def _clash_problems(found: Iterable[Clash], line_of: Mapping[Key, int], zone: tzinfo) -> Iterable[RowProblem]:
    for clash in found:
        # Told at the row a person would change: the later line of the file. Both on record: not this file's fault.
        own, other = sorted((clash.later, clash.earlier), key=lambda lesson: -line_of.get(lesson.key, 0))
        if own.key in line_of:
            where = f"line {line_of[other.key]}" if other.key in line_of else "on record"
            yield RowProblem(line_of[own.key], f"{clash.sentence(own, zone)} ({where})")
