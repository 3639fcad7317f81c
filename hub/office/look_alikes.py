"""Pairs of students whom no machine tells apart: looking at them, deciding about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from hub.adapters import (
    audit_log,
    erasure_store,
    gallery_revisions,
    look_alike_store,
    picture_store,
    roster_store,
    template_store,
)
from hub.adapters.look_alike_store import OPERATOR, Pair, PairLine, pair_of
from hub.adapters.template_store import PictureLine
from hub.core.enrolment_duplicates import Keeping, Numbered, which_keeps
from hub.core.errors import BadInput, NotFound
from hub.core.roster import Student, checked_serial
from hub.core.roster_times import day_of
from hub.office.context import Office
from hub.office.students import find_present
from recognition.core.gallery import fuse


@dataclass(frozen=True, slots=True)
class LookAlikePair:
    """A pair on record. `score` is how alike their templates are (cosine), where it was measured."""

    one: Student
    other: Student
    origin: str
    """operator: a person said that they are two people; review: a teacher's answer; calibration: only found."""
    score: float | None
    decided_by: str
    since: datetime

    @property
    def confirmed(self) -> bool:
        """Whether a person said that they are two people."""
        return self.origin in look_alike_store.SAID_BY_PEOPLE


@dataclass(frozen=True, slots=True)
class Confirmed:
    """`before` is who knew of the pair until now, None for nobody; `new` is False when nothing had to be changed."""

    one: Student
    other: Student
    before: str | None
    new: bool


@dataclass(frozen=True, slots=True)
class SamePerson:
    """Two numbers that may stand for one person, and which to keep. `score`: how alike their templates are."""

    one: Numbered
    other: Numbered
    names: tuple[str, str]
    score: float | None
    keeping: Keeping


@dataclass(frozen=True, slots=True)
class OneForgotten:
    """What was deleted of the number that is not kept."""

    serial_number: str
    kept: str
    templates_deleted: int
    photos_deleted: int


def list_pairs(office: Office) -> list[LookAlikePair]:
    """Return all pairs: those that nobody confirmed first, the most alike of them first."""

    def work(connection: Connection) -> list[LookAlikePair]:
        lines = look_alike_store.lines(connection)
        people = roster_store.students_by_id(connection, {one for line in lines for one in line.pair})
        named = [_named(line, people[line.pair[0]], people[line.pair[1]]) for line in lines if _known(line, people)]
        return sorted(named, key=lambda pair: (pair.confirmed, -(pair.score or 0.0), pair.one.fields.serial_number))

    return office.database.run(work)


def confirm(office: Office, serial_number: str, other_serial_number: str) -> Confirmed:
    """Note that two students are two people: they may be enrolled side by side, and no unit tells them apart.

    Raises BadInput, NotFound, and Conflict for one who was erased.
    """
    tried: list[Confirmed] = []

    def work(connection: Connection) -> Confirmed:
        at = office.clock.now()
        look_alike_store.lock(connection, at)
        one, other, pair = _both(connection, serial_number, other_serial_number)
        before = _line_of(connection, pair)
        if before is not None and before.origin == OPERATOR:
            # Ours, if we have written it before: only the answer to that commit was lost.
            return tried[-1] if tried else Confirmed(one, other, OPERATOR, new=False)
        look_alike_store.add(connection, one.student_id, [other.student_id], at, office.actor)
        origin = before.origin if before is not None else None
        if origin is None:
            # Units know of a pair that was found before: for them nothing changes.
            gallery_revisions.touch_galleries(connection, at)
        _record(connection, office, at, "lookalike.confirm", pair, {"before": origin})
        tried.append(Confirmed(one, other, origin, new=True))
        return tried[-1]

    return office.database.run(work)


def remove(office: Office, serial_number: str, other_serial_number: str) -> LookAlikePair:
    """Remove a pair: units tell the two apart again, until a calibration finds them once more. Return what it was.

    Raises BadInput, NotFound for an unknown student or pair, and Conflict for one who was erased.
    """
    tried: list[LookAlikePair] = []

    def work(connection: Connection) -> LookAlikePair:
        at = office.clock.now()
        look_alike_store.lock(connection, at)
        one, other, pair = _both(connection, serial_number, other_serial_number)
        line = _line_of(connection, pair)
        if line is None:
            if tried:
                return tried[-1]  # the commit whose answer was lost
            raise NotFound(
                f"{one.fields.serial_number} and {other.fields.serial_number} are no pair of look-alikes",
                hint="rollcall-hub lookalike list shows the pairs",
            )
        look_alike_store.remove(connection, pair)
        gallery_revisions.touch_galleries(connection, at)
        _record(connection, office, at, "lookalike.remove", pair, {"before": line.origin})
        tried.append(_named(line, one, other))
        return tried[-1]

    return office.database.run(work)


def same_person(office: Office, serial_number: str, other_serial_number: str) -> SamePerson:
    """Return what to do when two students are one person enrolled twice; nothing is changed.

    Raises BadInput, NotFound, and Conflict for one who was erased.
    """
    now = office.clock.now()

    def work(connection: Connection) -> SamePerson:
        one, other, _ = _both(connection, serial_number, other_serial_number)
        lines = [template_store.list_pictures(connection, student.student_id) for student in (one, other)]
        numbers = [_numbered(office, student, theirs, now) for student, theirs in zip((one, other), lines, strict=True)]
        score = _score(connection, office, (one, other), lines)
        names = (one.fields.name, other.fields.name)
        return SamePerson(numbers[0], numbers[1], names, score, which_keeps(numbers[0], numbers[1]))

    return office.database.run(work)


def forget_one(office: Office, serial_number: str, other_serial_number: str, forget: str) -> OneForgotten:
    """Delete the templates, kept pictures and look-alike pairs of one of two numbers of one person.

    Consents, the roster and the register stay as they are. Raises BadInput when `forget` is neither of them, NotFound,
    and Conflict for one who was erased.
    """
    forget = checked_serial(forget)
    tried: list[OneForgotten] = []

    def work(connection: Connection) -> OneForgotten:
        at = office.clock.now()
        look_alike_store.lock(connection, at)
        one, other, pair = _both(connection, serial_number, other_serial_number)
        if forget not in (one.fields.serial_number, other.fields.serial_number):
            raise BadInput(f"{forget} is neither {one.fields.serial_number} nor {other.fields.serial_number}")
        gone_student, kept = (one, other) if forget == one.fields.serial_number else (other, one)
        gone = erasure_store.delete_faces(connection, [gone_student.student_id])
        if tried and not (gone.templates or gone.photos):
            return tried[-1]  # the commit whose answer was lost
        detail: dict[str, audit_log.Json] = {
            "forgotten": gone_student.student_id,
            "templates_deleted": gone.templates,
            "photos_deleted": gone.photos,
        }
        _record(connection, office, at, "lookalike.same", pair, detail)
        gallery_revisions.touch_galleries(connection, at)
        tried.append(OneForgotten(forget, kept.fields.serial_number, gone.templates, gone.photos))
        return tried[-1]

    return office.database.run(work)


def _both(connection: Connection, serial_number: str, other_serial_number: str) -> tuple[Student, Student, Pair]:
    one = find_present(connection, checked_serial(serial_number))
    other = find_present(connection, checked_serial(other_serial_number))
    if one.student_id == other.student_id:
        raise BadInput(f"{one.fields.serial_number} is named twice", hint="name two students")
    return one, other, pair_of(one.student_id, other.student_id)


def _line_of(connection: Connection, pair: Pair) -> PairLine | None:
    return next((line for line in look_alike_store.lines(connection) if line.pair == pair), None)


def _known(line: PairLine, people: dict[str, Student]) -> bool:
    return all(one in people for one in line.pair)


def _named(line: PairLine, one: Student, other: Student) -> LookAlikePair:
    first, second = sorted((one, other), key=lambda student: student.fields.serial_number)
    return LookAlikePair(first, second, line.origin, line.score, line.decided_by, line.decided_at)


def _numbered(office: Office, student: Student, lines: Sequence[PictureLine], now: datetime) -> Numbered:
    fields = student.fields
    return Numbered(
        serial_number=fields.serial_number,
        at_school=fields.left_on is None or fields.left_on >= day_of(now, office.settings.zone),
        section=fields.section,
        pictures=len({line.picture_sha256 for line in lines}),
        first_enrolled=min((line.created_at for line in lines), default=None),
    )


def _score(
    connection: Connection, office: Office, students: tuple[Student, Student], lines: Sequence[Sequence[PictureLine]]
) -> float | None:
    """Return how alike two students' templates are, with the newest pack that both are enrolled with."""
    newest = max((line for theirs in lines for line in theirs), key=lambda line: line.created_at, default=None)
    packs = {line.pack_id for line in lines[0]} & {line.pack_id for line in lines[1]}
    if newest is None or not packs:
        return None
    pack_id = newest.pack_id if newest.pack_id in packs else max(packs)
    fused = []
    for student in students:
        members = picture_store.members(connection, office.keys.ring(), student.student_id, pack_id)
        if not members:
            return None
        fused.append(fuse(np.stack([member.vector for member in members])))
    return float(np.clip(fused[0] @ fused[1], -1.0, 1.0))


def _record(
    connection: Connection,
    office: Office,
    at: datetime,
    action: str,
    pair: Pair,
    detail: dict[str, audit_log.Json],
) -> None:
    one, other = (f"student:{student_id}" for student_id in pair)
    audit_log.record(connection, at=at, actor=office.actor, action=action, subject=one, detail=detail, object_=other)
