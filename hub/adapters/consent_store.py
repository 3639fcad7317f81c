"""Consents in the database. A consent is never deleted or rewritten; it ends by withdrawal or by its date."""

import json
from collections.abc import Collection, Mapping
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, insert, or_, select, update

from hub.adapters.schema import consents, events, sections, students
from hub.core.roster_consent import RECOGNITION, Consent, ConsentFields, Scope, scope_of, scope_text

_ROWS_AT_ONCE = 500


def in_force(at: datetime, scope: Scope = RECOGNITION) -> ColumnElement[bool]:
    """Return the condition that a row of `consents` allows something at a moment."""
    return and_(
        consents.c.given_at <= at,
        consents.c.withdrawn_at.is_(None),
        or_(consents.c.expires_at.is_(None), consents.c.expires_at > at),
        func.find_in_set(scope, consents.c.scope) > 0,
    )


def students_with(
    connection: Connection, at: datetime, *, scope: Scope = RECOGNITION, student_id: str | None = None
) -> set[str]:
    """Return the ids of the students (or of the one student) of whom something is allowed at a moment."""
    statement = select(consents.c.student_id).where(in_force(at, scope))
    if student_id is not None:
        statement = statement.where(consents.c.student_id == student_id)
    return set(connection.execute(statement).scalars())


def sweeps(connection: Connection, unit_id: str) -> bool:
    """Tell whether a unit looks around in its room, by what it last said of its watching; a new unit is at a door."""
    newest = (
        select(events.c.body)
        .where(events.c.unit_id == unit_id, events.c.kind == "coverage")
        .order_by(events.c.at_corrected.desc())
        .limit(1)
    )
    body = connection.execute(newest).scalar()
    # Of a mode that this program does not know it takes what allows least, as everybody who reads coverage does.
    return body is not None and json.loads(body).get("mode", "door") != "door"


def insert_consents(
    connection: Connection, new: Mapping[str, tuple[str, ConsentFields]], recorded_by: str = ""
) -> None:
    """Add consents, given as id to the student's id and the fields."""
    values = [
        {
            "id": consent_id,
            "student_id": student_id,
            "given_at": fields.given_at,
            "given_by": fields.given_by,
            "reference": fields.reference,
            "expires_at": fields.expires_at,
            "scope": scope_text(fields.scope),
            "recorded_by": recorded_by[:100],
        }
        for consent_id, (student_id, fields) in new.items()
    ]
    for start in range(0, len(values), _ROWS_AT_ONCE):
        connection.execute(insert(consents), values[start : start + _ROWS_AT_ONCE])


def list_consents(connection: Connection, *, serial_number: str | None = None) -> list[Consent]:
    """Return consents by serial number and date."""
    statement = _consents().order_by(students.c.serial_number, consents.c.given_at, consents.c.id)
    if serial_number is not None:
        statement = statement.where(students.c.serial_number == serial_number)
    return [_consent(row) for row in connection.execute(statement)]


def consents_of(connection: Connection, student_ids: Collection[str]) -> dict[str, list[Consent]]:
    """Return the consents of these students by student; a student without any is not a key."""
    found: dict[str, list[Consent]] = {}
    wanted = sorted(student_ids)
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = wanted[start : start + _ROWS_AT_ONCE]
        for row in connection.execute(_consents().where(consents.c.student_id.in_(part))):
            found.setdefault(row.student_id, []).append(_consent(row))
    return found


def students_by_section(
    connection: Connection, today: date, section: str | None = None
) -> list[tuple[str, str, str, str | None]]:
    """Return id, serial number, name and section of every student who was not erased and has not left.

    By section and serial number; `section` None: of all of them.
    """
    statement = (
        select(students.c.id, students.c.serial_number, students.c.name, sections.c.name.label("section"))
        .outerjoin(sections, sections.c.id == students.c.section_id)
        .where(students.c.erased_at.is_(None), or_(students.c.left_on.is_(None), students.c.left_on >= today))
        .order_by(sections.c.name, students.c.serial_number)
    )
    if section is not None:
        statement = statement.where(sections.c.name == section)
    return [(row.id, row.serial_number, row.name, row.section) for row in connection.execute(statement)]


def end_consents(connection: Connection, student_id: str, at: datetime, by: str = "") -> int:
    """Mark every consent of the student that is not withdrawn as withdrawn; return how many there were."""
    done = connection.execute(
        update(consents)
        .where(consents.c.student_id == student_id, consents.c.withdrawn_at.is_(None))
        .values(withdrawn_at=at, withdrawn_by=by or None)
    )
    return int(done.rowcount)


def forget_names(connection: Connection, student_id: str) -> None:
    """Leave the student's consents as proof, without the names of who gave and took them back."""
    connection.execute(
        update(consents).where(consents.c.student_id == student_id).values(given_by="", withdrawn_by=None)
    )


def _consents() -> Select[tuple[str, ...]]:
    return select(consents, students.c.serial_number, students.c.name).join(
        students, students.c.id == consents.c.student_id
    )


def _consent(row: Row[tuple[str, ...]]) -> Consent:
    return Consent(
        consent_id=row.id,
        student_id=row.student_id,
        serial_number=row.serial_number,
        name=row.name,
        given_at=row.given_at,
        given_by=row.given_by,
        reference=row.reference,
        expires_at=row.expires_at,
        withdrawn_at=row.withdrawn_at,
        scope=scope_of(row.scope),
        recorded_by=row.recorded_by,
        withdrawn_by=row.withdrawn_by or "",
    )
