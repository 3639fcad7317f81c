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
    erasure_store,
    gallery_revisions,
    look_alike_store,
    roster_store,
)
from hub.core.csv_reading import Reading, RowProblem, RowsRefused, read_rows
from hub.core.errors import NotFound
from hub.core.roster import Student, checked_serial, clean_text
from hub.core.roster_consent import (
    CONSENT_COLUMNS,
    MAX_GIVEN_BY,
    Consent,
    ConsentFields,
    consent_fields,
    scope_text,
    withdrawn_for_good,
)
from hub.core.roster_times import day_of
from hub.office.context import Office
from hub.office.students import add_command, find_student


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
    """What ended: consents on record, and templates and photos deleted at the hub.

    Units delete theirs when they next connect (`hub.office.erasure.status`).
    """

    serial_number: str
    student_id: str
    consents_ended: int
    templates_deleted: int
    photos_deleted: int


def give_consent(office: Office, form: Mapping[str, str]) -> ConsentGiven:
    """Record a consent; `form` has the columns of the import. Giving the same one again changes nothing.

    Raises BadInput for what cannot be used, NotFound for an unknown student.
    """
    fields = consent_fields(form, office.settings.zone, office.clock.now())
    tried: list[bool] = []

    def work(connection: Connection) -> bool:
        # The lock that a withdrawal and an erasure take first: neither can come between our reading and our writing.
        look_alike_store.lock(connection, office.clock.now())
        student = _enrollable(connection, fields.serial_number)
        known = consent_store.consents_of(connection, [student.student_id]).get(student.student_id, [])
        if _on_record(known, fields, office.clock.now()):
            # Ours, if we have written it before: only the answer to that commit was lost.
            return bool(tried)
        add_consents(connection, office, [(student.student_id, fields)], {})
        tried.append(True)
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
    tried: list[tuple[ConsentFields, ...]] = []

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
        if not new and tried:
            return tried[-1]  # the commit whose answer was lost
        if not dry_run:
            add_consents(connection, office, new, detail)
            tried.append(tuple(fields for _, fields in new))
        return tuple(fields for _, fields in new)

    added = office.database.run(work)
    return ConsentsImported(added, len(reading.rows) - len(added), dry_run)


def withdraw_consent(office: Office, serial_number: str, *, by: str = "") -> ConsentWithdrawn:
    """End every consent of a student and delete their templates and photos, in one transaction. Safe to run again.

    `by` is who took it back: a parent, or the student. Raises BadInput, and NotFound for an unknown student.
    """
    serial_number = checked_serial(serial_number)
    by = clean_text(by, "by", MAX_GIVEN_BY)
    tried: list[ConsentWithdrawn] = []

    def work(connection: Connection) -> ConsentWithdrawn:
        at = office.clock.now()
        # First the lock that every enrolment takes first: none can store a template after this.
        look_alike_store.lock(connection, at)
        student_id = find_student(connection, serial_number).student_id
        ended, gone = end_recognition(connection, office, student_id, at, by)
        if tried and not (ended or gone.templates or gone.photos):
            return tried[-1]  # the commit whose answer was lost
        detail = {"consents_ended": ended, "templates_deleted": gone.templates, "photos_deleted": gone.photos}
        _record(connection, office, at, "consent.withdraw", student_id, detail)
        tried.append(ConsentWithdrawn(serial_number, student_id, ended, gone.templates, gone.photos))
        return tried[-1]

    return office.database.run(work)


def end_recognition(
    connection: Connection, office: Office, student_id: str, at: datetime, by: str = ""
) -> tuple[int, erasure_store.FacesDeleted]:
    """End a student's consents and delete what they are recognised by, in the caller's transaction.

    Return how many consents ended and what was deleted. The caller holds `look_alike_store.lock` and records it.
    """
    ended = consent_store.end_consents(connection, student_id, at, by)
    gone = erasure_store.delete_faces(connection, [student_id])
    gallery_revisions.touch_galleries(connection, at)
    attendance_store.mark_dirty(connection, [student_id], [day_of(at, office.settings.zone)], cause="consent")
    return ended, gone


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
    consent_store.insert_consents(connection, rows, office.actor)
    for consent_id, (student_id, fields) in rows.items():
        entry = {**detail, "consent_id": consent_id, "scope": scope_text(fields.scope)}
        _record(connection, office, at, "consent.give", student_id, entry)
    gallery_revisions.touch_galleries(connection, at)
    today = day_of(at, office.settings.zone)
    attendance_store.mark_dirty(connection, [student_id for student_id, _ in new], [today], cause="consent")


def consent_command(serial_number: str) -> str:
    """Return the sentence that says how to record a consent."""
    return f'record it: rollcall-hub consent give --serial {serial_number} --given-by "WHO AGREED"'


def withdrawn_sentence(serial_number: str) -> str:
    """Return the sentence that says that no import renews a consent that was withdrawn."""
    return f"the consent of {serial_number} was withdrawn; if they agreed again, {consent_command(serial_number)}"


def _enrollable(connection: Connection, serial_number: str) -> Student:
    """Return a student who may agree to something. Raises NotFound for an unknown one, and for one who was erased."""
    student = find_student(connection, serial_number)
    row = erasure_store.find(connection, student.student_id)
    if row is not None and row.erased_at is not None:
        raise NotFound(f"{serial_number} was erased: that number stands for nobody", hint=add_command("SERIAL"))
    return student


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
        elif known[serial].erased:
            problems.append(RowProblem(row.line, f"{serial} was erased: that number stands for nobody"))
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
