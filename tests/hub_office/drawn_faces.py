"""A school whose pictures a test draws as angles: two faces are as alike as the cosine of the angle between them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hub.core.enrolment_faces import FoundFace
from hub.core.enrolment_gallery import Limits
from hub.office import consents, rooms, students
from hub.office.enrolment import Enroller, PictureOutcome, Request
from recognition.core.errors import PictureRefused
from tests.hub_office.conftest import OfficeUnderTest


@dataclass
class DrawnFaces:
    """A FaceSource for files that hold an angle in degrees: two faces are as alike as the cosine between them."""

    pack_id: str = "test-pack"
    dimensions: int = 3
    max_picture_bytes: int = 100
    looked_at: list[str] = field(default_factory=list)

    def limits(self, gallery_size: int) -> Limits:
        assert gallery_size >= 0
        return Limits(anybody=0.9, own=0.6)

    def face_of(self, content: bytes, name: str) -> FoundFace:
        self.looked_at.append(name)
        words = content.split()
        if not words or not words[0].lstrip(b"-").isdigit():
            raise PictureRefused("no_face", "no face was found in the picture")
        angle = np.radians(float(words[0]))
        return FoundFace(np.array([np.cos(angle), np.sin(angle), 0], dtype=np.float32), 120.0)


@dataclass(frozen=True)
class School:
    """A desk with two consented students, and an enroller."""

    desk: OfficeUnderTest
    faces: DrawnFaces
    enroller: Enroller
    folder: Path

    def draw(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.write_text(content)
        return path

    def enrol(self, serial: str, degrees: int, *, mark: str = "", allow: bool = False) -> PictureOutcome:
        picture = self.draw(f"p{degrees}{mark}.jpg", f"{degrees} {mark}")
        return self.enroller.enrol(Request(picture, serial, allow_look_alike=allow))

    def several(self, serial: str, *degrees: int) -> list[PictureOutcome]:
        """Enrol pictures that come together."""
        drawn = [self.draw(f"p{angle}.jpg", f"{angle} ") for angle in degrees]
        return self.enroller.enrol_together([Request(picture, serial) for picture in drawn])


def open_school(desk: OfficeUnderTest, folder: Path) -> School:
    """Two students who agreed, one who was not asked, and a unit whose gallery follows."""
    for serial, name in (("1", "Ada Lovelace"), ("2", "Grace Hopper"), ("3", "No Consent")):
        students.add_student(desk.office, {"serial_number": serial, "name": name})
    for serial in ("1", "2"):
        consents.give_consent(desk.office, {"serial_number": serial, "given_by": "parents"})
    rooms.add_room(desk.office, "12")
    desk.add_unit("12")
    faces = DrawnFaces()
    folder.mkdir()
    return School(desk, faces, Enroller(desk.office, faces), folder)
