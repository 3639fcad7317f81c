"""Whom the unit knows: the gallery in use, opened, in memory only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from protocol.content import GalleryManifest, HeadBody, TemplateBlob, TimetableLesson
from recognition.core.calibration import OperatingPoint, OperatingPoints
from recognition.core.evidence import LookAlikes
from recognition.core.gallery import Gallery, Template

_NOBODY_MATCHES = OperatingPoints(1, 0.01, ((1, OperatingPoint(threshold=1.0, margin=2.0)),))
"""For an empty gallery, in which there is nobody to match anyway."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownStudents:
    """An immutable picture of the gallery; the vision loop takes the newest one for each frame."""

    gallery: Gallery
    points: OperatingPoints
    revision: int = 0
    look_alikes: LookAlikes = frozenset()
    lessons: tuple[TimetableLesson, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    """Display name by student id, for the CSV; never logged."""

    def recognises(self, student_id: str) -> bool:
        """Say whether there is a template of this student: names alone are for marks by hand."""
        return student_id in self.gallery.student_ids


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
    gallery that has templates.
    """
    if head.operating_points is None and blobs:
        raise ValueError("the hub sent templates without operating points")
    points = OperatingPoints.from_dict(head.operating_points) if head.operating_points is not None else _NOBODY_MATCHES
    return KnownStudents(
        gallery=Gallery.build([template_of(blob) for blob in blobs], head.pack_id, dimensions),
        points=points,
        revision=head.revision,
        look_alikes=frozenset(frozenset(pair) for pair in manifest.look_alikes),
        lessons=lessons,
        names={entry.student_id: entry.display_name for entry in manifest.entries},
    )


def knows_nobody(pack_id: str, dimensions: int) -> KnownStudents:
    """Return what a unit knows before its first gallery."""
    return KnownStudents(Gallery.build([], pack_id, dimensions), _NOBODY_MATCHES)
