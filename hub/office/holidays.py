"""Holidays: days without any lesson."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import audit_log, timetable_store
from hub.core.csv_reading import Columns, RowProblem, RowsRefused, read_rows
from hub.core.errors import BadInput, NotFound
from hub.core.roster import MAX_SHORT_NAME, clean_text
from hub.core.roster_times import school_day
from hub.core.timetable import Holiday
from hub.office.context import Office
from hub.office.timetable_replan import Desired, ReplanChoice, Replanned, counted, replan_series

HOLIDAY_COLUMNS = Columns(("first_day", "last_day", "label"))


@dataclass(frozen=True, slots=True)
class HolidaysChanged:
    """Holidays that were added or removed, how many were there already, and what became of lessons."""

    holidays: tuple[Holiday, ...]
    unchanged: int
    lessons: Replanned


def add_holiday(office: Office, first_day: date, last_day: date, label: str, choice: ReplanChoice) -> HolidaysChanged:
    """Add holidays; lessons of these days that have not begun go. The same once more changes nothing.

    Raises BadInput for days or a name that cannot be.
    """
    return _add_holidays(office, [_holiday(first_day, last_day, label)], choice, {})


def import_holidays(office: Office, data: bytes, choice: ReplanChoice) -> HolidaysChanged:
    """Add the holidays of a CSV file, all or none; those that are on record already stay.

    Raises BadInput when the file cannot be read, RowsRefused with every row that cannot be used.
    """
    reading = read_rows(
        data,
        HOLIDAY_COLUMNS,
        # Of one day, as `holiday add` has it, the last is the first.
        lambda cells: _holiday(
            school_day(cells["first_day"]), school_day(cells["last_day"].strip() or cells["first_day"]), cells["label"]
        ),
    )
    line_of: dict[tuple[date, date, str], int] = {}
    problems = list(reading.problems)
    for row in reading.rows:
        if line_of.setdefault(_same(row.value), row.line) != row.line:
            problems.append(RowProblem(row.line, f"these days are already on line {line_of[_same(row.value)]}"))
    if problems:
        raise RowsRefused(problems)
    detail = {"file_sha256": hashlib.sha256(data).hexdigest()}
    return _add_holidays(office, [row.value for row in reading.rows], choice, detail)


def remove_holiday(office: Office, first_day: date, choice: ReplanChoice) -> HolidaysChanged:
    """Remove the holidays that begin on a day; the lessons of these days come back. Raises NotFound."""

    done: list[HolidaysChanged] = []

    def work(connection: Connection) -> HolidaysChanged:
        known = timetable_store.all_holidays(connection)
        gone = [one for one in known if one.first_day == first_day]
        if done and not gone:
            return done[-1]  # the commit whose answer was lost
        if not gone:
            raise NotFound(f"no holidays begin on {first_day}", hint="rollcall-hub holiday list shows them")
        left = [one for one in known if one.first_day != first_day]
        lessons = _replan_days(connection, office, left, gone, choice)
        if not choice.dry_run:
            timetable_store.delete_holidays(connection, [one.holiday_id for one in gone])
            for one in gone:
                detail = {**_days(one), **counted(lessons)}
                _record(connection, office, "holiday.remove", f"holiday:{one.holiday_id}", detail)
        done.append(HolidaysChanged(tuple(gone), len(left), lessons))
        return done[-1]

    return office.database.run(work)


def list_holidays(office: Office) -> list[Holiday]:
    """Return the holidays by their first day."""
    return office.database.run(timetable_store.all_holidays)


def _add_holidays(
    office: Office, wanted: Sequence[Holiday], choice: ReplanChoice, detail: Mapping[str, audit_log.Json]
) -> HolidaysChanged:
    def work(connection: Connection) -> HolidaysChanged:
        known = timetable_store.all_holidays(connection)
        there = {_same(one) for one in known}
        new = [one for one in wanted if _same(one) not in there]
        if not new:
            return HolidaysChanged((), len(wanted), Replanned(dry_run=choice.dry_run))
        lessons = _replan_days(connection, office, [*known, *new], new, choice)
        if not choice.dry_run:
            timetable_store.insert_holidays(connection, new)
            for one in new:
                told = {**detail, **_days(one), **counted(lessons)}
                _record(connection, office, "holiday.add", f"holiday:{one.holiday_id}", told)
        return HolidaysChanged(tuple(new), len(wanted) - len(new), lessons)

    return office.database.run(work)


def _replan_days(
    connection: Connection,
    office: Office,
    after: Sequence[Holiday],
    changed: Sequence[Holiday],
    choice: ReplanChoice,
) -> Replanned:
    ids = timetable_store.place_ids(connection)
    if not choice.dry_run:
        timetable_store.lock_timetable(connection, ids)
    first, last = min(one.first_day for one in changed), max(one.last_day for one in changed)
    known = {one.term_id: one for one in timetable_store.all_terms(connection) if one.overlaps(first, last)}
    series = [(one, known[one.term_id]) for one in timetable_store.series_of(connection, known)]
    desired = Desired(series, after, days=(first, last))
    return replan_series(connection, office, desired, ids, choice, office.clock.now())


def _holiday(first_day: date, last_day: date, label: str) -> Holiday:
    name = clean_text(label, "label", MAX_SHORT_NAME)
    if not name:
        raise BadInput("the label is empty: say which holidays these are")
    if last_day < first_day:
        raise BadInput(f"{name} would end on {last_day}, before it begins on {first_day}")
    return Holiday(str(uuid4()), first_day, last_day, name)


def _same(holiday: Holiday) -> tuple[date, date, str]:
    return holiday.first_day, holiday.last_day, holiday.label


def _days(of: Holiday) -> dict[str, audit_log.Json]:
    return {"first_day": of.first_day.isoformat(), "last_day": of.last_day.isoformat()}


def _record(
    connection: Connection, office: Office, action: str, subject: str, detail: Mapping[str, audit_log.Json]
) -> None:
    at = office.clock.now()
    audit_log.record(connection, at=at, actor=office.actor, action=action, subject=subject, detail=detail)
