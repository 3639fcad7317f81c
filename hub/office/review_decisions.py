"""Answering a question: it was this student, it was another one, it was none of them; and taking the answer back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import (
    audit_log,
    gallery_revisions,
    lesson_finding,
    look_alike_store,
    marks_store,
    review_store,
    template_store,
)
from hub.adapters.attendance_csv import CsvMark
from hub.adapters.review_store import Asked, Decision
from hub.core.errors import BadInput, Conflict
from hub.core.register_marks import Occasion, Saying, of_lesson
from hub.core.roster import Student
from hub.core.roster_lessons import LONGEST_LESSON
from hub.core.roster_times import day_bounds, day_of
from hub.office import marking, marks
from hub.office.answers import ACCEPTED, REJECTED, take_back, tell
from hub.office.context import Office
from hub.office.marking import Gesture, MarkLine, Wanted
from hub.office.occasions import Finder
from hub.office.reviews import ReviewLine, find_question


@dataclass(frozen=True, slots=True)
class Answered:
    """What stands of a question now. `new` is False when this very answer stood before, or none did to take back."""

    line: ReviewLine
    student: Student | None
    mark: MarkLine | None
    new: bool
    pairs: int = 0
    """How many pairs of look-alikes came of it, or went."""
    csv_problem: str = ""


class _Answer:
    """One answer in one transaction."""

    def __init__(self, connection: Connection, office: Office, gesture: Gesture, key: str, day: date | None) -> None:
        review_store.lock(connection, gesture.made_at)
        self.connection = connection
        self.gesture = gesture
        self.finder = Finder(connection, office, gesture.made_at)
        self.questions, self.item = find_question(self.finder, key, day)
        self.finder.check_not_frozen(self.item.day)
        self.before = review_store.decisions(connection, [self.item.key]).get(self.item.key)

    @property
    def line(self) -> ReviewLine:
        return self.questions.described(self.item, self.before)

    @property
    def asked(self) -> Asked:
        """What the question is, whoever answers it."""
        return Asked(self.item.place, self.item.candidates)

    @property
    def days(self) -> set[date]:
        """The days whose register the answer may change."""
        return {self.item.day, day_of(self.item.first_at, self.finder.zone)}

    def check_open(self, outcome: str, student_id: str | None) -> bool:
        """Return whether nobody has answered; False when this answer stands. Raises Conflict when another does."""
        if self.before is None:
            return True
        if (self.before.outcome, self.before.student_id) == (outcome, student_id):
            return False
        raise Conflict(
            f"this was {self.before.outcome} by {self.before.decided_by}",
            hint=f"take that back first: rollcall-hub review undo {self.item.key[:12]}",
        )

    def mark_present(self, student: Student, *, guest: bool) -> MarkLine | None:
        """Mark a student present where they should have been when they were seen; None where that was nowhere."""
        occasion = self._occasion(student, guest=guest)
        if occasion is None:
            return None
        away = occasion.lesson is not None and occasion.lesson.room_id != self.item.room_id
        room = f"seen in {self.line.room}" if away else ""
        said = Saying("present", "review", room)
        wanted = Wanted(student, occasion, said, self.item.first_at)
        return marking.write(self.finder, self.gesture, [wanted])[0]

    def _occasion(self, student: Student, *, guest: bool) -> Occasion | None:
        finder, moment = self.finder, self.item.first_at
        day = day_of(moment, finder.zone)
        since, before = day_bounds(day, finder.zone)[0], day_bounds(day, finder.zone)[1]
        lessons = lesson_finding.of_students(
            self.connection, [student.student_id], since - LONGEST_LESSON, before + LONGEST_LESSON
        )[student.student_id]
        theirs = [of_lesson(one, finder.zone) for one in lessons]
        now = finder.at(theirs, moment)
        if now:
            return now[0]
        if self.line.lesson is not None and guest:
            return of_lesson(self.line.lesson, finder.zone)
        return None if any(one.day == day for one in theirs) else finder.window_at(moment)

    def decide(self, outcome: str, student: Student | None, mark: MarkLine | None) -> None:
        """Write the answer down, with its audit entry, and ask for the register to be derived again."""
        student_id = student.student_id if student else None
        made = mark.mark_id if mark and mark.new else None
        gesture = self.gesture
        self.before = Decision(
            gesture.batch_id, self.item.key, outcome, student_id, made, gesture.made_at, gesture.actor[:100]
        )
        review_store.decide(self.connection, self.before)
        action = "review.accept" if outcome == ACCEPTED else "review.reject"
        self.tell(action, {"student": student_id, "mark": made, "candidates": list(self.item.candidates)})

    def tell(self, action: str, detail: dict[str, audit_log.Json]) -> None:
        """Write an audit entry, and ask for the register of all candidates to be derived again."""
        tell(self.connection, self.gesture, self.item.key, self.asked, self.days, action, detail)


def accept(office: Office, key: str, serial_number: str | None = None, *, day: date | None = None) -> Answered:
    """Say that it was this student: they are marked present in their lesson, at the first moment they were seen.

    With one candidate the serial number may be left out. Raises NotFound, BadInput for somebody who is no candidate,
    Conflict when another answer stands.
    """
    gesture = Gesture(str(uuid4()), office.clock.now(), office.actor, origin="review")

    def work(connection: Connection) -> Answered:
        answer = _Answer(connection, office, gesture, key, day)
        student = _candidate(answer.line, serial_number)
        if not answer.check_open(ACCEPTED, student.student_id):
            return _before(answer, student)
        mark = answer.mark_present(student, guest=True)
        answer.decide(ACCEPTED, student, mark)
        return Answered(answer.line, student, mark, new=True)

    return _with_csv(office, office.database.run(work))


def reject(office: Office, key: str, really: str | None = None, *, day: date | None = None) -> Answered:
    """Say that it was none of the candidates, or (`really`, a serial number) who it was.

    Whoever it really was and each candidate are look-alikes from now on, and that student is marked present if expected
    somewhere then. Without a name, each candidate is told apart by a larger margin. Raises as `accept`.
    """
    gesture = Gesture(str(uuid4()), office.clock.now(), office.actor, origin="review")

    def work(connection: Connection) -> Answered:
        answer = _Answer(connection, office, gesture, key, day)
        # Before all else, as an erasure does: whoever is erased makes no pair and no margin any more.
        said = look_alike_store.lock(connection, gesture.made_at)
        student = marking.students_named(connection, [really])[0] if really is not None else None
        others = [
            one.student_id for one in answer.line.candidates if student is None or one.student_id != student.student_id
        ]
        if student is not None and not others:
            raise BadInput(
                "that is the only candidate", hint=f"rollcall-hub review accept {answer.item.key[:12]} says it was them"
            )
        if not answer.check_open(REJECTED, student.student_id if student else None):
            return _before(answer, student)
        mark = answer.mark_present(student, guest=False) if student else None
        pairs = _tell_apart(connection, gesture, student, others, said)
        answer.decide(REJECTED, student, mark)
        gallery_revisions.touch_galleries(connection, gesture.made_at)
        return Answered(answer.line, student, mark, new=True, pairs=pairs)

    return _with_csv(office, office.database.run(work))


def undo(office: Office, key: str, *, day: date | None = None) -> Answered:
    """Take an answer back, with the mark, the pairs and the margins that came of it. Raises NotFound, Conflict."""
    gesture = Gesture(str(uuid4()), office.clock.now(), office.actor, origin="review")

    def work(connection: Connection) -> tuple[Answered, list[CsvMark]]:
        answer = _Answer(connection, office, gesture, key, day)
        decision = answer.before or review_store.undone_at(connection, answer.item.key, gesture.made_at)
        if decision is None:
            return Answered(answer.line, None, None, new=False), []
        batch = marks_store.of_batch(connection, decision.id)
        rows = [row for row in batch if row.undone_at in (None, gesture.made_at)]
        gone = [marking.csv_line(*one, taken_back=True) for one in marks.described(answer.finder, rows)]
        if answer.before is None:
            return Answered(answer.line, None, None, new=True), gone  # the commit whose answer was lost
        marking.take_back_rows(answer.finder, [row for row in rows if row.undone_at is None], gesture)
        pairs = take_back(connection, gesture, decision, answer.asked, answer.days)
        answer.before = None
        return Answered(answer.line, None, None, new=True, pairs=pairs), gone

    answered, gone = office.database.run(work)
    return replace(answered, csv_problem=marking.append_csv(office, gone))


def _candidate(line: ReviewLine, serial_number: str | None) -> Student:
    serials = [one.fields.serial_number for one in line.candidates]
    if serial_number is None and len(line.candidates) == 1:
        return line.candidates[0]
    for one in line.candidates:
        if serial_number is not None and one.fields.serial_number == serial_number.strip():
            return one
    said = "which of them was it?" if serial_number is None else f"{serial_number.strip()} is no candidate"
    raise BadInput(
        f"{said} The candidates: {', '.join(serials) or 'none who is still on record'}",
        hint="name one with --student; if it was somebody else: rollcall-hub review reject KEY --is SERIAL",
    )


def _tell_apart(
    connection: Connection,
    gesture: Gesture,
    student: Student | None,
    candidates: Sequence[str],
    said: frozenset[look_alike_store.Pair],
) -> int:
    """Make pairs of the student and the others, or without a student raise the others' margins; count the pairs.

    Only of candidates who are still recognised, and of no student who was erased. The caller holds the lock.
    """
    others = template_store.enrolled(connection, candidates)
    if student is None:
        review_store.raise_margins(connection, others, gesture.made_at)
        return 0
    if student.erased:
        return 0
    new = [one for one in others if look_alike_store.pair_of(student.student_id, one) not in said]
    look_alike_store.add(
        connection, student.student_id, new, gesture.made_at, gesture.actor, origin=look_alike_store.REVIEW
    )
    return len(new)


def _before(answer: _Answer, student: Student | None) -> Answered:
    """Return an answer that stands; one of this very gesture was committed by a transaction whose answer was lost."""
    own = answer.before is not None and answer.before.id == answer.gesture.batch_id
    rows = marks_store.of_batch(answer.connection, answer.gesture.batch_id) if own else []
    found = marks.described(answer.finder, rows)
    mark = None
    if found:
        who, occasion, row = found[0]
        mark = MarkLine(who, occasion, row.status, row.at, row.reason, row.note, row.id, row.made_by, new=True)
    return Answered(answer.line, student, mark, new=own)


def _with_csv(office: Office, answered: Answered) -> Answered:
    mark = answered.mark
    if mark is None or not mark.new:
        return answered
    problem = marking.append_csv(office, [marking.csv_line(mark.student, mark.occasion, mark)])
    return replace(answered, csv_problem=problem)
