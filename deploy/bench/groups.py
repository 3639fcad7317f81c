"""Photographs of groups with boxes around the larger faces, where the shared data are present."""

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from recognition.core.face import Box, Image

LISTS = ("testing.xml", "training.xml")
_IMAGE = re.compile(r"<image\s+file='([\w.-]+)'.*?</image>", re.DOTALL)
_BOX = re.compile(r"<box\s+top='(\d+)'\s+left='(\d+)'\s+width='(\d+)'\s+height='(\d+)'")


@dataclass(frozen=True, slots=True, eq=False)
class GroupPicture:
    """A photograph and where its larger faces are; smaller ones may be without a box."""

    name: str
    image: Image
    faces: tuple[Box, ...]

    def scaled(self, scale: float) -> "GroupPicture":
        """Return the photograph as if it had been taken from further away."""
        if scale == 1.0:
            return self
        height, width = self.image.shape[:2]
        size = (round(width * scale), round(height * scale))
        image = np.asarray(cv2.resize(self.image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        faces = [Box(box.x * scale, box.y * scale, box.width * scale, box.height * scale) for box in self.faces]
        return GroupPicture(self.name, image, tuple(faces))


def read_groups(shared: Path) -> list[GroupPicture]:
    """Return the photographs under `shared`/groups that have boxes, by name; none without that folder."""
    pictures = []
    for name in LISTS:
        path = shared / "groups" / name
        if path.is_file():
            # Two known forms of element are all that is wanted: no XML parser, and none of its surprises.
            pictures += [_picture(path.parent, found) for found in _IMAGE.finditer(path.read_text("iso-8859-1"))]
    return sorted(pictures, key=lambda picture: picture.name)


def _picture(folder: Path, listed: "re.Match[str]") -> GroupPicture:
    boxes = [Box(int(left), int(top), int(width), int(height)) for top, left, width, height in _BOX.findall(listed[0])]
    return GroupPicture(listed[1], read_image(folder / listed[1]), tuple(boxes))


def read_image(path: Path) -> Image:
    """Return a picture. Raises FileNotFoundError when it is not there or is none."""
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(f"{path} is not there or is no picture")
    return np.asarray(image, dtype=np.uint8)
