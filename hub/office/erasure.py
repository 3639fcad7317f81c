"""Erasing a student: everything that recognises or names them, here and on every unit, with a receipt from each."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from hub.adapters import attendance_store, audit_log, consent_store, erasure_store, look_alike_store
from hub.adapters.erasure_store import StudentRow, UnitLine
from hub.core.errors import BadInput, NotFound
from hub.core.roster_times import day_of
from hub.office import marks
from hub.office.consents import end_recognition
from hub.office.context import Office

Policy = Literal["pseudonymise", "keep_record"]
ReceiptState = Literal["erased", "waiting", "not asked yet", "revoked, not confirmed"]


@dataclass(frozen=True, slots=True)
class ToErase:
    """Who would be erased, and what there is of them."""

    student_id: str
    serial_number: str
    name: str
    templates: int
    photos: int
    units: int
    """Which have their template now."""
    erased_at: datetime | None
    """When they were erased before, if they were."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased. `new` is False when nothing was left to be erased; `at` says when it was then.

    `serial_number` is the one that the record has now.
    """

    student_id: str
    serial_number: str
    policy: Policy
    at: datetime
    new: bool
    consents_ended: int = 0
    templates_deleted: int = 0
    photos_deleted: int = 0
    csv_problem: str = ""
    """Why the hub's attendance.csv could not be written anew: it still has lines with the name."""


@dataclass(frozen=True, slots=True)
class UnitReceipt:
    """What one unit did about a student. `silent_since` is of a unit that cannot be reached, if it was ever heard."""

    unit_id: str
    label: str
    state: ReceiptState
    asked_at: datetime | None
    confirmed_at: datetime | None
    reachable: bool
    silent_since: datetime | None


@dataclass(frozen=True, slots=True)
class ErasureStatus:
    """How far a student's template is gone from the units."""

    student_id: str
    serial_number: str
    name: str
    erased_at: datetime | None
    """When somebody erased the student; None where only a consent ended, or they left a room."""
    units: tuple[UnitReceipt, ...]
    galleries_to_make: int
    """Units for which `serve` made no gallery since then: they are told when it has."""

    @property
    def erased(self) -> int:
        """How many units confirmed it."""
        return sum(unit.state == "erased" for unit in self.units)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be done."""
        return self.erased == len(self.units) and not self.galleries_to_make

    @property
    def completed_at(self) -> datetime | None:
        """When the last unit confirmed it; None while one has not, or where no unit ever had it."""
        moments = [unit.confirmed_at for unit in self.units if unit.confirmed_at is not None]
        return max(moments, default=None) if self.complete else None


def preview(office: Office, student: str) -> ToErase:
    """Return what `erase` would delete. `student` is a serial number or an id. Raises NotFound."""

    def work(connection: Connection) -> ToErase:
        row = _find(connection, student)
        faces = erasure_store.counts(connection, row.student_id)
        holding = sum(line.asked_at is None for line in erasure_store.lines_of(connection, [row.student_id]))
        return ToErase(
            student_id=row.student_id,
            serial_number=row.serial_number,
            name=row.name,
            templates=faces.templates,
            photos=faces.photos,
            units=holding,
            erased_at=row.erased_at or erasure_store.erased_before(connection, row.student_id),
        )

    return office.database.run(work)


def erase(office: Office, student: str, *, policy: Policy | None = None) -> Erased:
    """Erase a student, in one transaction; doing it again changes nothing and says when it was done.

    Consents end, templates of every pack, photos, look-alike pairs and margins are deleted, and every gallery that held
    them gets a new revision. With `pseudonymise` the name (also in attendance.csv), the ways to reach them and what
    people wrote of them go as well, and the serial number becomes one that stands for nobody; with `keep_record` the
    student stays on the roster. `policy` None: as the settings say. Raises NotFound.
    """
    policy = policy or office.settings.retention.erasure
    at = office.clock.now()
    anonymous = f"erased-{secrets.token_hex(4)}"
    student_id = office.database.run(lambda connection: _find(connection, student)).student_id
    done: list[Erased] = []

    def work(connection: Connection) -> Erased:
        # First the lock that every enrolment takes first: none can store a template after this.
        look_alike_store.lock(connection, at)
        row = erasure_store.find(connection, student_id, lock=True)
        if row is None:
            raise _nobody(student)
        before = row.erased_at or erasure_store.erased_before(connection, student_id)
        if before == at and done:
            return done[-1]  # the commit whose answer was lost
        if row.erased_at is not None:
            # What came since: a hub before this one kept it.
            _forget_words(connection, student_id)
            return Erased(student_id, row.serial_number, "pseudonymise", row.erased_at, new=False)
        if policy == "keep_record" and before is not None and not _anything_left(connection, student_id):
            return Erased(student_id, row.serial_number, policy, before, new=False)
        ended, gone = end_recognition(connection, office, student_id, at)
        if policy == "pseudonymise":
            _forget_person(connection, office, row, anonymous, at)
        serial = anonymous if policy == "pseudonymise" else row.serial_number
        audit_log.record(
            connection,
            at=at,
            actor=office.actor,
            action=erasure_store.ERASE,
            subject=f"student:{student_id}",
            detail={
                "policy": policy,
                "consents_ended": ended,
                "templates_deleted": gone.templates,
                "photos_deleted": gone.photos,
            },
        )
        erasure_store.note_erased(connection, student_id, at)
        done.append(Erased(student_id, serial, policy, at, True, ended, gone.templates, gone.photos))
        return done[-1]

    erased = office.database.run(work)
    if erased.policy == "pseudonymise":
        # Also when it was erased before: the file may have been out of reach then.
        return replace(erased, csv_problem=_renew_csv(office))
    return erased


def status(office: Office, student: str) -> ErasureStatus:
    """Return which units have deleted a student's template. `student` is a serial number or an id. Raises NotFound."""

    def work(connection: Connection) -> ErasureStatus:
        row = _find(connection, student)
        erased_at = row.erased_at or erasure_store.erased_before(connection, row.student_id)
        return _statuses(connection, office, {row.student_id: row}, {row.student_id: erased_at})[0]

    return office.database.run(work)


def list_erasures(office: Office, *, everybody: bool = False) -> list[ErasureStatus]:
    """Return the students who were erased or whom some unit still has to delete; the open ones first.

    `everybody`: also those whom units deleted for another reason, such as another room.
    """

    def work(connection: Connection) -> list[ErasureStatus]:
        erased = erasure_store.erased_students(connection)
        wanted = set(erased) | erasure_store.with_open_receipts(connection)
        if everybody:
            wanted |= erasure_store.with_any_receipt(connection)
        rows = erasure_store.named(connection, wanted)
        return _statuses(connection, office, rows, {key: rows[key].erased_at or erased.get(key) for key in rows})

    found = office.database.run(work)
    return sorted(found, key=lambda one: (one.complete, one.serial_number))


def _renew_csv(office: Office) -> str:
    """Write the hub's attendance.csv anew with the names that are left; return what went wrong, or ""."""
    try:
        marks.rebuild_csv(office, if_there=True)
    except BadInput as exc:
        return f"{exc}; when that is repaired: rollcall-hub register csv-rebuild"
    return ""


def _anything_left(connection: Connection, student_id: str) -> bool:
    """Tell whether a student is recognised again, or may be, after having been erased."""
    consents = consent_store.consents_of(connection, [student_id]).get(student_id, [])
    faces = erasure_store.counts(connection, student_id)
    return bool(faces.templates or faces.photos or any(one.withdrawn_at is None for one in consents))


def _forget_person(
    connection: Connection, office: Office, student: StudentRow, serial_number: str, at: datetime
) -> None:
    today = day_of(at, office.settings.zone)
    erasure_store.pseudonymise(connection, student, serial_number, at, today)
    erasure_store.drop_lists_of_revoked(connection)
    _forget_words(connection, student.student_id)
    attendance_store.mark_dirty(connection, [student.student_id], [today], cause="member")


def _forget_words(connection: Connection, student_id: str) -> None:
    """Delete what people wrote of a student."""
    consent_store.forget_names(connection, student_id)
    days = erasure_store.blank_notes(connection, student_id)
    attendance_store.mark_dirty(connection, [student_id], days, cause="mark")


def _statuses(
    connection: Connection,
    office: Office,
    rows: dict[str, StudentRow],
    erased_at: dict[str, datetime | None],
) -> list[ErasureStatus]:
    lines = erasure_store.lines_of(connection, rows)
    waiting = {line.unit_id for line in lines if line.confirmed_at is None and line.revoked_at is None}
    silent = erasure_store.silent_since(connection, waiting, office.clock.now())
    outdated = erasure_store.made_before(connection)
    by_student: dict[str, list[UnitReceipt]] = {}
    for line in lines:
        by_student.setdefault(line.student_id, []).append(_receipt(line, silent))
    return [
        ErasureStatus(
            student_id=student_id,
            serial_number=row.serial_number,
            name=row.name,
            erased_at=at,
            units=tuple(by_student.get(student_id, ())),
            galleries_to_make=0 if at is None else sum(made < at for made in outdated),
        )
        for student_id, row in rows.items()
        for at in (erased_at.get(student_id),)
    ]


def _receipt(line: UnitLine, silent: dict[str, datetime | None]) -> UnitReceipt:
    return UnitReceipt(
        unit_id=line.unit_id,
        label=line.label,
        state=_state(line),
        asked_at=line.asked_at,
        confirmed_at=line.confirmed_at,
        reachable=line.unit_id not in silent,
        silent_since=silent.get(line.unit_id),
    )


def _state(line: UnitLine) -> ReceiptState:
    if line.confirmed_at is not None:
        return "erased"
    if line.revoked_at is not None:
        return "revoked, not confirmed"
    return "not asked yet" if line.asked_at is None else "waiting"


def _find(connection: Connection, student: str) -> StudentRow:
    row = erasure_store.find(connection, student.strip())
    if row is None:
        raise _nobody(student)
    return row


def _nobody(student: str) -> NotFound:
    return NotFound(
        f"there is no student with serial number or id {student.strip()[:60]!r}",
        hint="somebody who was erased has another number now: rollcall-hub erasure list",
    )
