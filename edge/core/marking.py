"""A person at the unit says who is here, who came late, who is excused: whom and which lesson they mean. Pure."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, get_args

from pydantic import ValidationError

from edge.core.errors import CommandRefused, SettingsWrong
from edge.core.schedule import lesson_at
from protocol.content import ManifestEntry, TimetableLesson
from protocol.events import Event, Mark, MarkStatus, Seen, Stamp

STATUSES: tuple[str, ...] = get_args(MarkStatus)
NOW = "now"
NAMED_WITHIN = timedelta(hours=12)
"""The hub looks no further from a lesson for marks that units made for it."""
_NAMED_AT_MOST = 10
_HINT = "`rollcall-edge mark --list` shows today's lessons; for any other, mark at the hub"
_UNNUMBERED = 1
"""Until the journal gives it its place, as in `edge.core.presence`: that one needs NumPy."""


def serial_and_name(entry: ManifestEntry) -> tuple[str, str]:
    """Return what a display name is made of; a serial number has no underscore in it."""
    serial, _, name = entry.display_name.partition("_")
    return serial, name


def student_meant(wanted: str, entries: Iterable[ManifestEntry]) -> ManifestEntry:
    """Return the student with this serial number, else the one with this name, or with this in the name.

    Raises SettingsWrong when that is nobody or not one alone; the message names those who match.
    """
    known = list(entries)
    part = _folded(wanted)
    tried = (
        [one for one in known if serial_and_name(one)[0] == wanted.strip()],
        [one for one in known if part and _folded(serial_and_name(one)[1]) == part],
        [one for one in known if part and part in _folded(serial_and_name(one)[1])],
    )
    found = next((some for some in tried if some), [])
    if not found:
        raise SettingsWrong(
            f"no student of this unit has the serial number {wanted!r}, or it in the name",
            hint="rollcall-edge mark --list",
        )
    if len(found) > 1:
        names = sorted(one.display_name for one in found)
        more = f", and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
        raise SettingsWrong(
            f"{len(names)} students match {wanted!r}: {', '.join(names[:_NAMED_AT_MOST])}{more}",
            hint="give the serial number, which stands before the name",
        )
    return found[0]


def _folded(text: str) -> str:
    """Return the text as it is compared: however it was typed, by whichever keyboard."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def lesson_meant(wanted: str | None, lessons: Sequence[TimetableLesson], stamp: Stamp) -> str | None:
    """Return the id of the lesson a mark is for: one of the unit's timetable, `now` the one that runs.

    None for what nobody said: the one that runs, if the unit knows what time it is; the hub finds it otherwise.
    Raises CommandRefused for a lesson that is not there.
    """
    if wanted is None or wanted == NOW:
        knows_time = stamp.clock != "unsynced"
        running = lesson_at(lessons, stamp.at) if knows_time else None
        if running is None and wanted == NOW:
            problem = "no lesson runs in this room now" if knows_time else "this unit does not know what time it is"
            raise CommandRefused(problem, hint="leave --lesson out, or name one that `rollcall-edge mark --list` shows")
        return running.lesson_id if running else None
    named = next((lesson for lesson in lessons if lesson.lesson_id == wanted), None)
    # An id that the hub does not know either would count for whatever lesson runs now.
    if named is None:
        raise CommandRefused("this unit's timetable has no such lesson", hint=_HINT)
    if stamp.clock != "unsynced" and abs(named.starts_at - stamp.at) > NAMED_WITHIN:
        raise CommandRefused("this lesson is not one of today", hint=_HINT)
    return wanted


def mark_made(
    request: Mapping[str, Any],
    student_ids: Collection[str],
    lessons: Sequence[TimetableLesson],
    stamp: Stamp,
    new_id: str,
) -> Mark:
    """Return the event for what a person asks: `student_id`, `status`, `by`, and if they like `lesson`, `note`.

    Raises CommandRefused, which names fields and no person.
    """
    student_id = str(request.get("student_id", ""))
    if student_id not in student_ids:
        raise CommandRefused("this student is not in the unit's gallery", hint="rollcall-edge mark --list")
    lesson = request.get("lesson")
    try:
        return Mark(
            **stamp.model_dump(),
            event_id=new_id,
            seq=_UNNUMBERED,
            student_id=student_id,
            status=request.get("status", ""),
            lesson_id=lesson_meant(lesson if lesson is None else str(lesson), lessons, stamp),
            by=request.get("by", ""),
            note=request.get("note", ""),
        )
    except ValidationError as exc:
        fields = sorted({str(error["loc"][0]) for error in exc.errors() if error["loc"]})
        raise CommandRefused(
            f"wrong or missing: {', '.join(fields)}",
            hint="`by` has up to 100 characters, `note` up to 500, and a status is one of " + ", ".join(STATUSES),
        ) from exc


@dataclass(slots=True)
class Today:
    """What the unit wrote down about a student today."""

    seen_at: datetime | None = None
    """First seen."""
    marks: list[Mark] = field(default_factory=list)
    """Of each lesson, and of none, the last that was made; oldest first."""


def todays(events: Iterable[Event]) -> dict[str, Today]:
    """Return what stands of each student, of events in the order in which they were written down."""
    found: dict[str, Today] = {}
    for event in events:
        if isinstance(event, Seen | Mark):
            today = found.setdefault(event.student_id, Today())
            if isinstance(event, Mark):
                today.marks = [*(one for one in today.marks if one.lesson_id != event.lesson_id), event]
            elif today.seen_at is None or event.at < today.seen_at:
                today.seen_at = event.at
    return found
