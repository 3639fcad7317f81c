"""Consent to face recognition: giving, listing, importing, withdrawing."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import (
    attendance_store,
    audit_log,
    consent_store,
    gallery_revisions,
    look_alike_store,
    roster_store,
    template_store,
)
from hub.core.csv_reading import Reading, RowProblem, RowsRefused, read_rows
from hub.core.roster import Student, checked_serial
from hub.core.roster_consent import CONSENT_COLUMNS, Consent, ConsentFields, consent_fields, withdrawn_for_good
from hub.core.roster_times import day_of
from hub.office.context import Office
from hub.office.students import find_student


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """`new` is False when the very same consent was on record already."""

    serial_number: str
    fields: ConsentFields
    new: bool


@dataclass(frozen=True, slots=True)
class ConsentsImported:
    """What an import added, or would add when `dry_run`."""

    added: tuple[ConsentFields, ...]
    unchanged: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class ConsentWithdrawn:
    """What ended: consents on record, and templates deleted at the hub. Units delete theirs when they next connect."""

    serial_number: str
    student_id: str
    consents_ended: int
    templates_deleted: int


def give_consent(office: Office, form: Mapping[str, str]) -> ConsentGiven:
    """Record a consent; `form` has the columns of the import. Giving the same one again changes nothing.

    Raises BadInput for what cannot be used, NotFound for an unknown student.
    """
    fields = consent_fields(form, office.settings.zone, office.clock.now())

    def work(connection: Connection) -> bool:
        student = find_student(connection, fields.serial_number)
        known = consent_store.consents_of(connection, [student.student_id]).get(student.student_id, [])
        if _on_record(known, fields, office.clock.now()):
            return False
        add_consents(connection, office, [(student.student_id, fields)], {})
        return True

    return ConsentGiven(fields.serial_number, fields, office.database.run(work))


def list_consents(office: Office, *, serial_number: str | None = None) -> list[Consent]:
    """Return consents by serial number and date. Raises NotFound for an unknown student."""

    def work(connection: Connection) -> list[Consent]:
        if serial_number is not None:
            find_student(connection, serial_number)
        return consent_store.list_consents(connection, serial_number=serial_number)

    return office.database.run(work)


def import_consents(office: Office, data: bytes, *, dry_run: bool = False) -> ConsentsImported:
    """Record the consents of a CSV file, all or none; importing it again changes nothing.

    Raises BadInput when the file cannot be read, RowsRefused with every row that cannot be used.
    """
    zone, now = office.settings.zone, office.clock.now()
    reading = read_rows(data, CONSENT_COLUMNS, lambda cells: consent_fields(cells, zone, now))
    detail = {"file_sha256": hashlib.sha256(data).hexdigest()}

    def work(connection: Connection) -> tuple[ConsentFields, ...]:
        if not dry_run:
            # The lock that a withdrawal takes first: none can come between our reading and our writing.
            look_alike_store.lock(connection, office.clock.now())
        known = roster_store.find_students(connection, [row.value.serial_number for row in reading.rows])
        on_record = consent_store.consents_of(connection, {student.student_id for student in known.values()})
        _refuse_bad_rows(reading, known, on_record)
        new = [
            (known[row.value.serial_number].student_id, row.value)
            for row in reading.rows
            if not _on_record(on_record.get(known[row.value.serial_number].student_id, []), row.value, now)
        ]
        if not dry_run:
            add_consents(connection, office, new, detail)
        return tuple(fields for _, fields in new)

    added = office.database.run(work)
    return ConsentsImported(added, len(reading.rows) - len(added), dry_run)


def withdraw_consent(office: Office, serial_number: str) -> ConsentWithdrawn:
    """End every consent of a student and delete their templates, in one transaction. Safe to run again.

    Raises NotFound for an unknown student.
    """
    serial_number = checked_serial(serial_number)

    def work(connection: Connection) -> ConsentWithdrawn:
        at = office.clock.now()
        # First the lock that every enrolment takes first: none can store a template after this.
        look_alike_store.lock(connection, at)
        student_id = find_student(connection, serial_number).student_id
        ended = consent_store.end_consents(connection, student_id, at)
        deleted = template_store.delete_templates(connection, student_id)
        look_alike_store.forget(connection, student_id)
        detail = {"consents_ended": ended, "templates_deleted": deleted}
        _record(connection, office, at, "consent.withdraw", student_id, detail)
        gallery_revisions.touch_galleries(connection, at)
        attendance_store.mark_dirty(connection, [student_id], [day_of(at, office.settings.zone)])
        return ConsentWithdrawn(serial_number, student_id, ended, deleted)

    return office.database.run(work)


def add_consents(
    connection: Connection,
    office: Office,
    new: list[tuple[str, ConsentFields]],
    detail: Mapping[str, audit_log.Json],
) -> None:
    """Record consents, given as student's id and fields, in the caller's transaction."""
    if not new:
        return
    at = office.clock.now()
    rows = {str(uuid4()): consent for consent in new}
    consent_store.insert_consents(connection, rows)
    for consent_id, (student_id, _) in rows.items():
        _record(connection, office, at, "consent.give", student_id, {**detail, "consent_id": consent_id})
    gallery_revisions.touch_galleries(connection, at)
    attendance_store.mark_dirty(connection, [student_id for student_id, _ in new], [day_of(at, office.settings.zone)])


def consent_command(serial_number: str) -> str:
    """Return the sentence that says how to record a consent."""
    return f'record it: rollcall-hub consent give --serial {serial_number} --given-by "WHO AGREED"'


def withdrawn_sentence(serial_number: str) -> str:
    """Return the sentence that says that no import renews a consent that was withdrawn."""
    return f"the consent of {serial_number} was withdrawn; if they agreed again, {consent_command(serial_number)}"


def _on_record(known: list[Consent], fields: ConsentFields, now: datetime) -> bool:
    return any(consent.state(now) == "active" and consent.says(fields) for consent in known)


def _refuse_bad_rows(
    reading: Reading[ConsentFields], known: Mapping[str, Student], on_record: Mapping[str, list[Consent]]
) -> None:
    problems, first = list(reading.problems), dict[str, int]()
    for row in reading.rows:
        serial = row.value.serial_number
        if serial not in known:
            problems.append(RowProblem(row.line, f"there is no student with serial number {serial}"))
        elif withdrawn_for_good(on_record.get(known[serial].student_id, [])):
            problems.append(RowProblem(row.line, f"consent_withdrawn: {withdrawn_sentence(serial)}"))
        if (line := first.setdefault(serial, row.line)) != row.line:
            problems.append(RowProblem(row.line, f"serial number {serial} is already on line {line}"))
    if problems:
        raise RowsRefused(problems)


def _record(
    connection: Connection,
    office: Office,
    at: datetime,
    action: str,
    student_id: str,
    detail: Mapping[str, audit_log.Json],
) -> None:
    subject = f"student:{student_id}"
    audit_log.record(connection, at=at, actor=office.actor, action=action, subject=subject, detail=detail)
