"""The clips everybody is measured on: people walking in a street, and people at a classroom's door."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deploy.bench.groups import read_image
from deploy.clip import Actor, Scene, Script, make_clip
from recognition.core.face import Image

DOOR_FRAMES_PER_S = 10.0
STREET = "street"
DOOR = "door"
_SCRIPTS = (
    Script("1-room", 12, (), ()),
    Script("2-one", 24, (Actor("obama3", 560, 300, 150, drift_px=60),), ("obama",)),
    Script("3-another", 24, (Actor("biden", 760, 290, 165, drift_px=60, turn_degrees=4, gain=0.9),), ("biden",)),
    Script(
        "4-three",
        24,
        (
            Actor("obama3", 250, 300, 145, drift_px=30),
            Actor("astronaut", 660, 300, 125, drift_px=30),
            Actor("biden", 1085, 285, 150, drift_px=20, turn_degrees=-3),
        ),
        ("biden", "obama"),
        strangers=1,
    ),
    Script("5-room", 12, (), ()),
)


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip as frames (frames, height, width, 3) uint8 in a NumPy file, and its own pace."""

    name: str
    size_px: tuple[int, int]
    frames: Path
    frames_per_s: float

    @property
    def title(self) -> str:
        """Name and size, for the table."""
        return f"{self.name} {self.size_px[0]}x{self.size_px[1]}"

    def read(self) -> list[Image]:
        """Return the frames; they stay in the file until they are looked at."""
        return list(np.load(self.frames, mmap_mode="r"))


def make_door(folder: Path) -> list[Scene]:
    """Write the pictures of the door clip, a folder for each scene."""
    return make_clip(folder, scripts=_SCRIPTS)


@contextmanager
def door_clip(scenes: Sequence[Scene], size_px: tuple[int, int], folder: Path) -> Iterator[Clip]:
    """Give the scenes as one clip of this size; the file is deleted afterwards."""
    images = [read_image(path) for scene in scenes for path in scene.frames]
    with _file(folder / "door.npy", images, size_px) as path:
        yield Clip(DOOR, size_px, path, DOOR_FRAMES_PER_S)


@contextmanager
def street_clip(video: Path, size_px: tuple[int, int], folder: Path) -> Iterator[Clip]:
    """Give a video as a clip of this size; the file is deleted afterwards. Raises FileNotFoundError."""
    capture = cv2.VideoCapture(str(video))
    try:
        frames_per_s = capture.get(cv2.CAP_PROP_FPS)
        images = list(_read_all(capture, size_px))
    finally:
        capture.release()
    if not images:
        raise FileNotFoundError(f"{video} is not there or is no video")
    with _file(folder / "street.npy", images, size_px) as path:
        del images
        yield Clip(STREET, size_px, path, frames_per_s)


def write_video(images: Sequence[Image], size_px: tuple[int, int], frames_per_s: float, path: Path) -> None:
    """Write a video file for a unit's replay. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), frames_per_s, size_px)
    if not writer.isOpened():
        raise OSError(f"{path} cannot be written as a video")
    try:
        for image in images:
            writer.write(_sized(image, size_px))
    finally:
        writer.release()


@contextmanager
def _file(path: Path, images: Sequence[Image], size_px: tuple[int, int]) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        np.save(path, np.stack([_sized(image, size_px) for image in images]))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _read_all(capture: cv2.VideoCapture, size_px: tuple[int, int]) -> Iterator[Image]:
    while True:
        ok, image = capture.read()
        if not ok:
            return
        yield _sized(np.asarray(image, dtype=np.uint8), size_px)


def _sized(image: Image, size_px: tuple[int, int]) -> Image:
    if (image.shape[1], image.shape[0]) == size_px:
        return image
    return np.asarray(cv2.resize(image, size_px, interpolation=cv2.INTER_AREA), dtype=np.uint8)
