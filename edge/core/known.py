"""Whom the unit knows: the gallery in use, opened, in memory only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from protocol.content import GalleryManifest, HeadBody, TemplateBlob, TimetableLesson
from recognition.core.calibration import OperatingPoints, nothing_matches
from recognition.core.evidence import LookAlikes
from recognition.core.gallery import Gallery, Template

_WIDER = "wider"
_NOBODY_MATCHES = nothing_matches(1, 0.01)
"""For an empty gallery, in which there is nobody to match anyway."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownStudents:
    """An immutable picture of the gallery; the vision loop takes the newest one for each frame.

    `gallery` is the room's own, searched first. `wider` are students who are not expected here, if the school wants to
    know of them: a match with one of them is for a person to look at, never a presence.
    """

    gallery: Gallery
    points: OperatingPoints
    revision: int = 0
    look_alikes: LookAlikes = frozenset()
    lessons: tuple[TimetableLesson, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Display name by student id, for the CSV; never logged."""
    wider: Gallery | None = None
    wider_points: OperatingPoints | None = None
    """For everybody with a template, the room's and the others, as a stranger could be taken for any of them."""
    extra_margins: Mapping[str, float] = field(default_factory=dict)
    """Of the few students whose sightings people rejected: how much further they must lead the next one."""

    def recognises(self, student_id: str) -> bool:
        """Say whether there is a template of this student of the room: names alone are for marks by hand."""
        return student_id in self.gallery.student_ids

    def recognises_elsewhere(self, student_id: str) -> bool:
        """Say whether there is a template of this student, who is not expected in the room."""
        return self.wider is not None and student_id in self.wider.student_ids

    @property
    def templates(self) -> int:
        """Number of students with a template, of the room and of elsewhere."""
        return self.gallery.size + (self.wider.size if self.wider is not None else 0)


def template_of(blob: TemplateBlob) -> Template:
    """Return the template in a blob. Raises ValueError for vectors that are not finite or not of unit length."""
    vectors = np.frombuffer(blob.vectors, dtype="<f4").reshape(blob.count, blob.dimensions)
    return Template(blob.student_id, blob.pack_id, vectors.astype(np.float32))


def know(
    head: HeadBody,
    manifest: GalleryManifest,
    blobs: list[TemplateBlob],
    lessons: tuple[TimetableLesson, ...],
    dimensions: int,
) -> KnownStudents:
    """Build what recognition needs from the opened pieces of a gallery.

    Raises ValueError or PackMismatch when the pieces do not fit each other, ValueError without operating points for a
    scope that has templates.
    """
    outsiders = {entry.student_id for entry in manifest.entries if entry.scope == _WIDER}
    room = [template_of(blob) for blob in blobs if blob.student_id not in outsiders]
    wider = [template_of(blob) for blob in blobs if blob.student_id in outsiders]
    if head.operating_points is None and blobs:
        raise ValueError("the hub sent templates without operating points")
    points = OperatingPoints.from_dict(head.operating_points) if head.operating_points is not None else _NOBODY_MATCHES
    return KnownStudents(
        gallery=Gallery.build(room, head.pack_id, dimensions),
        points=points,
        wider=Gallery.build(wider, head.pack_id, dimensions) if wider else None,
        wider_points=_wider_points(head) if wider else None,
        revision=head.revision,
        look_alikes=frozenset(frozenset(pair) for pair in manifest.look_alikes),
        lessons=lessons,
        names={entry.student_id: entry.display_name for entry in manifest.entries},
        extra_margins={entry.student_id: entry.extra_margin for entry in manifest.entries if entry.extra_margin},
    )


def _wider_points(head: HeadBody) -> OperatingPoints:
    found = (head.operating_points or {}).get(_WIDER)
    if found is None:
        raise ValueError("the hub sent templates of students of other rooms without operating points")
    return OperatingPoints.from_dict(found)


def knows_nobody(pack_id: str, dimensions: int) -> KnownStudents:
    """Return what a unit knows before its first gallery."""
    return KnownStudents(Gallery.build([], pack_id, dimensions), _NOBODY_MATCHES)
