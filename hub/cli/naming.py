"""How people name lessons on the command line, and how they read them there."""

from datetime import datetime, tzinfo
from typing import Annotated, Any

import typer

from hub.cli import console
from hub.core.register_marks import LessonFound, Occasion, moment_said
from hub.core.roster_times import local_iso, school_day
from hub.office import register
from hub.office.context import Office
from hub.office.occasions import Named

LessonOption = Annotated[
    str | None, typer.Option("--lesson", help="A lesson's id, as rollcall-hub lesson list --json shows it.")
]
SectionOption = Annotated[str | None, typer.Option("--section", help="The section whose lesson it is.")]
RoomOption = Annotated[str | None, typer.Option("--room", help="The room of the lesson.")]
AtOption = Annotated[
    str | None, typer.Option("--at", help="The lesson that runs then: 08:20 (of today, or of --date), or in full.")
]
DateOption = Annotated[
    str | None,
    typer.Option("--date", help="Every lesson of this day, like 2026-09-01; with --at: the day of the time."),
]


def named(
    office: Office,
    lesson: str | None = None,
    section: str | None = None,
    room: str | None = None,
    at: str | None = None,
    date: str | None = None,
) -> Named:
    """Return which lessons the options mean. Raises BadInput; BadParameter for options that exclude each other."""
    if lesson is not None and (section or room or date):
        raise typer.BadParameter("--lesson names one lesson already; leave --section, --room and --date out")
    day = school_day(date) if date is not None else None
    moment = None if at is None else moment_said(at, day or register.today(office), office.settings.zone)
    return Named(lesson, section, room, moment, None if moment is not None else day)


def lesson_json(lesson: LessonFound, zone: tzinfo) -> dict[str, Any]:
    """Return a lesson for scripts."""
    return {
        "lesson_id": lesson.lesson_id,
        "label": lesson.label,
        "section": lesson.section,
        "group": lesson.group,
        "room": lesson.room,
        "starts_at": local_iso(lesson.starts_at, zone),
        "ends_at": local_iso(lesson.ends_at, zone),
    }


def occasion_json(occasion: Occasion, zone: tzinfo) -> dict[str, Any]:
    """Return an occasion for scripts."""
    lesson = lesson_json(occasion.lesson, zone) if occasion.lesson else None
    return {"occasion": occasion.key, "day": occasion.day, "lesson": lesson}


def clock(moment: datetime | None, zone: tzinfo) -> str | None:
    """Return a moment as hours and minutes by the school's clock."""
    return None if moment is None else f"{moment.astimezone(zone):%H:%M}"


def say_waiting(students: int) -> None:
    """Say that rows of the register wait to be derived, if any do."""
    if students:
        whose = "1 student's rows are" if students == 1 else f"{students} students' rows are"
        console.note(f"{whose} about to be derived again; is `rollcall-hub serve` running?")


def iso(moment: datetime | None, zone: tzinfo) -> str | None:
    """Return a moment in full by the school's clock."""
    return None if moment is None else local_iso(moment, zone)
