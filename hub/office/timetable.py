"""The weekly timetable of a term: importing it, showing it, ending a part of it."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import audit_log, lesson_store, timetable_store
from hub.adapters.lesson_store import PlaceIds
from hub.core.csv_reading import Reading, Row, RowProblem, RowsRefused, read_rows
from hub.core.csv_writing import csv_bytes
from hub.core.errors import NotFound
from hub.core.roster_lessons import Places
from hub.core.timetable import Series, SeriesFields, Term
from hub.core.timetable_rows import (
    TIMETABLE_COLUMNS,
    TIMETABLE_HEADER,
    SeriesChange,
    TimetablePlan,
    plan_timetable,
    series_cells,
    series_fields,
)
from hub.office.context import Office
from hub.office.lesson_effects import LessonsClash
from hub.office.rooms import need_room
from hub.office.sections import need_section
from hub.office.terms import find_term
from hub.office.timetable_replan import Desired, ReplanChoice, Replanned, counted, replan_series

_UNDATED = date.min


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """What comes again, and how many of its single lessons are planned or were held."""

    series: Series
    lessons: int


@dataclass(frozen=True, slots=True)
class TimetableFile:
    """A weekly timetable as a CSV file, and how many rows it has."""

    content: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class TimetableImported:
    """What an import changed, or would change in a dry run: what comes again, and the single lessons."""

    added: tuple[SeriesFields, ...]
    changed: tuple[SeriesChange, ...]
    ended: tuple[Series, ...]
    unchanged: int
    lessons: Replanned


@dataclass(frozen=True, slots=True)
class SeriesChoice:
    """Which of what comes again is meant; None: any."""

    series_ids: Collection[str] = ()
    room: str | None = None
    section: str | None = None
    group: str | None = None
    weekday: int | None = None

    def has(self, series: Series) -> bool:
        """Whether this one is meant."""
        fields = series.fields
        return (not self.series_ids or series.series_id in self.series_ids) and all(
            asked is None or asked == said
            for asked, said in (
                (self.room, fields.room),
                (self.section, fields.section),
                (self.group, fields.group),
                (self.weekday, fields.weekday),
            )
        )


def import_timetable(
    office: Office, data: bytes, term: str, choice: ReplanChoice, *, update: bool = False, replace_all: bool = False
) -> TimetableImported:
    """Make a term's weekly timetable say what a CSV file says, all of it or nothing; again changes nothing.

    `update` changes what is on record where the file differs; `replace_all` also ends what the file does not have.
    Raises NotFound for an unknown term, BadInput when the file cannot be read, RowsRefused with every row that cannot
    be used.
    """
    detail = {"file_sha256": hashlib.sha256(data).hexdigest()}
    return _import(
        office,
        term,
        lambda found: read_rows(data, TIMETABLE_COLUMNS, lambda cells: series_fields(cells, found)),
        _Rows(choice, detail, update, replace_all),
    )


def add_series(office: Office, form: Mapping[str, str], term: str, choice: ReplanChoice) -> TimetableImported:
    """Add one lesson that comes again; `form` has the columns of the import.

    Raises as `import_timetable`, and LessonsClash for lessons that cannot be.
    """

    def read(found: Term) -> Reading[SeriesFields]:
        return Reading((Row(1, series_fields(form, found)),))

    return _import(office, term, read, _Rows(choice, {}, form=True))


def list_series(office: Office, term: str, choice: SeriesChoice | None = None) -> list[SeriesLine]:
    """Return what comes again in a term, by section, weekday and time. Raises NotFound: term, room, section."""
    wanted = choice or SeriesChoice()

    def work(connection: Connection) -> list[SeriesLine]:
        if wanted.room is not None:
            need_room(connection, wanted.room)
        if wanted.section is not None:
            need_section(connection, wanted.section)
        found = timetable_store.series_of(connection, [find_term(connection, term).term_id])
        counts = timetable_store.lesson_counts(connection)
        return [SeriesLine(one, counts.get(one.series_id, 0)) for one in found if wanted.has(one)]

    return office.database.run(work)


def export_timetable(office: Office, term: str, *, bom: bool = False) -> TimetableFile:
    """Return a term's weekly timetable as a CSV file that imports back without a change. Raises NotFound."""
    rows = [series_cells(line.series.fields) for line in list_series(office, term)]
    return TimetableFile(csv_bytes(TIMETABLE_HEADER, rows, bom=bom), len(rows))


def end_series(
    office: Office, term: str, meant: SeriesChoice, last_day: date | None, choice: ReplanChoice
) -> TimetableImported:
    """End what comes again after `last_day`; None: at once. Lessons that have begun stay (unless `past_too`).

    Raises NotFound when there is none that is meant.
    """

    done: list[TimetableImported] = []

    def work(connection: Connection) -> TimetableImported:
        ids = timetable_store.place_ids(connection)
        if not choice.dry_run:
            timetable_store.lock_timetable(connection, ids)
        found = find_term(connection, term)
        known = timetable_store.series_of(connection, [found.term_id])
        ending = [one for one in known if meant.has(one)]
        if done and not ending:
            return done[-1]  # the commit whose answer was lost
        if not ending:
            hint = f'rollcall-hub timetable list --term "{term}" shows what does'
            raise NotFound(f"nothing like that comes again in term {term!r}", hint=hint)
        change = _Change(found, end=ending, last_day=last_day)
        done.append(_carry_out(connection, office, change, ids, choice, {}))
        return done[-1]

    return office.database.run(work)


@dataclass(frozen=True, slots=True)
class _Rows:
    """How rows are to be imported."""

    choice: ReplanChoice
    detail: Mapping[str, audit_log.Json]
    update: bool = False
    replace_all: bool = False
    form: bool = False
    """It is one that a person filled in, not a file with lines."""


@dataclass(frozen=True, slots=True)
class _Change:
    """What has to be done to a term's weekly timetable."""

    term: Term
    add: Sequence[Series] = ()
    change: Sequence[SeriesChange] = ()
    end: Sequence[Series] = ()
    last_day: date | None = None
    """Of those that end; None: what has begun."""
    untouched: Sequence[Series] = ()
    """What the rows say already. Its lessons are looked at, too: those that had begun may be asked for now."""


def _import(office: Office, term: str, read: Callable[[Term], Reading[SeriesFields]], rows: _Rows) -> TimetableImported:
    new_ids: dict[tuple[object, ...], str] = {}

    def work(connection: Connection) -> TimetableImported:
        ids = timetable_store.place_ids(connection)
        if not rows.choice.dry_run:
            timetable_store.lock_timetable(connection, ids)
        found = find_term(connection, term)
        reading = read(found)
        known = timetable_store.series_of(connection, [found.term_id])
        places = Places(ids.rooms.keys(), ids.sections.keys(), ids.groups.keys())
        plan = plan_timetable(reading, known, places, update=rows.update, replace=rows.replace_all)
        change = _change(found, plan, reading, known, new_ids)
        try:
            done = _carry_out(connection, office, change, ids, rows.choice, rows.detail)
        except LessonsClash as clash:
            if rows.form:
                raise
            raise _at_their_lines(clash, reading, change) from clash
        return replace(done, unchanged=plan.unchanged)

    return office.database.run(work)


def _change(
    term: Term,
    plan: TimetablePlan,
    reading: Reading[SeriesFields],
    known: Sequence[Series],
    new_ids: dict[tuple[object, ...], str],
) -> _Change:
    # The same identifiers when the transaction is run again.
    add = [Series(new_ids.setdefault((term.term_id, *one.key), str(uuid4())), term.term_id, one) for one in plan.add]
    changing = {one.before.series_id for one in plan.change}
    named = {row.value.key for row in reading.rows}
    untouched = [one for one in known if one.fields.key in named and one.series_id not in changing]
    return _Change(term, add, plan.change, plan.end, untouched=untouched)


def _at_their_lines(clash: LessonsClash, reading: Reading[SeriesFields], change: _Change) -> RowsRefused:
    """Return the refusal with the lines of the file that it is about."""
    series = [*change.add, *(replace(one.before, fields=one.after) for one in change.change), *change.untouched]
    line_of = {row.value.key: row.line for row in reading.rows}
    lines = {one.series_id: line_of.get(one.fields.key, 1) for one in series}
    return RowsRefused(RowProblem(lines.get(one.owner, 1), one.sentence) for one in clash.refusals)


def _carry_out(
    connection: Connection,
    office: Office,
    change: _Change,
    ids: PlaceIds,
    choice: ReplanChoice,
    detail: Mapping[str, audit_log.Json],
) -> TimetableImported:
    at = office.clock.now()
    ended, gone = _ended(connection, office, change, choice)
    changed = [*(replace(one.before, fields=one.after) for one in change.change), *ended]
    standing = [*change.add, *changed, *change.untouched]
    if not choice.dry_run:
        timetable_store.insert_series(connection, change.add, ids)
        timetable_store.update_series(connection, changed, ids)
    desired = Desired([(one, change.term) for one in standing], timetable_store.all_holidays(connection), gone=gone)
    lessons = replan_series(connection, office, desired, ids, choice, at)
    if not choice.dry_run:
        timetable_store.delete_series(connection, gone)
        told: dict[str, Sequence[str]] = {
            "timetable.add": [one.series_id for one in change.add],
            "timetable.change": [one.before.series_id for one in change.change],
            "timetable.end": [*(one.series_id for one in ended), *gone],
        }
        for action, series_ids in told.items():
            for series_id in series_ids:
                _record(connection, office, action, f"series:{series_id}", {**detail, "term": change.term.term_id})
        if any((lessons.added, lessons.changed, lessons.cancelled, lessons.deleted)):
            subject = f"term:{change.term.term_id}"
            _record(connection, office, "timetable.lessons", subject, {**detail, **counted(lessons)})
    ending = {*(one.series_id for one in ended), *gone}
    return TimetableImported(
        tuple(one.fields for one in change.add),
        tuple(change.change),
        tuple(one for one in change.end if one.series_id in ending),
        0,
        lessons,
    )


def _ended(
    connection: Connection, office: Office, change: _Change, choice: ReplanChoice
) -> tuple[list[Series], list[str]]:
    """Return what ends, with its last day, and the identifiers of what is as if it had never been."""
    now = office.clock.now()
    begun: dict[str, date] = {}
    for lesson in lesson_store.lessons_of_series(connection, [one.series_id for one in change.end]):
        stays = lesson.fields.starts_at <= now and not choice.past_too
        if stays and lesson.series_id is not None and lesson.series_day is not None:
            begun[lesson.series_id] = max(lesson.series_day, begun.get(lesson.series_id, _UNDATED))
    ended, gone = [], []
    for one in change.end:
        first = one.fields.from_day or change.term.first_day
        last = max(change.last_day or _UNDATED, begun.get(one.series_id, _UNDATED))
        if last < first:
            gone.append(one.series_id)
        elif last < (one.fields.until_day or change.term.last_day):
            ended.append(replace(one, fields=replace(one.fields, until_day=last)))
    return ended, gone


def _record(
    connection: Connection, office: Office, action: str, subject: str, detail: Mapping[str, audit_log.Json]
) -> None:
    at = office.clock.now()
    audit_log.record(connection, at=at, actor=office.actor, action=action, subject=subject, detail=detail)
