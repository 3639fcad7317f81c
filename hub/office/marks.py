"""What people say of students: marking one or a whole section, excusing in advance, taking it back."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import lesson_finding, marks_store, review_store, roster_store
from hub.adapters.attendance_csv import CsvMark
from hub.adapters.marks_store import MarkRow
from hub.core.attendance_facts import DayWindow
from hub.core.errors import BadInput, Conflict, NotFound
from hub.core.register_marks import CAME, Occasion, Saying, came_at, check_markable, of_lesson, of_window, saying
from hub.core.roster import Student
from hub.core.roster_times import day_bounds, day_of
from hub.office import days_meant, marking
from hub.office.answers import take_back_of_marks
from hub.office.context import Office
from hub.office.marking import Gesture, MarkLine, UndoneLine, Wanted
from hub.office.occasions import Finder, Named, checked_id

_MOST_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class MarkRequest:
    """What is said of whom: of the students named, or without any of all who are expected there but for `besides`."""

    status: str = ""
    named: Named = field(default_factory=Named)
    serial_numbers: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    reason: str = ""
    note: str = ""
    guest: bool = False
    """A student who is not expected in the lesson may be marked in it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What stands now. `csv_problem`: why attendance.csv could not be written, with what to do; the marks stand."""

    batch_id: str
    lines: tuple[MarkLine, ...]
    left_out: tuple[date, ...] = ()
    """Days of the span on which one of them has no lesson, though lessons on others: nothing was marked there."""
    csv_problem: str = ""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What was taken back; nothing when nothing stood. `batch_id`: under which it can be found in the audit log."""

    batch_id: str
    lines: tuple[UndoneLine, ...]
    answers: int = 0
    """How many answers to questions (`review`) were taken back with the marks that came of them."""
    csv_problem: str = ""


def mark(office: Office, request: MarkRequest) -> Marked:
    """Mark students; a mark that stands like that already stays as it is.

    Raises BadInput for what cannot be used, NotFound for what does not exist, Conflict for a lesson that was cancelled
    or has not begun, and for a student who is not expected there and is no guest.
    """
    said = saying(request.status, request.reason, request.note)
    gesture = _gesture(office)

    def work(connection: Connection) -> Marked:
        finder = Finder(connection, office, gesture.made_at)
        chosen = days_meant.sensible(finder, _chosen(finder, request), said.status)
        for occasion in {occasion.key: occasion for _, occasion in chosen}.values():
            check_markable(occasion, said.status, gesture.made_at, finder.early(occasion), finder.zone)
        # Of many one moment says nothing of when each of them came.
        at = request.named.at if request.serial_numbers else None
        wanted = [_wanted(finder, student, occasion, said, at) for student, occasion in chosen]
        lines = marking.write(finder, gesture, wanted)
        return Marked(gesture.batch_id, tuple(lines), _left_out(finder, request.named, chosen))

    done = office.database.run(work)
    made = [line for line in done.lines if line.new]
    problem = marking.append_csv(office, (marking.csv_line(line.student, line.occasion, line) for line in made))
    return replace(done, csv_problem=problem)


def _left_out(finder: Finder, named: Named, chosen: Sequence[tuple[Student, Occasion]]) -> tuple[date, ...]:
    if not named.whole_days:
        return ()
    days_of: dict[str, set[date]] = {}
    for student, occasion in chosen:
        days_of.setdefault(student.student_id, set()).add(occasion.day)
    return tuple(day for day in finder.school_days(named) if any(day not in theirs for theirs in days_of.values()))


def _wanted(finder: Finder, student: Student, occasion: Occasion, said: Saying, at: datetime | None) -> Wanted:
    came = came_at(occasion, said.status, at, finder.early(occasion))
    if at is not None and came is None and said.status in CAME:
        raise BadInput(
            f"{at.astimezone(finder.zone):%Y-%m-%d %H:%M} is not in {occasion.described(finder.zone)}",
            hint="write the moment in full, like 2026-09-01T08:20, or leave it out",
        )
    return Wanted(student, occasion, said, came)


def unmark(office: Office, request: MarkRequest) -> TakenBack:
    """Take back every mark of these students on these occasions, also one that was made at a unit.

    `request` names them as for `mark`; what it says is not looked at. Raises as `mark`.
    """
    gesture = _gesture(office)

    def work(connection: Connection) -> TakenBack:
        review_store.lock(connection, gesture.made_at)
        finder = Finder(connection, office, gesture.made_at)
        lines = marking.take_back_all(finder, _chosen(finder, request, anybody=True), gesture)
        answers = take_back_of_marks(finder, gesture, [row for line in lines for row in line.taken_back])
        return TakenBack(gesture.batch_id, tuple(lines), answers)

    return _after_undo(office, office.database.run(work))


def unmark_batch(office: Office, batch_id: str) -> TakenBack:
    """Take back the marks that were made with one gesture; what stood before them stands again.

    Raises NotFound for an unknown batch.
    """
    batch_id = checked_id(batch_id, "batch")
    gesture = _gesture(office)

    def work(connection: Connection) -> TakenBack:
        review_store.lock(connection, gesture.made_at)
        rows = marks_store.of_batch(connection, batch_id)
        if not rows:
            raise NotFound(f"there is no batch {batch_id}", hint="`mark` says its batch; so does the audit log")
        standing = [row for row in rows if row.undone_at in (None, gesture.made_at)]
        finder = Finder(connection, office, gesture.made_at)
        for day in {row.day for row in standing}:
            finder.check_not_frozen(day)
        marking.take_back_rows(finder, [row for row in standing if row.undone_at is None], gesture)
        answers = take_back_of_marks(finder, gesture, standing)
        left = marks_store.standing(connection, {row.student_id for row in rows}, {row.occasion for row in rows})
        lines = [
            UndoneLine(student, occasion, (row,), False, _stands(left.get(row.place, ())))
            for student, occasion, row in described(finder, standing)
        ]
        return TakenBack(batch_id, tuple(lines), answers)

    return _after_undo(office, office.database.run(work))


def rebuild_csv(office: Office, *, if_there: bool = False) -> int:
    """Write attendance.csv anew from the marks that stand; return how many lines it has.

    `if_there`: a file that nobody has made stays unmade. Raises BadInput.
    """

    def work(connection: Connection) -> list[tuple[Student, Occasion, MarkRow]]:
        span = marks_store.days_marked(connection)
        rows = marks_store.made_from(connection, *span) if span else []
        finder = Finder(connection, office, office.clock.now())
        made_here = [row for row in rows if row.status != marks_store.MACHINE and row.origin != marks_store.LEGACY]
        return described(finder, made_here)

    def lines() -> list[CsvMark]:
        return [marking.csv_line(*one) for one in office.database.run(work)]

    return marking.csv_file(office).rebuild(lines, if_there=if_there)


def described(finder: Finder, rows: Sequence[MarkRow]) -> list[tuple[Student, Occasion, MarkRow]]:
    """Return marks with the students and occasions they are of."""
    students = roster_store.students_by_id(finder.connection, {row.student_id for row in rows})
    lessons = lesson_finding.by_id(finder.connection, {row.lesson_id for row in rows if row.lesson_id})
    found = []
    for row in rows:
        lesson = lessons.get(row.lesson_id) if row.lesson_id else None
        occasion = of_lesson(lesson, finder.zone) if lesson else _part_of_day(finder, row.occasion, row.day)
        if row.student_id in students:
            found.append((students[row.student_id], occasion, row))
    return found


def _part_of_day(finder: Finder, key: str, day: date) -> Occasion:
    for one in finder.windows(day):
        if one.key == key:
            return one
    # The rules of that day have other parts by now.
    name = ":".join(key.split(":")[2:])
    return of_window(DayWindow(day, *day_bounds(day, finder.zone), name))


def _stands(rows: Sequence[MarkRow]) -> str:
    return rows[-1].status if rows and rows[-1].status != marks_store.MACHINE else ""


def _gesture(office: Office) -> Gesture:
    return Gesture(str(uuid4()), office.clock.now(), office.actor)


def _after_undo(office: Office, done: TakenBack) -> TakenBack:
    undone = [
        marking.csv_line(line.student, line.occasion, row, taken_back=True)
        for line in done.lines
        for row in line.taken_back
    ]
    return replace(done, csv_problem=marking.append_csv(office, undone))


def _chosen(finder: Finder, request: MarkRequest, *, anybody: bool = False) -> list[tuple[Student, Occasion]]:
    """Return who is meant, each with an occasion. With `anybody`, also whoever is not expected there."""
    if not request.serial_numbers:
        found = _everybody(finder, request)
    elif request.besides:
        raise BadInput("students are named, and others excepted: only one of both makes sense")
    else:
        found = _students_named(finder, request, anybody=anybody)
    for day in {occasion.day for _, occasion in found}:
        finder.check_not_frozen(day)
    if len(found) > _MOST_AT_ONCE:
        raise BadInput(f"these are {len(found)} marks at once, more than anybody means: name fewer days")
    return found


def _students_named(finder: Finder, request: MarkRequest, *, anybody: bool) -> list[tuple[Student, Occasion]]:
    named = request.named
    students = marking.students_named(finder.connection, request.serial_numbers)
    if named.lesson_id is None and named.section is None and named.room is None:
        return [(student, occasion) for student in students for occasion in finder.of_student(student, named)]
    occasions = finder.lessons(named)
    expected = lesson_finding.expected(finder.connection, _lesson_ids(occasions))
    if not anybody and not request.guest:
        for student in students:
            _check_expected(finder, student, occasions, expected)
    return [
        (student, one)
        for student in students
        for one in occasions
        if anybody or request.guest or student.student_id in expected[_lesson_id(one)]
    ]


def _check_expected(
    finder: Finder, student: Student, occasions: Sequence[Occasion], expected: dict[str, list[str]]
) -> None:
    if not any(student.student_id in expected[_lesson_id(one)] for one in occasions):
        # One that was cancelled has nobody, and is refused for that.
        if any(one.lesson is not None and one.lesson.cancelled_at is not None for one in occasions):
            check_markable(occasions[0], "excused", finder.now, finder.early(occasions[0]), finder.zone)
        raise Conflict(
            f"student {student.fields.serial_number} is not expected in {occasions[0].described(finder.zone)}",
            hint="with --guest they are marked there all the same",
        )


def _everybody(finder: Finder, request: MarkRequest) -> list[tuple[Student, Occasion]]:
    named = request.named
    if named.lesson_id is None and named.section is None and named.room is None:
        raise BadInput("who is meant?", hint="name students with --serial, or all of a lesson, --section or --room")
    occasions = _lessons_or_days(finder, named)
    for one in occasions:
        if one.lesson is not None and one.lesson.cancelled_at is not None:
            check_markable(one, "excused", finder.now, finder.early(one), finder.zone)
    expected = lesson_finding.expected(finder.connection, _lesson_ids(occasions))
    ids = [(student_id, one) for one in occasions for student_id in _members(finder, named, one, expected)]
    students = roster_store.students_by_id(finder.connection, {student_id for student_id, _ in ids})
    besides = {one.student_id for one in marking.students_named(finder.connection, request.besides)}
    if strangers := besides - set(students):
        serials = roster_store.students_by_id(finder.connection, strangers).values()
        raise NotFound(f"{', '.join(one.fields.serial_number for one in serials)} is not among them")
    found = [(students[student_id], one) for student_id, one in ids if student_id not in besides]
    if not found:
        raise Conflict(f"nobody is expected in {occasions[0].described(finder.zone)}")
    return sorted(found, key=lambda one: (one[1].starts_at, one[1].key, one[0].fields.serial_number))


def _lessons_or_days(finder: Finder, named: Named) -> list[Occasion]:
    """Return the lessons that are meant; of a section that has none then on any of the days, their parts."""
    if named.lesson_id is None and named.section is not None and named.room is None:
        found = finder.of_place(named)
        moment = named.at or finder.now
        if named.whole_days and not found:
            return finder.free_days(named)
        if not named.whole_days and not any(one.day == day_of(moment, finder.zone) for one in found):
            return finder.at(found, moment) or [finder.window_at(moment)]
    return finder.lessons(named)


def _members(finder: Finder, named: Named, one: Occasion, expected: dict[str, list[str]]) -> Sequence[str]:
    if one.lesson is not None:
        return expected[one.lesson.lesson_id]
    if named.section is None:
        return ()
    return lesson_finding.members(finder.connection, finder.section_id(named.section), one.starts_at)


def _lesson_ids(occasions: Sequence[Occasion]) -> list[str]:
    return [one.lesson.lesson_id for one in occasions if one.lesson is not None]


def _lesson_id(one: Occasion) -> str:
    return one.lesson.lesson_id if one.lesson else one.key
