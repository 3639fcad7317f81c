"""Lessons of a calendar file: which room and section each of them is, and which lesson on record it is."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID, uuid5

from hub.core.csv_reading import Columns, Reading, RowProblem, RowsRefused
from hub.core.errors import BadInput
from hub.core.roster import MAX_SHORT_NAME, clean_text
from hub.core.roster_lessons import LONGEST_LESSON, Lesson, LessonFields, Places
from hub.core.timetable_replan import Wanted

MAPPING_COLUMNS = Columns(("what", "text", "name"))
_LESSONS = UUID("5c1f4f0e-6a0b-5a8e-9a4e-3f0c0f7d7c52")
_CALENDAR_VERSION = 5
_SHOWN = 20

Place = Literal["room", "section", "group", "teacher"]
_PLACES: tuple[Place, ...] = ("room", "section", "group", "teacher")
Source = Literal["location", "categories", "summary", "description"]
SOURCES: tuple[Source, ...] = ("location", "categories", "summary", "description")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that an event of a calendar takes place. `original` is where its rule had put it; moments are UTC."""

    uid: str
    original: datetime
    starts_at: datetime
    ends_at: datetime
    texts: Mapping[Source, Sequence[str]]
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class CalendarChoice:
    """Where an event's room and section are written; a room or section that is named holds for every event."""

    room_from: Source = "location"
    section_from: Source = "categories"
    room: str | None = None
    section: str | None = None
    names: Mapping[tuple[Place, str], str] = field(default_factory=dict)
    """What a calendar's words are called here."""

    def may_have(self, lesson: LessonFields) -> bool:
        """Whether a lesson is in the room and of the section that every event has, where these are named."""
        return self.room in {None, lesson.room} and self.section in {None, lesson.section}


def mapping_of(reading: Reading[tuple[Place, str, str]]) -> dict[tuple[Place, str], str]:
    """Return what a calendar's words are called here. Raises RowsRefused."""
    found: dict[tuple[Place, str], str] = {}
    problems = list(reading.problems)
    for row in reading.rows:
        what, text, name = row.value
        if found.setdefault((what, text), name) != name:
            problems.append(RowProblem(row.line, f"{what} {text!r} was {found[what, text]!r} before"))
    if problems:
        raise RowsRefused(problems)
    return found


def mapping_row(cells: Mapping[str, str]) -> tuple[Place, str, str]:
    """Return what a row of a mapping file says. Raises BadInput."""
    what = cells["what"].strip().casefold()
    for place in _PLACES:
        if what == place:
            return place, cells["text"].strip(), clean_text(cells["name"], "name", MAX_SHORT_NAME)
    raise BadInput(f"{what[:40]!r} is not one of {', '.join(_PLACES)}")


def calendar_lesson_id(uid: str, original: datetime) -> str:
    """Return the identifier of an event's lesson: the same whenever its calendar is imported."""
    return str(uuid5(_LESSONS, f"{original.astimezone(UTC):%Y%m%dT%H%M%SZ}|{uid}"))


def from_calendar(lesson: Lesson) -> bool:
    """Whether a lesson may have come out of a calendar: one that was added by hand did not."""
    return lesson.series_id is None and UUID(lesson.lesson_id).version == _CALENDAR_VERSION


def calendar_lessons(occurrences: Iterable[Occurrence], choice: CalendarChoice, places: Places) -> list[Wanted]:
    """Return the lessons of a calendar. Raises BadInput that names every room and section that is not known."""
    wanted: dict[str, Wanted] = {}
    problems: dict[str, int] = {}
    for one in occurrences:
        lesson, wrong = _lesson(one, choice, places)
        for sentence in wrong:
            problems[sentence] = problems.get(sentence, 0) + 1
        if not wrong:
            lesson_id = calendar_lesson_id(one.uid, one.original)
            wanted[lesson_id] = Wanted(lesson_id, lesson, cancelled=one.cancelled)
    if problems:
        told = [f"{sentence} ({count} lessons)" for sentence, count in list(problems.items())[:_SHOWN]]
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise BadInput(
            "the calendar cannot be imported; nothing was changed\n" + "\n".join(told + more),
            hint="name what the calendar's words mean with --mapping, or all of them with --room or --section",
        )
    return list(wanted.values())


def vanished(known: Iterable[Lesson], wanted: Collection[Wanted], uids: Collection[str] | None) -> list[Lesson]:
    """Return lessons that came of these events once and are not in the calendar any more; None: of any event."""
    there = {one.lesson_id for one in wanted}
    left = [one for one in known if from_calendar(one) and one.lesson_id not in there]
    if uids is None:
        return left
    # A lesson's identifier is made of its event and start: whose it was is found by making it again.
    starts = {one.fields.starts_at for one in left}
    made = {calendar_lesson_id(uid, start) for start in starts for uid in uids}
    return [one for one in left if one.lesson_id in made]


def adopted(known: Iterable[Lesson], wanted: Iterable[Wanted], own: Collection[str]) -> list[Lesson]:
    """Return lessons of other events that are the same lesson as one that is wanted and has none of its `own`.

    A calendar may give its events other identifiers when it is exported again.
    """
    keys = {one.fields.key for one in wanted if one.lesson_id not in own}
    return [one for one in known if from_calendar(one) and one.fields.key in keys]


def _lesson(one: Occurrence, choice: CalendarChoice, places: Places) -> tuple[LessonFields, list[str]]:
    summary = " ".join(one.texts.get("summary", ()))
    room, wrong_room = _named(one, "room", choice.room, choice.room_from, choice, places.rooms)
    section, wrong_section = _named(one, "section", choice.section, choice.section_from, choice, places.sections)
    words = [word for texts in one.texts.values() for word in texts]
    group, teacher = (
        next((choice.names[what, word] for word in words if (what, word) in choice.names), "")
        for what in ("group", "teacher")
    )
    wrong = [*wrong_room, *wrong_section]
    if group and not wrong:
        wrong += places.unknown(room, section, group)
    if not _is_lesson(one):
        wrong.append(f"{summary[:40]!r} lasts from {one.starts_at} to {one.ends_at}: no lesson is that long")
    return LessonFields(room, section, _label(summary), one.starts_at, one.ends_at, group, teacher), wrong


def _is_lesson(one: Occurrence) -> bool:
    """Whether an event lasts as long as a lesson may."""
    return one.starts_at < one.ends_at <= one.starts_at + LONGEST_LESSON


def _named(
    one: Occurrence, what: Place, given: str | None, source: Source, choice: CalendarChoice, known: Collection[str]
) -> tuple[str, list[str]]:
    """Return what a room or a section is called here, and why it could not be found."""
    if given is not None:
        return given, [] if given in known else [f"there is no {what} {given!r}"]
    words = [choice.names.get((what, word), word) for word in one.texts.get(source, ())]
    found = sorted({word for word in words if word in known})
    if len(found) == 1:
        return found[0], []
    said = ", ".join(repr(word[:60]) for word in words) or "nothing"
    if found:
        return "", [f"{source} says {said}: that is more than one {what}"]
    return "", [f"{source} says {said}: there is no such {what}"]


def _label(summary: str) -> str:
    # A calendar's title may hold anything: a title is no reason to refuse the lesson.
    shown = "".join(character if character.isprintable() else " " for character in summary)
    try:
        return clean_text(shown, "label", len(shown))[:MAX_SHORT_NAME].strip()
    except BadInput:
        return ""
