"""The rules of the register: one student, one day, from what was seen to what is written. Pure and repeatable.

docs/register.md says them one by one; in short:

- Present: an interval of presence overlaps the time from `early` before the start to `late_after` after it.
- Late: first seen after that, within the lesson.
- A person's mark wins over what a unit saw; what the machine says is kept beside it.
- Not seen, once the lesson is over: a unit watched enough of it and could have recognised the student. Not observed:
  it could not, or nobody has decided yet who somebody was, or so few were seen that a person has to look.
- Absent is what a person says, by a mark or by closing the lesson; or a room's rule that the school switched on.
- A time that is only estimated (`hub.core.dating`) counts for the student and never against: within its bounds surely
  in the lesson is Present, with a note; otherwise it decides nothing, but where it may have been in the lesson, it is
  Not observed that would be Not seen.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from hub.core import attendance_machine as machine
from hub.core import attendance_marks as persons
from hub.core.attendance_facts import (
    DayWindow,
    Doubt,
    Entry,
    HubMark,
    Interval,
    Lesson,
    LessonCount,
    MarkMade,
    Method,
    Rules,
    SchoolDays,
    Session,
    Status,
    StudentsDay,
    Watch,
)
from hub.core.attendance_machine import Word


def entries(facts: StudentsDay, rules: Rules, now: datetime) -> list[Entry]:
    """Return the register of one student and day, in the order of the occasions; `rules` are those of the day.

    The same facts and a later `now` only add: the entries of lessons that have ended in between, and who left early.
    """
    # A lesson belongs to the day it starts on, whichever day is looked at.
    lessons = [lesson for lesson in facts.lessons if lesson.day == facts.day]
    guests = [lesson for lesson in facts.guest_lessons if lesson.day == facts.day]
    found = [(_by_start(one), _of_lesson(one, facts, rules, now)) for one in lessons]
    found += [(_by_start(one), _of_guest(one, facts, rules)) for one in guests]
    register = [entry for _, entry in sorted(found, key=lambda one: one[0]) if entry]
    if not lessons:
        register += [entry for one in facts.windows if (entry := _of_window(one, facts, rules))]
    known = {window.occasion for window in facts.windows} if not lessons else set()
    return register + _of_other_days(facts, rules, known)


def lesson_count(rows: Iterable[tuple[str | None, str | None, str | None]]) -> LessonCount:
    """Return how many of a lesson that is over were seen, and how many could have been seen and were not.

    `rows`: of everybody in its register machine_status, machine_rule and, where a mark stands, the status it gave. A
    row of which the machine says nothing is a guest's and does not count.
    """
    seen = unseen = 0
    for status, rule, mark in rows:
        if status is None:
            continue
        if status in ("Present", "Late") or mark in ("Present", "Late"):
            seen += 1
        elif rule == "not_seen" and mark is None:
            unseen += 1
    return LessonCount(seen, unseen)


def _by_start(lesson: Lesson) -> tuple[datetime, str]:
    return lesson.starts_at, lesson.lesson_id


def _of_lesson(lesson: Lesson, facts: StudentsDay, rules: Rules, now: datetime) -> Entry | None:
    word = machine.of_lesson(lesson, facts, rules, now)
    blank = _blank_of_lesson(lesson, rules)
    mark = persons.in_lesson(lesson, facts, machine.opens_at(lesson, facts.lessons, rules))
    if mark is not None:
        return persons.marked(blank, mark, word)
    return _settled(_said(blank, word), lesson) if word else None


def _of_guest(lesson: Lesson, facts: StudentsDay, rules: Rules) -> Entry | None:
    mark = persons.of_occasion(facts, persons.occasion_of(lesson))
    return persons.marked(_blank_of_lesson(lesson, rules), mark, None) if mark else None


def _of_window(window: DayWindow, facts: StudentsDay, rules: Rules) -> Entry | None:
    word = machine.of_window(window, facts)
    blank = _blank(window.occasion, window, rules)
    mark = persons.in_window(window, facts)
    if mark is not None:
        return persons.marked(blank, mark, word)
    return _said(blank, word) if word else None


def _of_other_days(facts: StudentsDay, rules: Rules, known: set[str]) -> list[Entry]:
    """Return the lines that only marks at the hub make: for the day where it has lessons, or a part it has no more."""
    whole = f"day:{facts.day.isoformat()}"
    occasions = {one.occasion for one in facts.hub_marks if one.occasion.split(":", 2)[:2] == whole.split(":")}
    midnight, _ = SchoolDays(facts.zone).bounds(facts.day)
    windows = {window.occasion: window for window in facts.windows}
    found = []
    for occasion in sorted(occasions - known):
        window = windows.get(occasion, DayWindow(facts.day, midnight, midnight))
        mark = persons.of_occasion(facts, occasion)
        if mark is not None:
            found.append(persons.marked(_blank(occasion, window, rules), mark, None))
    return found


def _blank_of_lesson(lesson: Lesson, rules: Rules) -> Entry:
    return Entry(
        occasion=persons.occasion_of(lesson),
        lesson_id=lesson.lesson_id,
        day=lesson.day,
        timestamp=lesson.starts_at,
        status="Not observed",
        method="Face Recognition",
        rule="not_watched",
        rules_version=rules.version,
    )


def _blank(occasion: str, window: DayWindow, rules: Rules) -> Entry:
    return Entry(
        occasion=occasion,
        lesson_id=None,
        day=window.day,
        timestamp=window.opens_at,
        status="Not observed",
        method="Face Recognition",
        rule="day",
        rules_version=rules.version,
    )


def _said(blank: Entry, word: Word) -> Entry:
    return replace(
        blank,
        timestamp=word.timestamp,
        status=word.status,
        rule=word.rule,
        last_seen_at=word.last_seen_at,
        left_early_at=word.left_early_at,
        unit_id=word.unit_id,
        notes=word.notes,
        machine_status=word.status,
        machine_rule=word.rule,
    )


def _settled(entry: Entry, lesson: Lesson) -> Entry:
    """Return what becomes of Not seen in a lesson that is closed or held, or where a unit may say Absent by itself.

    Whoever could not be seen stays Not observed: that is for the teacher to mark.
    """
    if entry.rule != "not_seen":
        return entry
    if lesson.closed_at is not None:
        return replace(entry, status="Absent", rule="closed", method="Manual")
    if lesson.held:
        return replace(entry, status="Not observed", rule="held")
    if lesson.absent_by_rule:
        return replace(entry, status="Absent", rule="door_rule")
    return entry


__all__ = [
    "DayWindow",
    "Doubt",
    "Entry",
    "HubMark",
    "Interval",
    "Lesson",
    "LessonCount",
    "MarkMade",
    "Method",
    "Rules",
    "SchoolDays",
    "Session",
    "Status",
    "StudentsDay",
    "Watch",
    "entries",
    "lesson_count",
]
