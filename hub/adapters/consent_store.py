"""Consents in the database. A consent is never deleted or rewritten; it ends by withdrawal or by its date."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, Row, Select, insert, select, update

from hub.adapters.schema import consents, students
from hub.core.roster_consent import Consent, ConsentFields

_ROWS_AT_ONCE = 500


def insert_consents(connection: Connection, new: Mapping[str, tuple[str, ConsentFields]]) -> None:
    """Add consents, given as id to the student's id and the fields."""
    values = [
        {
            "id": consent_id,
            "student_id": student_id,
            "given_at": fields.given_at,
            "given_by": fields.given_by,
            "reference": fields.reference,
            "expires_at": fields.expires_at,
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


def end_consents(connection: Connection, student_id: str, at: datetime) -> int:
    """Mark every consent of the student that is not withdrawn as withdrawn; return how many there were."""
    done = connection.execute(
        update(consents)
        .where(consents.c.student_id == student_id, consents.c.withdrawn_at.is_(None))
        .values(withdrawn_at=at)
    )
    return int(done.rowcount)


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
    )
