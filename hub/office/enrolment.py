"""Enrolling pictures: one good face, somebody who agreed, nobody else's face. Pictures themselves are never kept."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NoReturn
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import (
    audit_log,
    consent_store,
    csv_files,
    gallery_revisions,
    look_alike_store,
    roster_store,
    template_store,
)
from hub.adapters.template_store import GalleryMark, NewTemplate
from hub.core.enrolment_faces import FaceSource, FoundFace
from hub.core.enrolment_gallery import MAX_PICTURES, EnrolmentGallery, Verdict
from hub.core.enrolment_names import same_person
from hub.core.errors import BadInput
from hub.core.roster import Student, student_fields
from hub.core.roster_consent import ConsentFields, checked_reference, withdrawn_for_good
from hub.office.consents import add_consents, consent_command, withdrawn_sentence
from hub.office.context import Office
from hub.office.students import add_command, add_students
from recognition.core.errors import PictureRefused

CONSENT_BY_IMPORT = "see reference"

Outcome = Literal["accepted", "already enrolled", "refused"]


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


@dataclass(frozen=True, slots=True)
class PictureOutcome:
    """What became of a picture. `reason` is a stable word for scripts, `message` a sentence for people."""

    picture: str
    outcome: Outcome
    serial_number: str | None = None
    reason: str = ""
    message: str = ""
    face_px: int | None = None
    looks_like: str | None = None


class _TurnedDown(Exception):  # carries an outcome out of a transaction, which it rolls back
    def __init__(self, reason: str, message: str, *, looks_like: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.looks_like = looks_like


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is on record of a request's student; None stands for a student who is about to be added."""

    student: Student | None
    consent: bool
    enrolled: bool


class Enroller:
    """Enrols pictures one after the other, each in a transaction of its own. One instance belongs to one thread."""

    def __init__(self, office: Office, faces: FaceSource) -> None:
        self._office = office
        self._faces = faces
        self._gallery: EnrolmentGallery | None = None
        self._mark: GalleryMark | None = None

    def enrol(self, request: Request) -> PictureOutcome:
        """Enrol one picture, or say why not. A picture that is enrolled already costs no look at it.

        Raises StoreUnavailable, StoreRefused, KeyUnusable and PackError: then the next picture would fare no better.
        """
        name = str(request.picture)
        database = self._office.database
        try:
            # One byte more than is looked at: a longer file is refused, not cut.
            content = csv_files.read_start(request.picture, self._faces.max_picture_bytes + 1)
            picture_sha256 = hashlib.sha256(content).digest()
            standing = database.run(lambda connection: self._standing(connection, request, picture_sha256))
            if standing.enrolled:
                return PictureOutcome(name, "already enrolled", request.serial_number)
            face = self._faces.face_of(content, request.picture.name)
            looks_like = self._store(request, picture_sha256, face)
        except BadInput as exc:
            return PictureOutcome(name, "refused", request.serial_number, "unusable_file", str(exc))
        except PictureRefused as exc:
            return PictureOutcome(name, "refused", request.serial_number, exc.reason, str(exc))
        except _TurnedDown as exc:
            return PictureOutcome(
                name, "refused", request.serial_number, exc.reason, str(exc), looks_like=exc.looks_like
            )
        message = f"recorded as a look-alike of {looks_like}" if looks_like else ""
        return PictureOutcome(
            name, "accepted", request.serial_number, "", message, round(face.face_px), looks_like or None
        )

    def _standing(self, connection: Connection, request: Request, picture_sha256: bytes) -> _Standing:
        """Look up what does not need the picture. Raises _TurnedDown, BadInput."""
        serial = request.serial_number
        student = roster_store.find_students(connection, [serial]).get(serial)
        if student is None:
            if not request.add_student or request.name is None:
                message = (
                    f"there is no student with serial number {serial}; {add_command(serial, request.name or '...')}"
                )
                raise _TurnedDown("unknown_student", message)
        elif request.name is not None and not request.any_name and not same_person(request.name, student.fields.name):
            message = f"the file is named for {request.name}, but serial number {serial} is {student.fields.name}"
            raise _TurnedDown("other_name", message)
        student_id = None if student is None else student.student_id
        owner = template_store.owner_of_picture(connection, self._faces.pack_id, picture_sha256)
        if owner is not None and owner != student_id:
            self._picture_of_other(connection, owner)
        now = self._office.clock.now()
        consent = student_id is not None and bool(
            roster_store.students_with_consent(connection, now, student_id=student_id)
        )
        if not consent and student_id is not None and request.consent_reference is not None:
            self._refuse_withdrawn(connection, serial, student_id)
        if not consent and request.consent_reference is None:
            raise _TurnedDown("no_consent", f"no consent is on file for {serial}; {consent_command(serial)}")
        return _Standing(student, consent, owner is not None)

    def _refuse_withdrawn(self, connection: Connection, serial: str, student_id: str) -> None:
        """Raise _TurnedDown for a consent that was withdrawn: only a person who gives it again renews it."""
        if withdrawn_for_good(consent_store.consents_of(connection, [student_id]).get(student_id, ())):
            raise _TurnedDown("consent_withdrawn", withdrawn_sentence(serial))

    def _store(self, request: Request, picture_sha256: bytes, face: FoundFace) -> str:
        """Store the template unless something speaks against it; return the serial numbers it may look like."""
        template_id, new_student_id = str(uuid4()), str(uuid4())

        def work(connection: Connection) -> tuple[str, str, datetime | None]:
            at = self._office.clock.now()
            pairs = look_alike_store.lock(connection, at)
            standing = self._standing(connection, request, picture_sha256)
            student_id = new_student_id if standing.student is None else standing.student.student_id
            if standing.enrolled:
                return student_id, "", None  # another operator, or a commit whose answer was lost
            alike = self._judge(connection, request, student_id, face, pairs)
            self._make_ready(connection, request, standing, student_id)
            template = NewTemplate(
                template_id, student_id, self._faces.pack_id, face.vector, request.source, face.face_px, picture_sha256
            )
            template_store.insert_template(connection, self._office.keys.hub_key(), template, at)
            self._record(connection, template, alike, at)
            look_alike_store.add(connection, student_id, alike, at, self._office.actor)
            gallery_revisions.touch_galleries(connection, at)
            named = roster_store.students_by_id(connection, alike).values()
            return student_id, ", ".join(sorted(student.fields.serial_number for student in named)), at

        student_id, looks_like, stored_at = self._office.database.run(work)
        if stored_at is None:
            self._gallery = None
        elif self._gallery is not None and self._mark is not None:
            # After the commit only: what was rolled back must not be compared with.
            self._gallery.add(student_id, face.vector)
            newest = stored_at if self._mark.newest is None else max(self._mark.newest, stored_at)
            self._mark = GalleryMark(self._mark.templates + 1, newest)
        return looks_like

    def _judge(
        self,
        connection: Connection,
        request: Request,
        student_id: str,
        face: FoundFace,
        pairs: frozenset[look_alike_store.Pair],
    ) -> list[str]:
        """Return the students whom this picture resembles and a person now says it may. Raises _TurnedDown."""
        gallery = self._current_gallery(connection)
        if gallery.pictures_of(student_id) >= MAX_PICTURES:
            raise _TurnedDown("enough_pictures", f"{MAX_PICTURES} pictures are enrolled; more are not kept")
        limits = self._faces.limits(gallery.size)
        allowed = {other for pair in pairs if student_id in pair for other in pair if other != student_id}
        verdict = gallery.judge(student_id, face.vector, limits, allowed=allowed)
        overruled: list[str] = []
        while verdict.outcome == "look_alike" and verdict.looks_like is not None and request.allow_look_alike:
            overruled.append(verdict.looks_like)
            verdict = gallery.judge(student_id, face.vector, limits, allowed=allowed | set(overruled))
        if verdict.outcome != "accepted":
            self._turn_down(connection, request, verdict)
        return overruled

    def _current_gallery(self, connection: Connection) -> EnrolmentGallery:
        pack_id = self._faces.pack_id
        mark = template_store.gallery_mark(connection, pack_id)
        if self._gallery is None or mark != self._mark:
            stored = template_store.load_gallery(connection, self._office.keys.hub_key(), pack_id)
            self._gallery = EnrolmentGallery(stored, pack_id, self._faces.dimensions)
            self._mark = mark
        return self._gallery

    def _turn_down(self, connection: Connection, request: Request, verdict: Verdict) -> NoReturn:
        if verdict.looks_like is None:
            message = (
                "does not look like the other pictures of this student; if those are the wrong ones, delete them: "
                f"rollcall-hub enrol forget --serial {request.serial_number}"
            )
            raise _TurnedDown("not_like_own", message)
        other = roster_store.students_by_id(connection, [verdict.looks_like])[verdict.looks_like].fields
        message = (
            f"this looks like {other.serial_number}: {other.name}; "
            "if they are two people who look alike, run again with --allow-look-alike"
        )
        raise _TurnedDown("looks_like_other", message, looks_like=other.serial_number)

    def _picture_of_other(self, connection: Connection, owner: str) -> NoReturn:
        other = roster_store.students_by_id(connection, [owner])[owner].fields
        message = f"this very picture is enrolled for {other.serial_number}: {other.name}"
        raise _TurnedDown("enrolled_for_other", message, looks_like=other.serial_number)

    def _make_ready(self, connection: Connection, request: Request, standing: _Standing, student_id: str) -> None:
        """Add the student and the consent where the request says so."""
        if standing.student is None:
            form = {"serial_number": request.serial_number, "name": request.name or ""}
            add_students(connection, self._office, {student_id: student_fields(form)}, {"by": "enrol import"})
        if not standing.consent and request.consent_reference is not None:
            now = self._office.clock.now()
            reference = checked_reference(request.consent_reference)
            consent = ConsentFields(request.serial_number, CONSENT_BY_IMPORT, reference, now, None)
            add_consents(connection, self._office, [(student_id, consent)], {"by": "enrol import"})

    def _record(self, connection: Connection, template: NewTemplate, alike: list[str], at: datetime) -> None:
        detail: dict[str, audit_log.Json] = {
            "template_id": template.template_id,
            "pack_id": template.pack_id,
            "source": template.source,
        }
        if alike:
            detail["allowed_look_alikes"] = list(alike)
        subject = f"student:{template.student_id}"
        audit_log.record(
            connection, at=at, actor=self._office.actor, action="enrol.picture", subject=subject, detail=detail
        )


def open_enroller(office: Office) -> Enroller:
    """Return an Enroller with the hub's model pack; the pack is read when the first picture needs it."""
    # Here and not above: OpenCV and the model runtime take a second to load, which `student list` need not wait for.
    from hub.adapters.pack_faces import PackFaces

    recognition = office.settings.recognition
    faces = PackFaces(recognition.pack_dir, smallest_face_px=recognition.smallest_face_px, fpir=recognition.fpir)
    return Enroller(office, faces)
