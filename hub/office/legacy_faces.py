"""Faces of the original system: its portraits are enrolled anew; its encodings only where somebody says so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import (
    audit_log,
    consent_store,
    gallery_revisions,
    legacy_register,
    look_alike_store,
    template_store,
)
from hub.adapters.template_store import NewTemplate
from hub.core.enrolment_names import parse_portrait_name, same_person
from hub.core.errors import BadInput, Conflict
from hub.core.legacy import Problems
from hub.core.legacy_attendance import People, Person
from hub.core.legacy_encodings import DIMENSIONS, PACK_NAME, read_encoding
from hub.core.legacy_students import LegacyStudent
from hub.core.roster_consent import ConsentFields, checked_reference, withdrawn_for_good
from hub.office import enrolment, enrolment_folder
from hub.office.consents import add_consents, withdrawn_sentence
from hub.office.context import Office
from hub.office.enrolment_folder import ImportChoices

if TYPE_CHECKING:
    from hub.adapters.pack_faces import PackFaces
    from recognition.core.face import Vector

SOURCE = "legacy"
GIVEN_BY = "see reference"
EnrollerOf = Callable[[Office], enrolment.Enroller]


@dataclass(frozen=True, slots=True)
class FacesTold:
    """What became of the faces. Without a consent reference only what there is."""

    pictures: int
    enrolled: int
    enrolled_before: int
    refused: int
    encodings: int
    encodings_usable: int
    encodings_used: int
    """Only with `trust_encodings`, and of whoever has no picture here."""
    no_reference: bool
    """Nothing was enrolled, because nobody said where the consents are."""


@dataclass(frozen=True, slots=True)
class _Encoding:
    where: str
    person: Person
    numbers: tuple[float, ...]
    sha256: bytes


@dataclass(frozen=True, slots=True)
class FacesThere:
    """The pictures of a folder; the hub's models, where encodings are to be trusted and they are the original's."""

    pictures: tuple[Path, ...]
    models: "PackFaces | None"


def find_faces(office: Office, folder: Path | None, *, trust_encodings: bool) -> FacesThere:
    """Return what there is, before anything is taken over.

    Raises BadInput for a folder that is none, Conflict when encodings are to be trusted and the hub's models are
    others, PackError.
    """
    pictures = enrolment_folder.find_portraits(folder).pictures if folder is not None else ()
    return FacesThere(pictures, _original_models(office) if trust_encodings else None)


def take_faces(  # noqa: PLR0913 (what was found, and what may be done with it)
    office: Office,
    there: FacesThere,
    encoded: Sequence[LegacyStudent],
    people: People,
    problems: Problems,
    *,
    consent_reference: str | None,
    dry_run: bool,
    enroller: EnrollerOf | None,
    progress: Callable[[str, int], None],
) -> FacesTold:
    """Enrol the pictures of students who are on record, then use encodings of those who have none.

    Raises as `enrolment_folder.import_portraits`.
    """
    pictures = there.pictures
    usable = _usable(encoded, people, problems)
    done = {"accepted": 0, "already enrolled": 0, "refused": 0}
    used = 0
    if consent_reference is None or dry_run:
        done["refused"] = _named_wrongly(pictures, people, problems)
    else:
        make = enroller or enrolment.open_enroller
        # Of 10 GB of pictures one is in memory at a time, and what is enrolled costs no second look.
        choices = ImportChoices(consent_reference=consent_reference)
        for one in enrolment_folder.import_portraits(make(office), pictures, choices) if pictures else ():
            done[one.outcome] = done.get(one.outcome, 0) + 1
            if one.outcome == "refused":
                problems.add("picture", one.picture, one.message)
            progress("pictures", 1)
        if there.models is not None:
            used = _trusted(office, there.models, usable, problems, consent_reference, progress)
    return FacesTold(
        len(pictures),
        done["accepted"],
        done["already enrolled"],
        done["refused"],
        len(encoded),
        len(usable),
        used,
        consent_reference is None,
    )


def _named_wrongly(pictures: Sequence[Path], people: People, problems: Problems) -> int:
    """Return how many pictures would be refused for their names, without a look at any."""
    refused = 0
    for path in pictures:
        try:
            named = parse_portrait_name(path.name)
            person = people.by_serial.get(named.serial_number)
            why = f"no student has serial number {named.serial_number}" if person is None else ""
            if person is not None and not same_person(named.name, person.name):
                why = f"serial number {named.serial_number} is {person.name}, not {named.name}"
        except BadInput as exc:
            why = str(exc)
        if why:
            problems.add("picture", str(path), why)
            refused += 1
    return refused


def _usable(encoded: Sequence[LegacyStudent], people: People, problems: Problems) -> list[_Encoding]:
    found = []
    for one in encoded:
        person = people.by_serial.get(one.fields.serial_number)
        try:
            numbers = read_encoding(one.encoding)
        except BadInput as exc:
            problems.add("encoding", one.where, str(exc))
            continue
        if person is not None:
            digest = sha256(one.encoding.strip().encode()).digest()
            found.append(_Encoding(one.where, person, numbers, digest))
    return found


def _original_models(office: Office) -> "PackFaces":
    """Return the hub's models, which have to be those of the original. Raises Conflict, PackError."""
    # Here and not above: they take a second to load, which an import of students need not wait for.
    from hub.adapters.pack_faces import PackFaces
    from recognition.adapters.pack_files import read_pack

    recognition = office.settings.recognition
    pack = read_pack(recognition.pack_dir)
    if pack.manifest.name != PACK_NAME or pack.dimensions != DIMENSIONS:
        raise Conflict(
            f"the encodings were made with {PACK_NAME}, and this hub uses the model pack {pack.manifest.name}",
            hint="leave out --trust-encodings: the pictures in known_faces are enrolled anew instead",
        )
    return PackFaces(recognition.pack_dir, smallest_face_px=recognition.smallest_face_px, fpir=recognition.fpir)


def _trusted(
    office: Office,
    faces: "PackFaces",
    usable: Sequence[_Encoding],
    problems: Problems,
    reference: str,
    progress: Callable[[str, int], None],
) -> int:
    """Store the encodings of whoever has no template yet; return how many."""
    from hub.core.enrolment_gallery import EnrolmentGallery

    def load(connection: Connection) -> EnrolmentGallery:
        stored = template_store.read_gallery(connection, office.keys.ring(), faces.pack_id).templates
        return EnrolmentGallery(stored, faces.pack_id, faces.dimensions)

    gallery = office.database.run(load)
    used = 0
    for one in usable:
        vector = _unit_vector(one.numbers)
        student_id = one.person.student_id or ""
        verdict = gallery.judge(student_id, vector, faces.limits(gallery.size), allowed=())
        if verdict.outcome != "accepted":
            # Two rows of one person, or two who look alike: with a picture an operator can say which.
            problems.add("encoding", one.where, "looks like somebody else who is enrolled: enrol a picture instead")
        elif why := _store(office, faces.pack_id, one, vector, reference):
            if why != _ENROLLED:
                problems.add("encoding", one.where, why)
        else:
            gallery.add(student_id, vector)
            used += 1
        progress("encodings", 1)
    return used


_ENROLLED = "is enrolled"


def _unit_vector(numbers: tuple[float, ...]) -> "Vector":
    import numpy as np

    vector = np.asarray(numbers, dtype=np.float64)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def _store(office: Office, pack_id: str, one: _Encoding, vector: "Vector", reference: str) -> str:
    """Store one encoding in a transaction of its own; return why not, or ""."""
    template_id, student_id = str(uuid4()), one.person.student_id or ""

    def work(connection: Connection) -> str:
        at = office.clock.now()
        look_alike_store.lock(connection, at)
        if any(line.template_id == template_id for line in template_store.list_pictures(connection, student_id)):
            return ""  # the commit whose answer was lost
        # Never beside a template of another origin: they were not cut out in the same way.
        if legacy_register.has_template(connection, student_id, pack_id):
            return _ENROLLED
        if why := _agree(connection, office, one, reference, at):
            return why
        template = NewTemplate(template_id, student_id, pack_id, vector, SOURCE, 0.0, one.sha256)
        template_store.insert_template(connection, office.keys.hub_key(), template, at)
        detail = {"template_id": template_id, "pack_id": pack_id, "source": SOURCE}
        subject = f"student:{student_id}"
        audit_log.record(connection, at=at, actor=office.actor, action="enrol.picture", subject=subject, detail=detail)
        gallery_revisions.touch_galleries(connection, at)
        return ""

    return office.database.run(work)


def _agree(connection: Connection, office: Office, one: _Encoding, reference: str, at: datetime) -> str:
    """Note the consent that the operator vouches for; return why not, or ""."""
    student_id, serial = one.person.student_id or "", one.person.serial_number
    if consent_store.students_with(connection, at, student_id=student_id):
        return ""
    if withdrawn_for_good(consent_store.consents_of(connection, [student_id]).get(student_id, ())):
        return withdrawn_sentence(serial)
    consent = ConsentFields(serial, GIVEN_BY, checked_reference(reference), at, None)
    add_consents(connection, office, [(student_id, consent)], {"by": "import legacy"})
    return ""
