"""Closing a lesson's register: a person says that it is right. And opening it again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4, uuid5

from sqlalchemy import Connection

from hub.adapters import attendance_store, audit_log, closings_store, lesson_finding
from hub.core.errors import Conflict
from hub.core.register_marks import LessonFound, Occasion, Saying
from hub.office import marking
from hub.office.context import Office
from hub.office.lesson_pages import LessonPage, page_of
from hub.office.marking import Gesture, MarkLine, Wanted
from hub.office.occasions import Finder, Named


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """Which lessons are closed, and who of them is marked absent with the same gesture."""

    named: Named
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClosedLesson:
    """A lesson that is closed now; `new` is False when it was closed before, by whom the page says."""

    page: LessonPage
    new: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """What was closed, and who was marked absent with it."""

    lessons: tuple[ClosedLesson, ...]
    absent: tuple[MarkLine, ...] = field(default=())
    batch_id: str = ""
    csv_problem: str = ""


@dataclass(frozen=True, slots=True)
class Reopened:
    """Lessons that are open again, and those that were open before."""

    lessons: tuple[LessonFound, ...]
    open_before: tuple[LessonFound, ...]


def preview(office: Office, named: Named) -> list[LessonPage]:
    """Return the pages of the lessons that `close` would close, by start. Raises as it does."""

    def work(connection: Connection) -> list[LessonPage]:
        finder = Finder(connection, office, office.clock.now())
        return [page_of(finder, one) for one in _lessons(_to_close(finder, named))]

    return office.database.run(work, isolation="REPEATABLE READ")


def close(office: Office, request: CloseRequest) -> Closed:
    """Close lessons: whoever is Not seen becomes Absent; whoever is Not observed stays so until a person marks them.

    What is closed already stays as it is. Raises NotFound, BadInput, and Conflict for a lesson that was cancelled or
    has not begun, and for an absent student who is expected in none of them.
    """
    gesture = Gesture(str(uuid4()), office.clock.now(), office.actor)

    def work(connection: Connection) -> tuple[list[ClosedLesson], list[MarkLine]]:
        finder = Finder(connection, office, gesture.made_at)
        found = _to_close(finder, request.named)
        ids = lesson_finding.ids_of(_lessons(found))
        closings_store.lock(connection, ids)
        absent = marking.write(finder, gesture, _absent(finder, found, request.absent)) if request.absent else []
        closed = _close(connection, gesture, found)
        return [ClosedLesson(page_of(finder, one), one.lesson_id in closed) for one in _lessons(found)], absent

    lessons, absent = office.database.run(work)
    made = [marking.csv_line(line.student, line.occasion, line) for line in absent if line.new]
    problem = marking.append_csv(office, made)
    return Closed(tuple(lessons), tuple(absent), gesture.batch_id if made else "", problem)


def _close(connection: Connection, gesture: Gesture, found: Sequence[Occasion]) -> set[str]:
    """Close what is open; return those lessons, and those that this very gesture has closed before."""
    ids = {one.lesson_id: str(uuid5(UUID(gesture.batch_id), one.lesson_id)) for one in _lessons(found)}
    own = closings_store.closed_as(connection, ids.values())
    standing = closings_store.standing(connection, ids)
    new = {lesson_id: closing_id for lesson_id, closing_id in ids.items() if lesson_id not in standing}
    closings_store.close(connection, new, gesture.made_at, gesture.actor)
    _tell(connection, [one for one in found if one.lesson and one.lesson.lesson_id in new], gesture, "lesson.close")
    return {lesson_id for lesson_id, closing_id in ids.items() if lesson_id in new or closing_id in own}


def reopen(office: Office, named: Named) -> Reopened:
    """Open lessons again; what is open stays as it is. Raises NotFound, BadInput."""
    gesture = Gesture(str(uuid4()), office.clock.now(), office.actor)

    def work(connection: Connection) -> Reopened:
        finder = Finder(connection, office, gesture.made_at)
        found = finder.lessons(named)
        for day in {one.day for one in found}:
            finder.check_not_frozen(day)
        ids = lesson_finding.ids_of(_lessons(found))
        closings_store.lock(connection, ids)
        closed = set(closings_store.standing(connection, ids))
        own = closings_store.reopened_at(connection, ids, gesture.made_at, gesture.actor)
        closings_store.reopen(connection, closed, gesture.made_at, gesture.actor)
        _tell(
            connection,
            [one for one in found if one.lesson and one.lesson.lesson_id in closed],
            gesture,
            "lesson.reopen",
        )
        opened = closed | own
        return Reopened(
            tuple(one for one in _lessons(found) if one.lesson_id in opened),
            tuple(one for one in _lessons(found) if one.lesson_id not in opened),
        )

    return office.database.run(work)


def _to_close(finder: Finder, named: Named) -> list[Occasion]:
    found = finder.lessons(named)
    if named.whole_days:
        # Those of the day that are over or run; one that is named alone is refused instead.
        found = [one for one in found if one.starts_at <= finder.now] or found
    for occasion in found:
        _check_closable(finder, occasion)
    return found


def _check_closable(finder: Finder, occasion: Occasion) -> None:
    finder.check_not_frozen(occasion.day)
    if occasion.lesson is not None and occasion.lesson.cancelled_at is not None:
        raise Conflict(f"{occasion.described(finder.zone)} was cancelled: it has no register")
    if finder.now < occasion.starts_at:
        raise Conflict(f"{occasion.described(finder.zone)} has not begun")


def _absent(finder: Finder, found: Sequence[Occasion], serials: Sequence[str]) -> list[Wanted]:
    expected = lesson_finding.expected(finder.connection, lesson_finding.ids_of(_lessons(found)))
    wanted = []
    for student in marking.students_named(finder.connection, serials):
        theirs = [one for one in found if one.lesson and student.student_id in expected[one.lesson.lesson_id]]
        if not theirs:
            raise Conflict(
                f"student {student.fields.serial_number} is not expected in {found[0].described(finder.zone)}"
            )
        wanted += [Wanted(student, one, Saying("absent")) for one in theirs]
    return wanted


def _tell(connection: Connection, found: Sequence[Occasion], gesture: Gesture, action: str) -> None:
    expected = lesson_finding.expected(connection, lesson_finding.ids_of(_lessons(found)))
    pairs = set()
    for one in found:
        if one.lesson is None:
            continue
        lesson_id = one.lesson.lesson_id
        audit_log.record(
            connection,
            at=gesture.made_at,
            actor=gesture.actor,
            action=action,
            subject=f"lesson:{lesson_id}",
            detail={"expected": len(expected[lesson_id])},
            object_=f"lesson:{lesson_id}",
        )
        pairs |= {(student_id, one.day) for student_id in expected[lesson_id]}
    attendance_store.mark_pairs(connection, pairs, "closing")


def _lessons(found: Sequence[Occasion]) -> list[LessonFound]:
    return [one.lesson for one in found if one.lesson is not None]
