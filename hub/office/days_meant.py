"""Days of which nobody means to say anything: after a student left, holidays, years from now."""

from collections.abc import Sequence
from datetime import date, timedelta

from hub.adapters import lesson_finding
from hub.core.errors import BadInput, Conflict
from hub.core.register_marks import Occasion, Said
from hub.core.roster import Student
from hub.core.roster_times import day_of
from hub.office.occasions import Finder

_FARTHEST = timedelta(days=366)

Chosen = tuple[Student, Occasion]


def sensible(finder: Finder, chosen: Sequence[Chosen], status: Said) -> list[Chosen]:
    """Return what is to be marked without the days, not lessons, on which a student is not at the school.

    Raises Conflict for a student of whom nothing is left, and BadInput for excusing somebody from holidays, or more
    than a year ahead.
    """
    if status == "excused":
        for day in sorted({occasion.day for _, occasion in chosen}):
            if day > day_of(finder.now, finder.zone) + _FARTHEST:
                raise BadInput(f"{day} is more than a year from now: is the year right?")
        for day in sorted({occasion.day for _, occasion in chosen if occasion.lesson is None}):
            if labels := lesson_finding.holiday_labels(finder.connection, day):
                raise BadInput(f"{day} is a holiday ({', '.join(labels)}): nobody is expected")
    kept = [(student, one) for student, one in chosen if one.lesson is not None or _at_school(student, one.day)]
    left = {student.student_id for student, _ in kept}
    for student in {student.student_id: student for student, _ in chosen}.values():
        if student.student_id not in left:
            raise Conflict(
                _why_not(student, [one.day for other, one in chosen if other.student_id == student.student_id])
            )
    return kept


def _at_school(student: Student, day: date) -> bool:
    joined, left = student.fields.joined_on, student.fields.left_on
    return (joined is None or joined <= day) and (left is None or day <= left)


def _why_not(student: Student, days: Sequence[date]) -> str:
    serial, joined, left = student.fields.serial_number, student.fields.joined_on, student.fields.left_on
    if left is not None and left < max(days):
        return f"student {serial} left: their last day was {left}"
    return f"student {serial} joins on {joined}: before that there is nothing to say"
