"""What enrolment needs from the outside: a picture turned into one good face."""

from dataclasses import dataclass
from typing import Protocol

from hub.core.enrolment_gallery import Limits
from recognition.core.face import Vector


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """The one good face of a picture. The vector is for storing and comparing, never for logs or output."""

    vector: Vector
    face_px: float


class FaceSource(Protocol):
    """A model pack at work. One instance belongs to one thread."""

    @property
    def pack_id(self) -> str:
        """Identifies the models: templates of different pack ids are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def limits(self, gallery_size: int) -> Limits:
        """Return from which scores on two faces count as one person, when this many students are enrolled."""
        ...

    @property
    def max_picture_bytes(self) -> int:
        """The size of the largest file that is looked at."""
        ...

    def face_of(self, content: bytes, name: str) -> FoundFace:
        """Return the one good face in a picture file's content; `name` is for sentences.

        Raises PictureRefused with a reason and a sentence, PackError when the models cannot be used.
        """
        ...
