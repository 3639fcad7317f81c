"""Which lesson is running, as far as the unit knows."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from protocol.content import TimetableLesson

EARLY = timedelta(minutes=10)
"""Students come in before the bell: a sighting this long before the start belongs to the coming lesson."""


def lesson_at(lessons: Sequence[TimetableLesson], at: datetime) -> TimetableLesson | None:
    """Return the lesson that runs at `at`, else the one that starts within ten minutes, else None.

    Of two that overlap, the one that started last.
    """
    running = [lesson for lesson in lessons if lesson.starts_at <= at < lesson.ends_at]
    if running:
        return max(running, key=lambda lesson: lesson.starts_at)
    coming = [lesson for lesson in lessons if lesson.starts_at - EARLY <= at < lesson.starts_at]
    return min(coming, key=lambda lesson: lesson.starts_at, default=None)
