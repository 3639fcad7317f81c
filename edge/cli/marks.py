"""`rollcall-edge mark`: a person at the unit marks a student, with a network or without.

Names are shown to whoever gives the command and to nobody else: the running unit is told an id.
"""

import os
import pwd
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.markup import escape
from rich.table import Table

from edge.adapters.clock_system import SystemClock
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal
from edge.bootstrap.names import Room, stored_room
from edge.cli.desk import at_desk
from edge.cli.output import console, errors, print_json
from edge.core.errors import CommandRefused, SettingsWrong
from edge.core.marking import STATUSES, Today, serial_and_name, student_meant, todays
from edge.settings import EdgeSettings
from protocol.content import ManifestEntry, TimetableLesson
from protocol.errors import BadEvent
from protocol.events import Event, parse_event


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to say of a student."""

    student: str
    status: str
    lesson: str | None = None
    note: str = ""
    by: str | None = None

    def __post_init__(self) -> None:
        """Refuse a word that is no status."""
        if self.status not in STATUSES:
            raise SettingsWrong(f"there is no status {self.status!r}", hint="say one of " + ", ".join(STATUSES))


def mark(settings: EdgeSettings, wish: Wish, *, as_json: bool) -> None:
    """Mark a student and say what was written down."""
    room = _room(settings)
    student = student_meant(wish.student, room.entries)
    with at_desk(settings) as ask_desk:
        answer = ask_desk(
            {
                "command": "mark",
                "student_id": student.student_id,
                "status": wish.status,
                "lesson": wish.lesson,
                "note": wish.note,
                "by": wish.by or _login(),
            }
        )
    if student.scope == "wider":
        text = "the student is not expected in this room: the mark counts only if the hub expects them here"
        errors.print(f"[yellow]note:[/] {text}", soft_wrap=True)
    if answer["clock"] == "unsynced":
        text = "this unit's clock is not set: the hub finds out when this was"
        errors.print(f"[yellow]note:[/] {text}", soft_wrap=True)
    if as_json:
        print_json(_named(student) | {"status": wish.status} | {key: answer[key] for key in answer if key != "ok"})
        return
    zone = ZoneInfo(settings.storage.time_zone)
    lesson = next((one for one in room.lessons if one.lesson_id == answer["lesson_id"]), None)
    where = f" for {_lesson_text(lesson, zone)}" if lesson else ""
    at = datetime.fromisoformat(answer["at"]).astimezone(zone)
    text = f"{student.display_name}: {wish.status}{where}, written down at {at:%H:%M}"
    console.print(escape(text), soft_wrap=True)


def show(settings: EdgeSettings, *, as_json: bool) -> None:
    """Print the lessons of today and whom the unit has, with what it wrote down about them."""
    zone = ZoneInfo(settings.storage.time_zone)
    day = SystemClock().stamp().at.astimezone(zone).date()
    since, until = (datetime.combine(day + timedelta(days=days), time(), zone) for days in (0, 1))
    with _gallery(settings) as (file, room):
        rows = SqliteJournal(file).history(kinds=("seen", "mark"), since=since, until=until)
        written = todays(_events(body for body, _state in rows))
    # Of the others only those of whom there is something to say: they are a whole school.
    students = [one for one in room.entries if one.scope == "room" or one.student_id in written]
    students.sort(key=lambda one: (serial_and_name(one)[1], one.display_name))
    lessons = [one for one in room.lessons if one.starts_at < until and one.ends_at > since]
    if as_json:
        listed = [_named(one) | _in_json(written.get(one.student_id, Today())) for one in students]
        print_json({"day": day.isoformat(), "lessons": [_lesson_json(one) for one in lessons], "students": listed})
        return
    _print_list(room, students, written, lessons, zone)


def _print_list(
    room: Room,
    students: Sequence[ManifestEntry],
    written: dict[str, Today],
    lessons: Sequence[TimetableLesson],
    zone: ZoneInfo,
) -> None:
    if not room.entries:
        console.print("this unit has no list of students yet")
        return
    for lesson in lessons:
        console.print(escape(f"{lesson.lesson_id}  {_lesson_text(lesson, zone)}"))
    by_id = {lesson.lesson_id: lesson for lesson in room.lessons}
    table = Table("serial number", "name", "seen", "marked today")
    for one in students:
        today = written.get(one.student_id, Today())
        serial, name = serial_and_name(one)
        seen = f"{today.seen_at.astimezone(zone):%H:%M}" if today.seen_at else "-"
        marks = []
        for made in today.marks:
            lesson_of = by_id.get(made.lesson_id or "")
            where = f" for {_lesson_text(lesson_of, zone)}" if lesson_of else ""
            marks.append(f"{made.status} at {made.at.astimezone(zone):%H:%M}{where}, {made.by}")
        table.add_row(*(escape(cell) for cell in (serial, name, seen, "; ".join(marks) or "-")))
    console.print(table)
    console.print(f"{len(students)} students")


def _lesson_text(lesson: TimetableLesson, zone: ZoneInfo) -> str:
    starts, ends = lesson.starts_at.astimezone(zone), lesson.ends_at.astimezone(zone)
    return f"{lesson.label or 'the lesson'} {starts:%H:%M}-{ends:%H:%M}"


def _lesson_json(lesson: TimetableLesson) -> dict[str, Any]:
    return lesson.model_dump(mode="json")


def _named(student: ManifestEntry) -> dict[str, Any]:
    serial, name = serial_and_name(student)
    return {
        "student_id": student.student_id,
        "serial_number": serial,
        "name": name,
        "expected_in_room": student.scope == "room",
    }


def _in_json(today: Today) -> dict[str, Any]:
    told = [one.model_dump(mode="json", include={"status", "at", "lesson_id", "by", "note"}) for one in today.marks]
    return {"seen_at": today.seen_at.isoformat() if today.seen_at else None, "marks": told}


def _events(bodies: Iterator[dict[str, Any]]) -> Iterator[Event]:
    for body in bodies:
        try:
            yield parse_event(body)
        except BadEvent:
            # Written by a newer version that was rolled back.
            continue


def _room(settings: EdgeSettings) -> Room:
    with _gallery(settings) as (_file, room):
        if not room.entries:
            raise CommandRefused(
                "this unit has no list of students yet", hint="connect it to the hub once: it fetches its gallery"
            )
        return room


@contextmanager
def _gallery(settings: EdgeSettings) -> Iterator[tuple[UnitFile, Room]]:
    file = UnitFile(settings.storage.data_dir, read_only=True)
    try:
        yield file, stored_room(settings, SqliteGallery(file))
    finally:
        file.close()


def _login() -> str:
    """Return who sits at the terminal, also behind sudo; else whose program this is."""
    try:
        return os.getlogin()
    except OSError:
        pass
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"
