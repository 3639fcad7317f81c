"""How a mark is written and taken back inside somebody's transaction: with its audit entry, and the register told."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from sqlalchemy import Connection

from hub.adapters import attendance_store, audit_log, lesson_finding, marks_store, roster_store
from hub.adapters.attendance_csv import AttendanceCsv, CsvMark
from hub.adapters.marks_store import MACHINE, MarkRow, Place, UnitMark
from hub.core.errors import BadInput, NotFound, StoreUnavailable
from hub.core.register_marks import STATUS_OF_MARK, Occasion, Saying
from hub.core.roster import Student
from hub.core.roster_times import day_of
from hub.office.context import Office
from hub.office.occasions import Finder

TAKEN_BACK = "taken back"
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to stand for a student on an occasion; `at`: when they came, if somebody said so."""

    student: Student
    occasion: Occasion
    saying: Saying
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gesture:
    """Marks that are made together: their batch, when it was made, and what they come from."""

    batch_id: str
    made_at: datetime
    actor: str
    origin: str = "hub"

    def mark_id(self, place: Place) -> str:
        """Return the id of its mark of a student on an occasion, the same when the transaction runs again."""
        return str(uuid5(UUID(self.batch_id), "/".join(place)))


@dataclass(frozen=True, slots=True)
class MarkLine:
    """A mark that stands now; `new` is False where it stood before. The status is a word of `marks`."""

    student: Student
    occasion: Occasion
    status: str
    at: datetime | None
    reason: str
    note: str
    mark_id: str
    made_by: str
    new: bool


@dataclass(frozen=True, slots=True)
class UndoneLine:
    """Marks that were taken back for a student on an occasion, and who says something now."""

    student: Student
    occasion: Occasion
    taken_back: tuple[MarkRow, ...]
    unit_silenced: bool
    """A mark made at a unit would stand: the hub says that no person says anything any more."""
    stands: str
    """The status of the mark that stands now; "" where no person says anything."""


def write(finder: Finder, gesture: Gesture, wanted: Sequence[Wanted]) -> list[MarkLine]:
    """Make what is wanted stand, and return it; a mark that stands like that already stays as it is.

    Of somebody who was erased no words are kept.
    """
    connection = finder.connection
    ids, keys = {one.student.student_id for one in wanted}, {one.occasion.key for one in wanted}
    erased = roster_store.hold_unerased(connection, ids)
    wanted = [replace(one, saying=_wordless(one.saying)) if one.student.student_id in erased else one for one in wanted]
    standing = marks_store.standing(connection, ids, keys)
    own = {row.id for row in marks_store.of_batch(connection, gesture.batch_id)}
    said = _of_the_hub(finder, wanted, standing)
    lines, rows = [], []
    for one in wanted:
        place = (one.student.student_id, one.occasion.key)
        before = standing.get(place, [])
        row = _row(gesture, one, before)
        same = before[-1] if place in said and _says_the_same(before[-1], row) else None
        if same is None and row.id not in own:
            rows.append(row)
        lines.append(_line(one, same or row, new=same is None or same.id in own))
    marks_store.add(connection, rows)
    _tell(finder, rows, gesture, "mark.set")
    return lines


def _wordless(saying: Saying) -> Saying:
    return Saying(saying.status)


def _row(gesture: Gesture, one: Wanted, before: Sequence[MarkRow]) -> MarkRow:
    occasion, place = one.occasion, (one.student.student_id, one.occasion.key)
    # The one made last stands, also where the clock was set back in between.
    made_at = max([gesture.made_at, *(row.made_at + _TICK for row in before)])
    return MarkRow(
        id=gesture.mark_id(place),
        student_id=place[0],
        occasion=place[1],
        lesson_id=occasion.lesson.lesson_id if occasion.lesson else None,
        day=occasion.day,
        status=one.saying.status,
        at=one.at,
        reason=one.saying.reason,
        note=one.saying.note,
        origin=gesture.origin,
        batch_id=gesture.batch_id,
        made_at=made_at,
        made_by=gesture.actor[:100],
    )


def _of_the_hub(finder: Finder, wanted: Sequence[Wanted], standing: Mapping[Place, Sequence[MarkRow]]) -> set[Place]:
    """Return where the last mark of the hub is what stands: of those, where nobody said anything later at a unit."""
    marked = [one for one in wanted if (one.student.student_id, one.occasion.key) in standing]
    at_units = _at_units(
        finder.connection, {one.student.student_id for one in marked}, [one.occasion for one in marked]
    )
    found = set()
    for one in marked:
        place, early = (one.student.student_id, one.occasion.key), finder.early(one.occasion)
        made_at = standing[place][-1].made_at
        # Of an uncertain time it may have been later: then what is said is written again.
        if not any(
            _is_of(mark, one.occasion, early) and (not mark.certain or mark.at > made_at)
            for mark in at_units.get(place[0], ())
        ):
            found.add(place)
    return found


def _says_the_same(one: MarkRow, other: MarkRow) -> bool:
    return (one.status, one.at, one.reason, one.note) == (other.status, other.at, other.reason, other.note)


def _line(one: Wanted, row: MarkRow, *, new: bool) -> MarkLine:
    return MarkLine(one.student, one.occasion, row.status, row.at, row.reason, row.note, row.id, row.made_by, new)


def take_back_all(finder: Finder, wanted: Sequence[tuple[Student, Occasion]], gesture: Gesture) -> list[UndoneLine]:
    """Take back every hub mark of these students on these occasions; where nothing stands, nothing is returned.

    Where a mark made at a unit would stand then, a mark is made by which no person says anything.
    """
    connection = finder.connection
    ids, keys = {student.student_id for student, _ in wanted}, {occasion.key for _, occasion in wanted}
    standing = marks_store.standing(connection, ids, keys, or_taken_back_at=gesture.made_at)
    at_units = _at_units(connection, ids, [occasion for _, occasion in wanted])
    own = {row.place: row for row in marks_store.of_batch(connection, gesture.batch_id)}
    lines, machine = [], []
    for student, occasion in wanted:
        place = (student.student_id, occasion.key)
        rows = [row for row in standing.get(place, ()) if row.batch_id != gesture.batch_id]
        spoken = tuple(row for row in rows if row.status != MACHINE)
        loud = place in own or _unit_would_stand(at_units.get(place[0], ()), rows, occasion, finder.early(occasion))
        if spoken or loud:
            lines.append(UndoneLine(student, occasion, spoken, loud, ""))
        if loud and place not in own:
            machine.append(replace(_row(gesture, Wanted(student, occasion, Saying("present")), rows), status=MACHINE))
    undone = [row for line in lines for row in line.taken_back if row.undone_at is None]
    marks_store.take_back(connection, [row.id for row in undone], gesture.made_at, gesture.actor)
    marks_store.add(connection, machine)
    _tell(finder, [*undone, *machine], gesture, "mark.undo")
    return lines


def _unit_would_stand(said: Iterable[UnitMark], rows: Iterable[MarkRow], occasion: Occasion, early: timedelta) -> bool:
    """Whether, of these hub marks only those by which no person says anything were left, a unit's mark would stand."""
    silent_until = max((row.made_at for row in rows if row.status == MACHINE), default=None)
    return any(
        _is_of(one, occasion, early) and (silent_until is None or (one.certain and one.at > silent_until))
        for one in said
    )


def _at_units(
    connection: Connection, student_ids: Collection[str], occasions: Sequence[Occasion]
) -> Mapping[str, Sequence[UnitMark]]:
    if not occasions:
        return {}
    since, until = min(one.starts_at for one in occasions), max(one.ends_at for one in occasions)
    found: dict[str, list[UnitMark]] = {}
    for one in marks_store.at_units(connection, student_ids, since, until):
        found.setdefault(one.student_id, []).append(one)
    return found


def _is_of(said: UnitMark, occasion: Occasion, early: timedelta) -> bool:
    """Whether a unit's mark may be of an occasion; one too many is harmless, since then nobody says anything there."""
    if occasion.lesson is not None and said.lesson_id == occasion.lesson.lesson_id:
        return True
    return not said.certain or occasion.starts_at - early <= said.at <= occasion.ends_at


def take_back_rows(finder: Finder, rows: Sequence[MarkRow], gesture: Gesture) -> None:
    """Take back these marks; what stood before them stands again."""
    marks_store.take_back(finder.connection, [row.id for row in rows], gesture.made_at, gesture.actor)
    _tell(finder, rows, gesture, "mark.undo")


def _tell(finder: Finder, rows: Sequence[MarkRow], gesture: Gesture, action: str) -> None:
    """Write the audit entries of these marks, and ask for the register to be derived again."""
    undone: dict[str, audit_log.Json] = {"gesture": gesture.batch_id} if action == "mark.undo" else {}
    for row in rows:
        audit_log.record(
            finder.connection,
            at=gesture.made_at,
            actor=gesture.actor,
            action=action,
            subject=f"student:{row.student_id}",
            # Neither reason nor note: what somebody wrote of a student could never be erased from here.
            detail={"mark": row.id, "batch": row.batch_id, "status": row.status, "origin": row.origin, **undone},
            object_=row.occasion,
        )
    # A lesson may be on another day by now than it was when it was marked.
    lessons = lesson_finding.by_id(finder.connection, {row.lesson_id for row in rows if row.lesson_id})
    days = {lesson_id: day_of(one.starts_at, finder.zone) for lesson_id, one in lessons.items()}
    pairs = {(row.student_id, days.get(row.lesson_id or "", row.day)) for row in rows}
    attendance_store.mark_pairs(finder.connection, pairs, "mark")


def students_named(connection: Connection, serial_numbers: Iterable[str]) -> list[Student]:
    """Return the students with these serial numbers, each once. Raises NotFound for one that nobody has."""
    wanted = list(dict.fromkeys(serial.strip() for serial in serial_numbers))
    found = roster_store.find_students(connection, wanted)
    missing = [serial for serial in wanted if serial not in found]
    if missing:
        raise NotFound(
            f"there is no student with serial number {', '.join(missing[:5])}",
            hint="rollcall-hub student list shows them; zeros in front belong to the number",
        )
    return [found[serial] for serial in wanted]


def append_csv(office: Office, marks: Iterable[CsvMark]) -> str:
    """Append to the hub's attendance.csv; return what went wrong, as a sentence with what to do, or ""."""
    made = list(marks)
    if not made:
        return ""
    try:
        csv_file(office).append(lambda: _as_named_now(office, made))
    except BadInput as exc:
        return f"{exc}; {exc.hint}"
    except StoreUnavailable as exc:
        return f"attendance.csv was not written: {exc}; the marks are on record: rollcall-hub register csv-rebuild"
    return ""


def _as_named_now(office: Office, marks: Sequence[CsvMark]) -> list[CsvMark]:
    """Return the lines with the names that are on record now: somebody may have been erased since they were made."""
    ids = {one.student_id for one in marks}
    known = office.database.run(lambda connection: roster_store.students_by_id(connection, ids))
    return [
        replace(one, name=_csv_name(student), reason="" if student.erased else one.reason)
        for one in marks
        if (student := known.get(one.student_id)) is not None
    ]


def _csv_name(student: Student) -> str:
    return f"{student.fields.serial_number}_{student.fields.name}"


def csv_file(office: Office) -> AttendanceCsv:
    """Return the hub's attendance.csv."""
    # Settings that no file gave lie beside the data, never where the program was started.
    path = office.settings.data_dir / office.settings.attendance.csv_file
    return AttendanceCsv(path, office.settings.zone)


def csv_line(student: Student, occasion: Occasion, row: MarkRow | MarkLine, *, taken_back: bool = False) -> CsvMark:
    """Return the line of a mark: when the student came, else when the occasion began."""
    lesson = occasion.lesson
    return CsvMark(
        at=row.at or occasion.starts_at,
        student_id=student.student_id,
        name=_csv_name(student),
        mark_id=row.id if isinstance(row, MarkRow) else row.mark_id,
        lesson=lesson.lesson_id if lesson else "",
        method="Manual",
        status=TAKEN_BACK if taken_back else STATUS_OF_MARK.get(row.status, row.status),
        reason=row.reason,
        marked_by=row.made_by,
    )
