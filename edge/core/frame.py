"""A picture with the moment it was taken."""

from dataclasses import dataclass

from protocol.events import Stamp
from recognition.core.face import Image

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture from a camera.

    `stamp` is when it was taken; `scene` changes where a recording jumps, so that no face is followed across the cut.
    """

    image: Image
    stamp: Stamp
    scene: int = 0

    @property
    def at_s(self) -> float:
        """Seconds on the boot clock: the time for everything that measures distances."""
        return self.stamp.boottime_ns / NS_PER_S

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.image.shape[:2]
        return width, height
