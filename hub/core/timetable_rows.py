"""Rows of a weekly timetable, as schools keep it in a spreadsheet, and what importing them would change."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from hub.core.csv_reading import Columns, Reading, RowProblem, RowsRefused
from hub.core.errors import BadInput
from hub.core.roster import checked_room, checked_section
from hub.core.roster_lessons import Places, short_texts
from hub.core.roster_times import school_clock, school_day
from hub.core.timetable import WEEKDAYS, WEEKS, Series, SeriesFields, Term, checked_series

TIMETABLE_COLUMNS = Columns(
    ("weekday", "starts", "ends", "room", "section"), ("week", "group", "label", "teacher", "from_day", "until_day")
)
TIMETABLE_HEADER = (
    "weekday", "week", "starts", "ends", "room", "section", "group", "label", "teacher", "from_day", "until_day",
)  # fmt: skip
"""The columns in the order in which they are written."""
_SHORTEST_WEEKDAY = 3


@dataclass(frozen=True, slots=True)
class SeriesChange:
    """A lesson that comes again, and what the file says instead."""

    before: Series
    after: SeriesFields


@dataclass(frozen=True, slots=True)
class TimetablePlan:
    """What has to be done to a term's weekly timetable; `end`: what the file does not have, if it replaces all."""

    add: tuple[SeriesFields, ...]
    change: tuple[SeriesChange, ...]
    end: tuple[Series, ...]
    unchanged: int


def weekday_of(text: str) -> int:
    """Return a weekday, 1 for Monday. Raises BadInput."""
    word = text.strip().casefold()
    if word in {"1", "2", "3", "4", "5", "6", "7"}:
        return int(word)
    for number, name in enumerate(WEEKDAYS, start=1):
        if len(word) >= _SHORTEST_WEEKDAY and name.casefold().startswith(word):
            return number
    raise BadInput(f"{text.strip()[:40]!r} is not a weekday: write Monday to Sunday, or 1 (Monday) to 7")


def series_fields(cells: Mapping[str, str], term: Term) -> SeriesFields:
    """Return what a row says about a lesson that comes again. Raises BadInput."""
    label, group, teacher = short_texts(cells)
    fields = SeriesFields(
        weekday=weekday_of(cells.get("weekday", "")),
        week=_week(cells.get("week", "")),
        starts=school_clock(cells.get("starts", ""), "the start"),
        ends=school_clock(cells.get("ends", ""), "the end"),
        room=checked_room(cells.get("room", "")),
        section=checked_section(cells.get("section", "")),
        group=group,
        label=label,
        teacher=teacher,
        from_day=_day(cells.get("from_day", "")),
        until_day=_day(cells.get("until_day", "")),
    )
    return checked_series(fields, term)


def series_cells(fields: SeriesFields) -> Sequence[str]:
    """Return the row of a lesson that comes again, in the order of `TIMETABLE_HEADER`."""
    return (
        WEEKDAYS[fields.weekday - 1],
        fields.week,
        f"{fields.starts:%H:%M}",
        f"{fields.ends:%H:%M}",
        fields.room,
        fields.section,
        fields.group,
        fields.label,
        fields.teacher,
        "" if fields.from_day is None else fields.from_day.isoformat(),
        "" if fields.until_day is None else fields.until_day.isoformat(),
    )


def plan_timetable(
    reading: Reading[SeriesFields], known: Iterable[Series], places: Places, *, update: bool, replace: bool
) -> TimetablePlan:
    """Return what the rows would change in a term. `known`: everything that comes again in it.

    With `replace`, what the file does not have ends, and what it has otherwise is changed. Raises RowsRefused with
    every row that could not be read, repeats another, names an unknown place, or contradicts what is on record
    (unless `update` or `replace`). A column that the file does not have leaves what is on record.
    """
    by_key = {one.fields.key: one for one in known}
    line_of: dict[object, int] = {}
    add: list[SeriesFields] = []
    change: list[SeriesChange] = []
    problems = list(reading.problems)
    for row in reading.rows:
        before = by_key.get(row.value.key)
        fields = row.value if before is None else _filled(row.value, before, reading.absent)
        unknown = places.unknown(fields.room, fields.section, fields.group)
        problems += [RowProblem(row.line, reason) for reason in unknown]
        if line_of.setdefault(fields.key, row.line) != row.line:
            problems.append(RowProblem(row.line, f"this lesson is already on line {line_of[fields.key]}"))
        elif before is None:
            add.append(fields)
        elif before.fields != fields:
            if not (update or replace):
                was = before.fields.described()
                problems.append(RowProblem(row.line, f"on record as {was}: pass --update to change it"))
            change.append(SeriesChange(before, fields))
    if problems:
        raise RowsRefused(problems)
    gone = tuple(one for key, one in by_key.items() if key not in line_of) if replace else ()
    return TimetablePlan(tuple(add), tuple(change), gone, len(line_of) - len(add) - len(change))


def _filled(fields: SeriesFields, before: Series, absent: Collection[str]) -> SeriesFields:
    # What makes it this lesson is the same already.
    kept = {name: getattr(before.fields, name) for name in ("label", "teacher", "until_day") if name in absent}
    return dataclasses.replace(fields, **kept)


def _week(text: str) -> str:
    week = text.strip().upper()
    if week and (len(week) > 1 or week not in WEEKS):
        raise BadInput(f"{text.strip()[:40]!r} is not a week: write A or B, or nothing for every week")
    return week


def _day(text: str) -> date | None:
    return school_day(text) if text.strip() else None
