"""Enrolling pictures: one good face, somebody who agreed, nobody else's face, and like the student's other pictures.

Pictures are kept only where the settings and the consent both say so.
"""

import hashlib
from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import Connection

from hub.adapters import csv_files, roster_store, template_store
from hub.adapters.template_store import GalleryMark
from hub.core.enrolment_faces import FaceSource
from hub.core.enrolment_gallery import EnrolmentGallery
from hub.core.enrolment_outliers import MAX_TOGETHER
from hub.core.errors import BadInput
from hub.office.context import Office
from hub.office.enrolment_judging import Judging
from hub.office.enrolment_outcomes import Looked, PictureOutcome, Stored, like_its_twin, refused, turned_down
from hub.office.enrolment_standing import Known, Request, Standing, TurnedDown, standing_of
from recognition.core.errors import PictureRefused

__all__ = ["Enroller", "PictureOutcome", "Request", "open_enroller"]


class Enroller:
    """Enrols pictures, those of one student together, in one transaction. One instance belongs to one thread."""

    def __init__(self, office: Office, faces: FaceSource) -> None:
        self._office = office
        self._faces = faces
        self._known: Known | None = None
        self._mark: GalleryMark | None = None

    def enrol(self, request: Request) -> PictureOutcome:
        """Enrol one picture, or say why not; else as `enrol_together`."""
        return self.enrol_together([request])[0]

    def enrol_together(self, requests: Sequence[Request]) -> list[PictureOutcome]:
        """Enrol pictures of one student; return what became of each, in their order.

        All faces are found first, one picture in memory at a time, and then judged together (sixteen at once), so a
        bad picture does not turn down those that come after it. A picture that is enrolled already costs no look at
        it.

        Raises StoreUnavailable, StoreRefused, KeyUnusable and PackError: then the next picture would fare no better.
        """
        outcomes: list[PictureOutcome] = []
        for start in range(0, len(requests), MAX_TOGETHER):
            outcomes += self._enrol_some(requests[start : start + MAX_TOGETHER])
        return outcomes

    def damaged(self) -> list[str]:
        """Return the serial numbers of whom a stored template cannot be opened: no picture was compared with theirs."""
        damaged = frozenset[str]() if self._known is None else self._known.damaged
        found = self._office.database.run(lambda connection: roster_store.students_by_id(connection, damaged))
        return sorted(student.fields.serial_number for student in found.values())

    def _enrol_some(self, requests: Sequence[Request]) -> list[PictureOutcome]:
        found: list[Looked | PictureOutcome | int] = []
        places: dict[bytes, int] = {}
        for place, request in enumerate(requests):
            found.append(self._look(request, places, place))
        decided: dict[str, PictureOutcome] = {}
        waiting = [one for one in found if isinstance(one, Looked)]
        while waiting:
            decided |= self._store(waiting)
            waiting = [one for one in waiting if one.template_id not in decided]
        outcomes: list[PictureOutcome] = []
        for request, one in zip(requests, found, strict=True):
            if isinstance(one, Looked):
                outcomes.append(decided[one.template_id])
            elif isinstance(one, PictureOutcome):
                outcomes.append(one)
            else:
                outcomes.append(like_its_twin(request, outcomes[one]))
        return outcomes

    def _look(self, request: Request, places: dict[bytes, int], place: int) -> Looked | PictureOutcome | int:
        """Find the picture's face, or why it is not enrolled, or the place of an earlier one with the same content."""
        try:
            # One byte more than is looked at: a longer file is refused, not cut.
            content = csv_files.read_start(request.picture, self._faces.max_picture_bytes + 1)
            picture_sha256 = hashlib.sha256(content).digest()
            standing = self._office.database.run(lambda connection: self._ready(connection, request, picture_sha256))
            if standing.enrolled:
                return PictureOutcome(str(request.picture), "already enrolled", request.serial_number)
            # Twice in the vote of two against one, a picture would outvote a better one.
            if places.setdefault(picture_sha256, place) != place:
                return places[picture_sha256]
            return Looked(request, picture_sha256, self._faces.face_of(content, request.picture.name))
        except BadInput as exc:
            return refused(request, "unusable_file", str(exc))
        except PictureRefused as exc:
            return refused(request, exc.reason, str(exc))
        except TurnedDown as exc:
            return turned_down(request, exc)

    def _ready(self, connection: Connection, request: Request, picture_sha256: bytes) -> Standing:
        """Return what is on record, unless no picture can be enrolled whatever it shows. Raises TurnedDown."""
        standing = standing_of(connection, self._office, self._faces.pack_id, request, picture_sha256)
        if not standing.enrolled and standing.student is not None:
            self._known_now(connection).refuse_more(standing.student)
        return standing

    def _store(self, looked: Sequence[Looked]) -> dict[str, PictureOutcome]:
        """Decide on these pictures, or on the first of them, and store what is accepted; outcomes by template id."""
        new_student_id = str(uuid4())
        tried: list[Stored] = []

        def work(connection: Connection) -> Stored:
            if tried and tried[-1].is_on_record(connection):
                return tried[-1]  # the commit whose answer was lost
            judging = Judging(connection, self._office, self._faces, self._known_now)
            tried.append(judging.run(looked, new_student_id))
            return tried[-1]

        stored = self._office.database.run(work)
        if stored.added and self._known is not None and self._mark is not None:
            # After the commit only: what was rolled back must not be compared with.
            for one in stored.added:
                self._known.gallery.add(stored.student_id, one.face.vector)
            newest = stored.at if self._mark.newest is None else max(self._mark.newest, stored.at)
            self._mark = GalleryMark(self._mark.templates + len(stored.added), newest)
        return stored.outcomes

    def _known_now(self, connection: Connection) -> Known:
        pack_id = self._faces.pack_id
        mark = template_store.gallery_mark(connection, pack_id)
        if self._known is None or mark != self._mark:
            stored = template_store.read_gallery(connection, self._office.keys.ring(), pack_id)
            gallery = EnrolmentGallery(stored.templates, pack_id, self._faces.dimensions)
            self._known, self._mark = Known(gallery, frozenset(stored.damaged)), mark
        return self._known


def open_enroller(office: Office) -> Enroller:
    """Return an Enroller with the hub's model pack; the pack is read when the first picture needs it."""
    # Here and not above: OpenCV and the model runtime take a second to load, which `student list` need not wait for.
    from hub.adapters.pack_faces import PackFaces

    recognition = office.settings.recognition
    faces = PackFaces(recognition.pack_dir, smallest_face_px=recognition.smallest_face_px, fpir=recognition.fpir)
    return Enroller(office, faces)
