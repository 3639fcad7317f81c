"""Who may be enrolled, what is enrolled for them, and deleting it."""

from dataclasses import dataclass

from sqlalchemy import Connection

from hub.adapters import (
    audit_log,
    consent_store,
    erasure_store,
    gallery_revisions,
    look_alike_store,
    template_store,
)
from hub.adapters.template_store import PictureLine
from hub.core.errors import Conflict
from hub.core.roster import Student, checked_serial
from hub.office.consents import consent_command
from hub.office.context import Office
from hub.office.students import find_student


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much of a student was deleted: templates, and pictures that were kept."""

    serial_number: str
    templates_deleted: int
    photos_deleted: int = 0


def require_ready(office: Office, serial_number: str) -> Student:
    """Return the student if pictures of them may be enrolled.

    Raises BadInput, NotFound, and Conflict without a consent to be recognised; the hint is the command to run first.
    """
    serial_number = checked_serial(serial_number)

    def work(connection: Connection) -> Student:
        student = find_student(connection, serial_number)
        if not consent_store.students_with(connection, office.clock.now(), student_id=student.student_id):
            message = f"no consent is on file for {serial_number} ({student.fields.name}); nothing was enrolled"
            raise Conflict(message, hint=consent_command(serial_number))
        return student

    return office.database.run(work)


def list_pictures(office: Office, serial_number: str) -> list[PictureLine]:
    """Return what is enrolled for a student, oldest first. Raises NotFound."""

    def work(connection: Connection) -> list[PictureLine]:
        student = find_student(connection, checked_serial(serial_number))
        return template_store.list_pictures(connection, student.student_id)

    return office.database.run(work)


def forget_pictures(office: Office, serial_number: str) -> Forgotten:
    """Delete all templates and photos of a student, as after enrolling the wrong person. Consent stays.

    Raises NotFound.
    """

    def work(connection: Connection) -> Forgotten:
        at = office.clock.now()
        look_alike_store.lock(connection, at)
        student_id = find_student(connection, checked_serial(serial_number)).student_id
        gone = erasure_store.delete_faces(connection, [student_id])
        detail = {"templates_deleted": gone.templates, "photos_deleted": gone.photos}
        subject = f"student:{student_id}"
        audit_log.record(connection, at=at, actor=office.actor, action="enrol.forget", subject=subject, detail=detail)
        gallery_revisions.touch_galleries(connection, at)
        return Forgotten(serial_number, gone.templates, gone.photos)

    return office.database.run(work)
