"""How commands show what a change of the timetable does to lessons, and the options they share."""

from datetime import tzinfo
from typing import Annotated, Any

import typer

from hub.cli import console
from hub.cli.console import Column
from hub.core.roster_lessons import LessonFields
from hub.core.roster_times import local_iso
from hub.office.timetable_replan import ReplanChoice, Replanned

PastTooFlag = Annotated[
    bool,
    typer.Option("--past-too", help="Also lessons that have begun. Without it they stay as they are."),
]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]
TeacherFlag = Annotated[
    bool, typer.Option("--allow-teacher-conflict", help="Allow that a teacher is in two places at once.")
]

LESSON_COLUMNS = (
    Column("what", "What"),
    Column("when", "When"),
    Column("room", "Room"),
    Column("section", "Section"),
    Column("group", "Group"),
    Column("label", "Label"),
    Column("teacher", "Teacher"),
)


def chosen(*, past_too: bool, dry_run: bool, teacher_conflicts: bool = False) -> ReplanChoice:
    """Return how lessons are to be planned again."""
    return ReplanChoice(past_too=past_too, dry_run=dry_run, teacher_conflicts=teacher_conflicts)


def lesson_row(fields: LessonFields, zone: tzinfo) -> dict[str, Any]:
    """Return a lesson as a row, with the school's clock."""
    start, end = fields.starts_at.astimezone(zone), fields.ends_at.astimezone(zone)
    return {
        "room": fields.room,
        "section": fields.section,
        "group": fields.group,
        "label": fields.label,
        "teacher": fields.teacher,
        "starts_at": local_iso(fields.starts_at, zone),
        "ends_at": local_iso(fields.ends_at, zone),
        "when": f"{start:%a %Y-%m-%d %H:%M}-{end:%H:%M}",
    }


def as_object(done: Replanned, zone: tzinfo) -> dict[str, Any]:
    """Return what was done to lessons for --json."""
    return {
        "added": done.added,
        "changed": done.changed,
        "cancelled": done.cancelled,
        "deleted": done.deleted,
        "unchanged": done.unchanged,
        "kept_by_hand": done.by_hand,
        "begun_left": done.begun,
        "odd_clocks": [
            {"reason": one.clock, "day": one.day, **lesson_row(one.fields, zone)} for one in done.odd_clocks
        ],
        "first": [{"what": one.what, **lesson_row(one.lesson, zone)} for one in done.first],
    }


def show(done: Replanned, zone: tzinfo) -> None:
    """Print what was done to lessons: counts, the first of them in a dry run, and what is odd about their times."""
    if done.dry_run and done.first:
        rows = [{"what": one.what, **lesson_row(one.lesson, zone)} for one in done.first]
        console.emit(rows, LESSON_COLUMNS, as_json=False)
        left = done.added + done.changed + done.cancelled + done.deleted - len(rows)
        if left:
            console.say(f"... and {left} more")
    would = "would be " if done.dry_run else ""
    console.say(
        f"Lessons: {done.added} {would}added, {done.changed} {would}changed, {done.cancelled} {would}cancelled, "
        f"{done.deleted} {would}deleted, {done.unchanged} unchanged."
    )
    if done.by_hand:
        console.say(f"{done.by_hand} stay as a person changed them.")
    if done.begun:
        console.say(f"{done.begun} have begun and stay as they are; --past-too changes them as well.")
    for one in done.odd_clocks:
        odd = "the clocks skip its time: it is moved" if one.clock == "skipped" else "its time comes twice: the first"
        console.say(f"{one.fields.described(zone)}: {odd}.")
