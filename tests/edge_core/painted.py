"""A room in which people are painted rectangles: detection and recognition without models, by the same ports.

The blue channel of a rectangle is the person's number, the red one what is wrong with the face.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.core.coverage import CoverageBook
from edge.core.frame import Frame
from edge.core.identities import Eyes
from edge.core.known import KnownStudents, know, knows_nobody
from edge.core.looks import Look
from edge.core.presence import PresenceBook
from edge.core.vision import Vision
from edge.core.zone import Zone
from protocol.content import TimetableLesson
from protocol.events import Event
from recognition.core.calibration import OperatingPoint, OperatingPoints, ScoreStatistics
from recognition.core.face import Box, ChipGeometry, Face, Image
from recognition.core.liveness import LivenessCheck
from recognition.core.tracking import TrackingLimits
from tests.builders import DIMENSIONS, PACK, POINTS, HubSide, face_of, stamp, student
from tests.fakes import counting

WIDTH, HEIGHT = 320, 240
_PLACES = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], dtype=np.float32)
GEOMETRY = ChipGeometry(32, _PLACES * 32)
_FLAWS = ("none", "dark", "no_eyes")
_NOISE = np.random.default_rng(1).integers(60, 190, (32, 32, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Person:
    """Somebody in view: who, where, and what is wrong with the face."""

    number: int
    x: int = 20
    y: int = 20
    width: int = 80
    flaw: Literal["none", "dark", "no_eyes"] = "none"


def picture(*people: Person, light: int = 100) -> Image:
    """Return a picture of these people in a grey room."""
    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[:, :, 1] = light
    for person in people:
        area = image[person.y : person.y + person.width, person.x : person.x + person.width]
        area[:] = (person.number, 150 + person.number % 50, _FLAWS.index(person.flaw))
    return image


class PaintedDetector:
    """`FaceDetector`: finds the rectangles."""

    def __init__(self) -> None:
        self.calls = 0
        self.followed = 0

    def detect(self, image: Image) -> list[Face]:
        self.calls += 1
        return self._faces(image)

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Face | None]:
        self.followed += len(boxes)
        faces = self._faces(image) if boxes else []
        return [_nearest(faces, box) for box in boxes]

    def _faces(self, image: Image) -> list[Face]:
        faces = []
        for number in np.flatnonzero(np.bincount(image[::8, ::8, 0].ravel()))[1:]:
            area = image[:, :, 0] == number
            columns, rows = np.flatnonzero(area.any(axis=0)), np.flatnonzero(area.any(axis=1))
            x, y, width, height = int(columns[0]), int(rows[0]), len(columns), len(rows)
            no_eyes = image[y, x, 2] == _FLAWS.index("no_eyes")
            size = np.array([width, height], dtype=np.float32) * (not no_eyes)
            faces.append(Face(Box(x, y, width, height), (_PLACES * size + (x, y)).astype(np.float32), 0.99))
        return faces


def _nearest(faces: Sequence[Face], box: Box) -> Face | None:
    face = max(faces, key=lambda face: face.box.iou(box), default=None)
    return face if face is not None and face.box.iou(box) > 0.2 else None


class PaintedEmbedder:
    """`FaceEmbedder`: knows the vector of each number."""

    def __init__(self, vectors: Mapping[int, NDArray[np.float32]] | None = None) -> None:
        self.vectors = dict(vectors or {})
        self.batches: list[int] = []

    @property
    def pack_id(self) -> str:
        return PACK

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    @property
    def geometry(self) -> ChipGeometry:
        return GEOMETRY

    def embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        self.batches.append(len(chips))
        numbers = [int(chip[0, 0, 0]) for chip in chips]
        return np.stack([self.vectors.get(number, face_of(number)) for number in numbers])


def points_of(threshold: float) -> OperatingPoints:
    """Return operating points that ask for this much of everybody."""
    return OperatingPoints(100, 0.01, ((1, OperatingPoint(threshold, margin=0.1)),))


def cut_painted(image: Image, face: Face, geometry: ChipGeometry) -> Image:
    """Cut a chip as `cut_chip` does, and refuse what it refuses; its first pixel says who it is."""
    if np.ptp(face.landmarks) == 0 or np.allclose(face.landmarks, face.landmarks[0]):
        raise ValueError("the landmarks are not finite or fall into one point")
    number, _, flaw = image[int(face.box.centre[1]), int(face.box.centre[0])]
    chip = np.zeros_like(_NOISE) if flaw == _FLAWS.index("dark") else _NOISE.copy()
    # In both upper corners: a probe may be looked at mirrored as well.
    chip[0, 0] = chip[0, -1] = (number, 0, 0)
    assert chip.shape[0] == geometry.size_px
    return chip


def known_students(
    *numbers: int,
    revision: int = 4,
    lessons: Sequence[TimetableLesson] = (),
    look_alikes: Sequence[tuple[int, int]] = (),
    without_template: Sequence[int] = (),
    vectors: Mapping[int, NDArray[np.float32]] | None = None,
    points: OperatingPoints = POINTS,
    extra_margins: Mapping[int, float] | None = None,
) -> KnownStudents:
    """Return a gallery of these people."""
    if not numbers and not without_template:
        return knows_nobody(PACK, DIMENSIONS)
    hub = HubSide(points=points.to_dict())
    faces = {number: [(vectors or {}).get(number, face_of(number))] for number in numbers}
    gallery = hub.gallery(
        revision, faces, look_alikes=look_alikes, without_template=without_template, extra_margins=extra_margins
    )
    blobs = [hub.blob(number, rows) for number, rows in faces.items()]
    return know(gallery.body, gallery.manifest, blobs, tuple(lessons), DIMENSIONS)


@dataclass
class Room:
    """A camera's view and the pipeline behind it."""

    known: KnownStudents = field(default_factory=lambda: known_students(1, 2))
    embedder: PaintedEmbedder = field(default_factory=PaintedEmbedder)
    detector: PaintedDetector = field(default_factory=PaintedDetector)
    absence_s: float = 60.0
    tracking: TrackingLimits = field(default_factory=TrackingLimits)
    statistics: ScoreStatistics | None = None
    zone: Zone = field(default_factory=Zone)
    liveness: LivenessCheck | None = None
    looks: list[Look] = field(default_factory=list)
    vision: Vision = field(init=False)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        new_id = counting()
        self.vision = Vision(
            eyes=Eyes(
                self.detector,
                self.embedder,
                cut_painted,
                same_person_floor=0.5,
                statistics=self.statistics,
                liveness=self.liveness,
            ),
            book=PresenceBook(new_id, absence_s=self.absence_s),
            coverage=CoverageBook(new_id),
            new_id=new_id,
            tracking=self.tracking,
            zone=self.zone,
            on_look=self.looks.append,
        )

    def frame(self, at_s: float, *people: Person, scene: int = 0, light: int = 100) -> list[Event]:
        """Show one frame; return what happened."""
        frame = Frame(picture(*people, light=light), stamp(at_s), scene)
        new = self.vision.process(frame, self.known)
        self.events += new
        return new

    def watch(self, from_s: float, to_s: float, *people: Person, every_s: float = 0.5) -> list[Event]:
        """Show people who move a little from frame to frame; return what happened."""
        new: list[Event] = []
        for count in range(round((to_s - from_s) / every_s)):
            moved = [Person(p.number, p.x + count % 2 * 16, p.y, p.width, p.flaw) for p in people]
            new += self.frame(from_s + count * every_s, *moved)
        return new

    def finish(self, at_s: float) -> list[Event]:
        """End it; return what happened."""
        new = self.vision.finish(stamp(at_s), self.known)
        self.events += new
        return new

    def of(self, kind: str) -> list[Event]:
        """Return the events of a kind so far."""
        return [event for event in self.events if event.kind == kind]


def whom(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Return (kind, student id) of the events about one student."""
    return [(event.kind, event.student_id) for event in events if event.kind in ("seen", "left")]


def about(kind: str, number: int) -> tuple[str, str]:
    """Return what `whom` returns for an event about a student."""
    return kind, student(number)
