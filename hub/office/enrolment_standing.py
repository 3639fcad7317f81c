"""What is on record of whoever is to be enrolled, and what may be made for them first: the student, the consent."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sqlalchemy import Connection

from hub.adapters import consent_store, roster_store, template_store
from hub.core.enrolment_gallery import MAX_PICTURES, EnrolmentGallery
from hub.core.enrolment_names import same_person
from hub.core.roster import Student, student_fields
from hub.core.roster_consent import ConsentFields, checked_reference, withdrawn_for_good
from hub.office.consents import add_consents, consent_command, withdrawn_sentence
from hub.office.context import Office
from hub.office.students import add_command, add_students

CONSENT_BY_IMPORT = "see reference"


@dataclass(frozen=True, slots=True)
class Request:
    """One picture of one student, and what may be done to enrol it."""

    picture: Path
    serial_number: str
    name: str | None = None
    """What the file's name says; has to fit the name on record unless `any_name`."""
    add_student: bool = False
    consent_reference: str | None = None
    """Where the paper is, when the operator says that everybody in this import agreed."""
    allow_look_alike: bool = False
    any_name: bool = False
    source: str = "file"


class TurnedDown(Exception):
    """A picture is not enrolled. `reason` is a stable word for scripts, the text a sentence for people."""

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        looks_like: Student | None = None,
        score: float | None = None,
        limit: float | None = None,
        odd_pictures: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.looks_like = looks_like
        self.score = None if score is None else round(score, 3)
        self.limit = None if limit is None else round(limit, 3)
        self.odd_pictures = odd_pictures


def enough_pictures() -> TurnedDown:
    """Return why a student with so many pictures gets no more."""
    return TurnedDown("enough_pictures", f"{MAX_PICTURES} pictures are enrolled; more are not kept")


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Everybody enrolled with the pack; of those in `damaged` a stored template cannot be opened."""

    gallery: EnrolmentGallery
    damaged: frozenset[str]

    def refuse_more(self, student: Student) -> None:
        """Raise TurnedDown if no picture of the student can be enrolled, whatever it shows."""
        serial = student.fields.serial_number
        if student.student_id in self.damaged:
            message = (
                f"a stored picture of {serial} cannot be opened; delete what there is and enrol again: "
                f"rollcall-hub enrol forget --serial {serial}"
            )
            raise TurnedDown("template_damaged", message)
        if self.gallery.pictures_of(student.student_id) >= MAX_PICTURES:
            raise enough_pictures()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is on record of a request's student; None stands for a student who is about to be added."""

    student: Student | None
    consent: bool
    enrolled: bool
    """Whether this very picture is enrolled for them."""


def standing_of(
    connection: Connection, office: Office, pack_id: str, request: Request, picture_sha256: bytes
) -> Standing:
    """Look up what does not need the picture's content. Raises TurnedDown."""
    serial = request.serial_number
    student = roster_store.find_students(connection, [serial]).get(serial)
    _refuse_wrong_person(request, student)
    student_id = None if student is None else student.student_id
    owner = template_store.owner_of_picture(connection, pack_id, picture_sha256)
    if owner is not None and owner != student_id:
        _picture_of_other(connection, owner)
    consent = student_id is not None and consent_holds(connection, office, student_id)
    if not consent:
        reason = lack_of_consent(connection, serial, student_id, request.consent_reference)
        if reason is not None:
            raise reason
    return Standing(student, consent, owner is not None)


def consent_holds(connection: Connection, office: Office, student_id: str) -> bool:
    """Tell whether a student agreed to be recognised, as of now."""
    return bool(consent_store.students_with(connection, office.clock.now(), student_id=student_id))


def lack_of_consent(
    connection: Connection, serial: str, student_id: str | None, consent_reference: str | None
) -> TurnedDown | None:
    """Return why a student for whom no consent holds cannot be enrolled; None where the request brings one."""
    if consent_reference is None:
        return TurnedDown("no_consent", f"no consent is on file for {serial}; {consent_command(serial)}")
    if student_id is not None and withdrawn_for_good(
        consent_store.consents_of(connection, [student_id]).get(student_id, ())
    ):
        # Only a person who gives it again renews it.
        return TurnedDown("consent_withdrawn", withdrawn_sentence(serial))
    return None


def make_ready(connection: Connection, office: Office, request: Request, standing: Standing, student_id: str) -> None:
    """Add the student and the consent where the request says so."""
    detail: Mapping[str, str] = {"by": "enrol import"}
    if standing.student is None:
        form = {"serial_number": request.serial_number, "name": request.name or ""}
        add_students(connection, office, {student_id: student_fields(form)}, detail)
    if not standing.consent and request.consent_reference is not None:
        now = office.clock.now()
        reference = checked_reference(request.consent_reference)
        consent = ConsentFields(request.serial_number, CONSENT_BY_IMPORT, reference, now, None)
        add_consents(connection, office, [(student_id, consent)], detail)


def _refuse_wrong_person(request: Request, student: Student | None) -> None:
    serial = request.serial_number
    if student is None:
        if not request.add_student or request.name is None:
            message = f"there is no student with serial number {serial}; {add_command(serial, request.name or '...')}"
            raise TurnedDown("unknown_student", message)
    elif student.erased:
        raise TurnedDown("unknown_student", f"{serial} was erased: that number stands for nobody")
    elif request.name is not None and not request.any_name and not same_person(request.name, student.fields.name):
        message = f"the file is named for {request.name}, but serial number {serial} is {student.fields.name}"
        raise TurnedDown("other_name", message)


def _picture_of_other(connection: Connection, owner: str) -> NoReturn:
    other = roster_store.students_by_id(connection, [owner])[owner]
    message = f"this very picture is enrolled for {other.fields.serial_number}: {other.fields.name}"
    raise TurnedDown("enrolled_for_other", message, looks_like=other)
