"""The same faces, made worse in one way at a time: smaller, blurred, or sent as video at a low bit rate."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from io import BytesIO
from math import sin, tau
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.core.face import Box, Face, Image, Points

FACE_WIDTHS_PX = (24, 32, 40, 48, 60, 80, 100, 120)
BLUR_SIGMAS_PX = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
BLUR_FACE_PX = 100
"""Width of the face that is blurred: a sigma in pixels means nothing without it."""

VIDEO_CODECS = ("libx264", "mpeg4")
VIDEO_RATES_KBPS = (250, 500, 1000, 2000, 4000)
VIDEO_SIZE_PX = (1280, 720)
VIDEO_FPS = 15
VIDEO_FRAMES = 24
VIDEO_FACE_PX = 80
_TILE_PX = (160, 180)
_JUDGED_FRAME = 19
"""Neither the first frame, which is sent whole, nor the last one."""
_SWAY_PX = 10.0
_SWAY_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class WorseFace:
    """A picture that holds the face, and where the face is in it."""

    image: Image
    face: Face


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Up to `faces_per_clip` swaying faces: the frames of a clip, and where the faces are in the judged one."""

    frames: tuple[Image, ...]
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A scene that was encoded and decoded: the judged frame and the bits it really took a second."""

    frame: Image
    rate_bps: float


def resized(image: Image, face: Face, face_px: float) -> WorseFace:
    """Return the picture scaled so that the face is `face_px` wide, by averaging where that makes it smaller."""
    factor = face_px / face.box.width
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8)
    # Pixel centres, not corners, keep their places.
    matrix = np.array(
        [[size[0] / width, 0, 0.5 * size[0] / width - 0.5], [0, size[1] / height, 0.5 * size[1] / height - 0.5]]
    )
    return WorseFace(small, _moved(face, matrix))


def blurred(image: Image, face: Face, sigma_px: float) -> WorseFace:
    """Return the picture with a face BLUR_FACE_PX wide, blurred by a Gaussian of `sigma_px`."""
    scaled = resized(image, face, BLUR_FACE_PX)
    soft = np.asarray(cv2.GaussianBlur(scaled.image, (0, 0), sigma_px), dtype=np.uint8)
    return WorseFace(soft, scaled.face)


def video_is_possible() -> bool:
    """Tell whether PyAV is installed, without importing it."""
    return find_spec("av") is not None


def codec_is_there(codec: str) -> bool:
    """Tell whether PyAV is installed and can encode with `codec`."""
    if not video_is_possible():
        return False
    import av

    return codec in av.codecs_available


def faces_per_clip() -> int:
    """Return how many faces a clip shows at once: a class, which shares the bits of one picture."""
    return (VIDEO_SIZE_PX[0] // _TILE_PX[0]) * (VIDEO_SIZE_PX[1] // _TILE_PX[1])


def scene(pictures: Sequence[tuple[Image, Face]]) -> Scene:
    """Draw the frames of a clip of these pictures. Raises ValueError for none or too many."""
    if not 1 <= len(pictures) <= faces_per_clip():
        raise ValueError(f"a clip shows 1 to {faces_per_clip()} faces, not {len(pictures)}")
    faces = tuple(_moved(face, _placed(index, face, _JUDGED_FRAME)) for index, (_, face) in enumerate(pictures))
    return Scene(tuple(_frames(pictures)), faces)


def clip(drawn: Scene, codec: str, rate_kbps: int) -> Clip:
    """Encode a scene at a bit rate, decode it, and return a frame from its middle.

    Raises av's errors (OSError, ValueError) for a codec that is not there.
    """
    content = _encoded(drawn.frames, codec, rate_kbps)
    return Clip(_decoded(content), 8 * len(content) * VIDEO_FPS / VIDEO_FRAMES)


def clip_key(hashes: Sequence[str]) -> str:
    """Return what a clip of pictures with these checksums is remembered by."""
    return hashlib.sha256(",".join(hashes).encode()).hexdigest()


def _encoded(frames: Sequence[Image], codec: str, rate_kbps: int) -> bytes:
    import av

    stream = BytesIO()
    with av.open(stream, "w", format="matroska") as container:
        video: Any = container.add_stream(codec, rate=VIDEO_FPS)
        video.width, video.height = VIDEO_SIZE_PX
        video.pix_fmt = "yuv420p"
        video.bit_rate = rate_kbps * 1000
        # One thread: the number of threads changes the bits. The buffer of a second holds the rate as cameras do.
        video.thread_count = 1
        limit = str(rate_kbps * 1000)
        video.options = {"maxrate": limit, "bufsize": limit, "g": str(VIDEO_FPS * 2), "preset": "veryfast"}
        video.time_base = Fraction(1, VIDEO_FPS)
        for image in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(video.encode())
    return stream.getvalue()


def _decoded(content: bytes) -> Image:
    import av

    with av.open(BytesIO(content), "r") as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number == _JUDGED_FRAME:
                return np.ascontiguousarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
    raise ValueError("the clip that was just encoded ends early")


def _frames(pictures: Sequence[tuple[Image, Face]]) -> Iterator[Image]:
    width, height = _TILE_PX
    across = VIDEO_SIZE_PX[0] // width
    for number in range(VIDEO_FRAMES):
        canvas = np.full((VIDEO_SIZE_PX[1], VIDEO_SIZE_PX[0], 3), 96, dtype=np.uint8)
        for index, (image, face) in enumerate(pictures):
            left, top = (index % across) * width, (index // across) * height
            matrix = _placed(index, face, number) - np.array([[0, 0, left], [0, 0, top]])
            canvas[top : top + height, left : left + width] = _drawn(image, face, matrix)
        yield canvas


def _drawn(image: Image, face: Face, matrix: NDArray[np.float64]) -> Image:
    """Return the tile of one face; pictures are first made smaller by averaging, or they would shimmer."""
    factor = VIDEO_FACE_PX / face.box.width
    if factor < 1:
        scaled = resized(image, face, VIDEO_FACE_PX)
        back = cv2.invertAffineTransform(
            np.array(
                [
                    [scaled.image.shape[1] / image.shape[1], 0, 0.5 * scaled.image.shape[1] / image.shape[1] - 0.5],
                    [0, scaled.image.shape[0] / image.shape[0], 0.5 * scaled.image.shape[0] / image.shape[0] - 0.5],
                ]
            )
        )
        matrix = matrix @ np.vstack([back, [0, 0, 1]])
        image = scaled.image
    drawn = cv2.warpAffine(image, matrix, _TILE_PX, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(drawn, dtype=np.uint8)


def _placed(index: int, face: Face, number: int) -> NDArray[np.float64]:
    """Return the matrix from a picture to the frame: the face in its tile's middle, swaying, each in its own time."""
    width, height = _TILE_PX
    across = VIDEO_SIZE_PX[0] // width
    phase = tau * (number / VIDEO_FPS / _SWAY_S + index / 7)
    centre_x, centre_y = face.box.centre
    factor = VIDEO_FACE_PX / face.box.width
    x = (index % across + 0.5) * width + _SWAY_PX * sin(phase)
    y = (index // across + 0.5) * height + _SWAY_PX / 2 * sin(2 * phase)
    return np.array([[factor, 0, x - factor * centre_x], [0, factor, y - factor * centre_y]])


def _moved(face: Face, matrix: NDArray[np.float64]) -> Face:
    """Return the face where `matrix` (2, 3), a scaling and a shift, brings it."""
    landmarks: Points = (face.landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    box = face.box
    left, top = matrix @ np.array([box.x, box.y, 1.0])
    moved = Box(float(left), float(top), box.width * matrix[0, 0], box.height * matrix[1, 1])
    return Face(moved, landmarks, face.confidence)
