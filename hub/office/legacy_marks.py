"""Attendance of the original system: each row becomes a mark of origin "legacy", once, whenever it is taken over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice

from sqlalchemy import Connection

from hub.adapters import attendance_store, audit_log, legacy_register, lesson_finding, marks_store, rules_writing
from hub.adapters.legacy_register import Known
from hub.adapters.marks_store import MarkRow, Place
from hub.core.errors import BadInput, NotFound
from hub.core.legacy import Found, Problems, SourceRow
from hub.core.legacy_attendance import People, Saw, read_attendance, spans
from hub.core.register_marks import STATUS_OF_MARK, Occasion, of_lesson, running
from hub.core.roster_lessons import LONGEST_LESSON
from hub.office.context import Office
from hub.office.occasions import Finder

MADE_BY = "legacy"
_AT_ONCE = 1000
_SPAN = timedelta(days=7)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class MarksTold:
    """What became of the rows of attendance."""

    rows: int
    new: int
    of_lessons: int
    """Of the new ones, those that belong to a lesson; the others belong to a day."""
    on_record: int
    """Taken over before, or known here from elsewhere."""
    says_nothing: int
    """Rows that say of nobody whether they were there."""
    clock_skipped: int
    """Times that the clocks skipped that night, taken as later by what they skip."""
    clock_twice: int
    """Times that happened twice that night, taken as the first."""
    first: tuple[tuple[str, str, str], ...]
    """Of the first new ones serial number, moment and status."""


@dataclass(frozen=True, slots=True)
class _Placed:
    saw: Saw
    row: MarkRow


@dataclass(slots=True)
class _Batch:
    """What one transaction found; made anew when it runs again."""

    new: list[_Placed] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    on_record: int = 0
    own: set[str] = field(default_factory=set)
    """Marks that an earlier run of the same transaction wrote."""
    places: set[str] = field(default_factory=set)
    """Students and occasions of the new ones."""


@dataclass(slots=True)
class _Marks:
    office: Office
    batch_id: str
    zone: tzinfo
    dry_run: bool
    now: datetime
    rows: int = 0
    new: int = 0
    of_lessons: int = 0
    on_record: int = 0
    says_nothing: int = 0
    clock: dict[str, int] = field(default_factory=dict)
    first: list[tuple[str, str, str]] = field(default_factory=list)
    planned: set[str] = field(default_factory=set)
    """In a dry run, the marks that would be on record by now, and their places."""


def take_marks(  # noqa: PLR0913 (what was found, and what may be done with it)
    office: Office,
    tables: Iterator[tuple[Found, Iterator[SourceRow]]],
    people: People,
    problems: Problems,
    *,
    batch_id: str,
    zone: tzinfo,
    dry_run: bool,
) -> MarksTold:
    """Write a mark for each row of these tables, a thousand in a transaction.

    Raises BadInput when a table cannot be read, StoreUnavailable, StoreRefused.
    """
    taking = _Marks(office, batch_id, zone, dry_run, office.clock.now())
    for found, rows in tables:
        while part := list(islice(rows, _AT_ONCE)):
            _take(taking, _read(taking, part, found, people, problems), problems)
    return MarksTold(
        taking.rows,
        taking.new,
        taking.of_lessons,
        taking.on_record,
        taking.says_nothing,
        taking.clock.get("skipped", 0),
        taking.clock.get("twice", 0),
        tuple(taking.first),
    )


def _read(
    taking: _Marks, part: Sequence[SourceRow], found: Found, people: People, problems: Problems
) -> dict[str, Saw]:
    """Return what the rows say, each student and moment once."""
    said: dict[str, Saw] = {}
    school = taking.office.settings.zone
    for row in part:
        taking.rows += 1
        try:
            saw = read_attendance(row, found, people, taking.zone, school)
        except BadInput as exc:
            problems.add("attendance", row.where, str(exc))
            continue
        if saw is None:
            taking.says_nothing += 1
        elif saw.moment > taking.now:
            problems.add("attendance", row.where, f"{saw.moment.astimezone(school):%Y-%m-%d %H:%M} has not been yet")
        elif (before := said.setdefault(saw.mark_id, saw)) is not saw:
            taking.on_record += 1
            if before.status != saw.status:
                problems.add("differs", row.where, f"{before.where} says {before.status} of the same moment: it counts")
        elif saw.odd:
            taking.clock[saw.odd] = taking.clock.get(saw.odd, 0) + 1
    return said


def _take(taking: _Marks, said: dict[str, Saw], problems: Problems) -> None:
    if not said:
        return
    runs: list[int] = []

    def work(connection: Connection) -> _Batch:
        batch = _Batch()
        finder = Finder(connection, taking.office, taking.now)
        known = legacy_register.marks_known(connection, said.keys())
        # What a commit whose answer was lost has written is not from before.
        batch.own = {mark_id for mark_id, one in known.items() if runs and one.batch_id == taking.batch_id}
        runs.append(1)
        known = {mark_id: one for mark_id, one in known.items() if mark_id not in batch.own}
        fresh = _unknown(taking, said, known, batch)
        frozen_until = rules_writing.frozen_until(connection)
        for saw in [saw for saw in fresh if saw.day < frozen_until]:
            batch.problems.append(("frozen", saw.where, f"the register of {saw.day} stays as it is (retention)"))
        live = [saw for saw in fresh if saw.day >= frozen_until]
        for together in spans(live, _SPAN):
            _place(taking, finder, together, batch)
        if not taking.dry_run:
            _write(taking, finder, batch)
        return batch

    batch = taking.office.database.run(work)
    for problem in batch.problems:
        problems.add(*problem)
    taking.on_record += batch.on_record
    taking.new += len(batch.new)
    taking.of_lessons += sum(one.row.lesson_id is not None for one in batch.new)
    zone = taking.office.settings.zone
    for one in batch.new[: _SHOWN - len(taking.first)]:
        serial, moment = one.saw.person.serial_number, one.saw.moment.astimezone(zone)
        taking.first.append((serial, f"{moment:%Y-%m-%d %H:%M:%S}", one.saw.status))
    if taking.dry_run:
        taking.planned |= {key for one in batch.new for key in (one.row.id, _key(one.saw, one.row.occasion))}


def _unknown(taking: _Marks, said: dict[str, Saw], known: dict[str, Known], batch: _Batch) -> list[Saw]:
    fresh = []
    for mark_id, saw in said.items():
        before = known.get(mark_id)
        if before is not None and before.status != saw.status and not saw.plain:
            reason = f"was taken over as {before.status} before and stays so: mark the student here"
            batch.problems.append(("differs", saw.where, reason))
        if before is not None or mark_id in taking.planned:
            batch.on_record += 1
        else:
            fresh.append(saw)
    return fresh


def _place(taking: _Marks, finder: Finder, together: Sequence[Saw], batch: _Batch) -> None:
    """Find the occasion of each, and leave out what is known here from elsewhere."""
    connection = finder.connection
    ids = {saw.person.student_id for saw in together if saw.person.student_id is not None}
    since, until = together[0].moment - LONGEST_LESSON, together[-1].moment + LONGEST_LESSON
    lessons = {
        student_id: [of_lesson(one, finder.zone) for one in theirs]
        for student_id, theirs in lesson_finding.of_students(connection, ids, since, until).items()
    }
    said = legacy_register.said_already(connection, ids, {saw.day for saw in together})
    placed = [_Placed(saw, _row(taking, saw, _occasion(finder, saw, lessons))) for saw in together]
    there = _there(connection, [one for one in placed if one.saw.plain], batch.own)
    batch.places |= {_key(one.saw, one.row.occasion) for one in placed if not one.saw.plain}
    for one in placed:
        saw, place = one.saw, one.row.place
        key = _key(saw, place[1])
        more_is_known = saw.plain and (place in there or key in batch.places or key in taking.planned)
        second = saw.moment.replace(microsecond=0)
        if more_is_known or (place[0], STATUS_OF_MARK[saw.status], second) in said:
            batch.on_record += 1
        else:
            batch.new.append(one)
            batch.places.add(key)


def _there(connection: Connection, placed: Sequence[_Placed], own: set[str]) -> set[Place]:
    """Return the places of which more is known than that somebody was there."""
    known = [one.row for one in placed if one.row.student_id]
    if not known:
        return set()
    ids, occasions = {row.student_id for row in known}, {row.occasion for row in known}
    standing = marks_store.standing(connection, ids, occasions)
    found = {place for place, rows in standing.items() if any(row.id not in own for row in rows)}
    return found | legacy_register.present(connection, ids, occasions)


def _occasion(finder: Finder, saw: Saw, lessons: dict[str, list[Occasion]]) -> Occasion | str:
    """Return the lesson of the student that runs then, or the part of the day; of a row without a time the day."""
    if saw.timed:
        for one in lessons.get(saw.person.student_id or "", ()):
            if running([one], saw.moment, finder.early(one)):
                return one
        try:
            return finder.window_at(saw.moment)
        except NotFound:
            return f"day:{saw.day.isoformat()}"
    windows = finder.windows(saw.day)
    return windows[0] if len(windows) == 1 else f"day:{saw.day.isoformat()}"


def _row(taking: _Marks, saw: Saw, occasion: Occasion | str) -> MarkRow:
    lesson = None if isinstance(occasion, str) else occasion.lesson
    return MarkRow(
        id=saw.mark_id,
        # Whom a dry run would add is nobody's yet.
        student_id=saw.person.student_id or "",
        occasion=occasion if isinstance(occasion, str) else occasion.key,
        lesson_id=lesson.lesson_id if lesson else None,
        day=saw.day if isinstance(occasion, str) else occasion.day,
        status=saw.status,
        at=saw.moment if saw.timed else None,
        reason="",
        note=saw.note,
        origin="legacy",
        batch_id=taking.batch_id,
        made_at=saw.moment.astimezone(UTC),
        made_by=MADE_BY,
        method=saw.method,
    )


def _key(saw: Saw, occasion: str) -> str:
    return f"{saw.person.serial_number}/{occasion}"


def _write(taking: _Marks, finder: Finder, batch: _Batch) -> None:
    fresh = [one.row for one in batch.new if one.row.id not in batch.own]
    if not fresh:
        return
    marks_store.add(finder.connection, fresh)
    days = sorted({row.day for row in fresh})
    audit_log.record(
        finder.connection,
        at=taking.now,
        actor=taking.office.actor,
        action="import.legacy",
        subject="register",
        # One entry for all: each mark names the batch, and what changes in the register is recorded there.
        detail={
            "batch": taking.batch_id,
            "marks": len(fresh),
            "from": days[0].isoformat(),
            "until": days[-1].isoformat(),
        },
    )
    attendance_store.mark_pairs(finder.connection, {(row.student_id, row.day) for row in fresh}, "mark")
