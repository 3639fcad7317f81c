"""The page of a lesson: every student with status and reason, who closed it, and what changed since."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from hub.adapters import closings_store, register_store
from hub.adapters.closings_store import Change, Closing, HowManySeen
from hub.core.register_marks import LessonFound
from hub.core.register_sheet import UNMARKED, Mark, SheetStudent
from hub.core.register_words import State, lesson_state
from hub.office.context import Office
from hub.office.occasions import Finder, Named, one_lesson


@dataclass(frozen=True, slots=True)
class PageLine:
    """A student in a lesson. `mark` is None while nothing is on record; `status` is what people read then."""

    student: SheetStudent
    status: str
    mark: Mark | None
    expected: bool

    @property
    def missing(self) -> bool:
        """Whether closing the lesson makes the student absent: a unit would have seen them, and no person spoke."""
        return self.mark is not None and self.mark.rule in {"not_seen", "held"} and self.mark.machine_rule == "not_seen"

    @property
    def unknown(self) -> bool:
        """Whether nobody can tell, and closing does not either: a person has to mark the student."""
        return self.status in {UNMARKED, ""} and not self.missing


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A status that changed after the lesson was closed."""

    student: SheetStudent
    change: Change


@dataclass(frozen=True, slots=True)
class LessonPage:
    """Everything about one lesson's register. `waiting`: students whose rows are about to be derived again."""

    lesson: LessonFound
    state: State
    closing: Closing | None
    closings: tuple[Closing, ...]
    counted: HowManySeen | None
    lines: tuple[PageLine, ...]
    changes: tuple[StatusChange, ...]
    waiting: int

    @property
    def missing(self) -> tuple[PageLine, ...]:
        """Whom closing makes absent."""
        return tuple(line for line in self.lines if line.missing)

    @property
    def unknown(self) -> tuple[PageLine, ...]:
        """Whom closing leaves Not observed."""
        return tuple(line for line in self.lines if line.unknown)


def lesson_page(office: Office, named: Named) -> LessonPage:
    """Return the page of the one lesson that is meant. Raises NotFound, Conflict when several are meant."""

    def work(connection: Connection) -> LessonPage:
        finder = Finder(connection, office, office.clock.now())
        return page_of(finder, one_lesson(finder, named))

    return office.database.run(work, isolation="REPEATABLE READ")


def page_of(finder: Finder, lesson: LessonFound) -> LessonPage:
    """Return the page of a lesson."""
    connection, now = finder.connection, finder.now
    day = lesson.starts_at.astimezone(finder.zone).date()
    records = register_store.read_lesson(connection, lesson, day)
    closing = closings_store.standing(connection, [lesson.lesson_id]).get(lesson.lesson_id)
    counted = closings_store.how_many_seen(connection, [lesson.lesson_id]).get(lesson.lesson_id)
    changes = closings_store.changes_since(connection, lesson.lesson_id, closing.closed_at) if closing else []
    known = {one.student_id: one for one in records.students}
    others = register_store.students_by_id(connection, {one.student_id for one in changes} - known.keys())
    known |= {one.student_id: one for one in others}
    state = lesson_state(
        lesson.starts_at,
        lesson.ends_at,
        now,
        closed=closing is not None,
        held=counted is not None and counted.held,
        cancelled=lesson.cancelled_at is not None,
    )
    return LessonPage(
        lesson=lesson,
        state=state,
        closing=closing,
        closings=tuple(closings_store.history(connection, lesson.lesson_id)),
        counted=counted,
        lines=tuple(_line(student, records.marks, records.expected, state) for student in records.students),
        changes=tuple(StatusChange(known[one.student_id], one) for one in changes if one.student_id in known),
        waiting=records.waiting,
    )


def _line(student: SheetStudent, marks: Mapping[str, Mark], expected: frozenset[str], state: State) -> PageLine:
    mark = marks.get(student.student_id)
    status = mark.status if mark else "" if state == "to come" else UNMARKED
    return PageLine(student, status, mark, student.student_id in expected)
