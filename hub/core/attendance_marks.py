"""Which mark of a person stands, and what it makes of a line of the register. Pure; docs/register.md, section 6."""

from collections.abc import Iterable
from datetime import datetime

from hub.core.attendance_facts import DayWindow, Entry, HubMark, Lesson, MarkMade, Status, StudentsDay
from hub.core.attendance_machine import Word, surely_in

LONGEST_NOTES = 500
"""Characters; the column holds no more."""

_STATUS: dict[str, Status] = {"present": "Present", "late": "Late", "excused": "Excused", "absent": "Absent"}

Standing = MarkMade | HubMark


def in_lesson(lesson: Lesson, facts: StudentsDay, opens: datetime) -> Standing | None:
    """Return the mark that stands for an expected student in a lesson; `opens`: from when on moments belong to it."""
    at_units = [
        one
        for one in facts.marks
        if one.lesson_id == lesson.lesson_id
        or (_names_none(one, facts) and one.room_id == lesson.room_id and _falls(one, opens, lesson.ends_at))
    ]
    return _standing(at_units, _at_hub(facts, occasion_of(lesson)))


def in_window(window: DayWindow, facts: StudentsDay) -> Standing | None:
    """Return the mark that stands for a part of a day without lessons."""
    at_units = [
        one for one in facts.marks if _names_none(one, facts) and _falls(one, window.opens_at, window.closes_at)
    ]
    return _standing(at_units, _at_hub(facts, window.occasion))


def of_occasion(facts: StudentsDay, occasion: str) -> Standing | None:
    """Return the mark that stands for an occasion that is the student's only because it was marked at the hub."""
    return _standing((), _at_hub(facts, occasion))


def occasion_of(lesson: Lesson) -> str:
    """Return what the register calls a lesson."""
    return f"lesson:{lesson.lesson_id}"


def marked(blank: Entry, mark: Standing, word: Word | None) -> Entry:
    """Return the line that a standing mark makes of an empty one; the machine's word is kept beside.

    `blank` has the start of the occasion as `timestamp`.
    """
    saw = word if word is not None and word.saw else None
    return Entry(
        occasion=blank.occasion,
        lesson_id=blank.lesson_id,
        day=blank.day,
        timestamp=mark.at or (saw.timestamp if saw else blank.timestamp),
        status=_STATUS[mark.status],
        method=mark.method if isinstance(mark, HubMark) else "Manual",
        rule="mark",
        last_seen_at=word.last_seen_at if word else None,
        unit_id=mark.unit_id if isinstance(mark, MarkMade) else saw.unit_id if saw else None,
        notes=_notes(mark),
        machine_status=word.status if word else None,
        machine_rule=word.rule if word else None,
        rules_version=blank.rules_version,
    )


def _names_none(mark: MarkMade, facts: StudentsDay) -> bool:
    """Tell whether room and time decide: it names no lesson, or none that the student is expected in."""
    return mark.lesson_id not in {one.lesson_id for one in facts.lessons}


def _falls(mark: MarkMade, opens: datetime, ends: datetime) -> bool:
    return surely_in(mark.within or (mark.at, mark.at), opens, ends)


def _at_hub(facts: StudentsDay, occasion: str) -> list[HubMark]:
    return [one for one in facts.hub_marks if one.occasion == occasion]


def _standing(at_units: Iterable[MarkMade], at_hub: Iterable[HubMark]) -> Standing | None:
    """Return the mark that was made last; of one moment the hub's. None where none is, or it takes back all others."""
    unit = max(at_units, key=lambda one: (one.at, one.order, one.unit_id), default=None)
    hub = max(at_hub, key=lambda one: (one.made_at, one.mark_id), default=None)
    if hub is None or (unit is not None and unit.at > hub.made_at):
        return unit
    return hub if hub.status != "machine" else None


def _notes(mark: Standing) -> str:
    reason = mark.reason if isinstance(mark, HubMark) else ""
    return ": ".join(part for part in (reason, mark.note) if part)[:LONGEST_NOTES]
