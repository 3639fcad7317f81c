"""Makes the demonstration's pictures: people in front of a classroom, scene by scene, from the sample portraits.

Each sub-folder is one scene, its pictures are `FRAME_INTERVAL_S` apart. The same portraits give the same pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.classroom import DESK_TOP_PX, HEIGHT_PX, WIDTH_PX, draw_desk, draw_room
from deploy.cutout import Cutout, cut_out
from recognition.core.face import Box, Image

FRAME_INTERVAL_S = 0.5
JPEG_QUALITY = 90
SEED = 20240901
NOISE = 2.0
"""Standard deviation of the sensor's noise, in grey levels."""

SAMPLES = Path(__file__).resolve().parent / "samples"
FACES = {
    "obama": Box(240, 59, 151, 208),
    "obama2": Box(168, 154, 237, 327),
    "obama3": Box(238, 126, 151, 206),
    "biden": Box(254, 108, 162, 231),
    "astronaut": Box(178, 63, 91, 114),
}
"""Where the face is in each sample portrait."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene that was made: its pictures in order, and which enrolled people are in it."""

    name: str
    frames: tuple[Path, ...]
    expected: tuple[str, ...]
    strangers: int = 0


@dataclass(frozen=True, slots=True)
class Actor:
    """One portrait in a scene: where its face is at the beginning, how large, and how it moves and is lit."""

    portrait: str
    x: float
    y: float
    face_px: float
    drift_px: float = 24.0
    """How far it moves from side to side."""
    turn_degrees: float = 0.0
    """How far the head is tilted, and a little more as it moves."""
    gain: float = 1.0
    """How brightly it is lit; 1.0 as in the portrait."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a scene shows."""

    name: str
    frames: int
    actors: tuple[Actor, ...]
    expected: tuple[str, ...]
    strangers: int = 0


SCRIPTS = (
    Script("01-empty-room", 8, (), ()),
    Script("02-obama", 12, (Actor("obama3", 560, 300, 150),), ("obama",)),
    Script("03-biden", 12, (Actor("biden", 1070, 290, 165, drift_px=14, turn_degrees=4, gain=0.82),), ("biden",)),
    Script("04-stranger", 12, (Actor("astronaut", 620, 285, 130),), (), strangers=1),
    Script(
        "05-together",
        14,
        (
            Actor("obama3", 250, 300, 145, drift_px=18, gain=1.06),
            Actor("astronaut", 660, 300, 125, drift_px=12),
            Actor("biden", 1085, 285, 150, drift_px=12, turn_degrees=-3, gain=1.12),
        ),
        ("biden", "obama"),
        strangers=1,
    ),
)


def make_clip(destination: Path, portraits: Path = SAMPLES, scripts: Sequence[Script] = SCRIPTS) -> list[Scene]:
    """Write the scenes under `destination`, one folder each, and say what is in them.

    Raises FileNotFoundError when a portrait is not in `portraits`.
    """
    room, desk = draw_room().astype(np.float32), draw_desk()
    names = {actor.portrait for script in scripts for actor in script.actors}
    cutouts = {name: _cut_out(portraits / f"{name}.jpg", FACES[name]) for name in sorted(names)}
    scenes = []
    for number, script in enumerate(scripts):
        folder = destination / script.name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.jpg"):
            old.unlink()
        noise = _sensor_noise(np.random.default_rng(SEED + number))
        frames = []
        for index in range(script.frames):
            picture = _compose(room, desk, script.actors, cutouts, index / (script.frames - 1))
            frames.append(folder / f"{index:03}.jpg")
            _write(frames[-1], _with_noise(picture, noise, index))
        scenes.append(Scene(script.name, tuple(frames), script.expected, script.strangers))
    return scenes


def place(picture: NDArray[np.float32], cutout: Cutout, actor: Actor, moment: float) -> None:
    """Paint `actor` into `picture` as it is at `moment` (0 at the scene's beginning, 1 at its end)."""
    swing = float(np.sin(2 * np.pi * moment))
    face_px = actor.face_px * (1 + 0.05 * moment)
    angle = actor.turn_degrees * (1 + 0.3 * swing)
    gain = actor.gain * (1 + 0.04 * float(np.cos(2 * np.pi * moment)))
    x, y = cutout.face.centre
    matrix = np.asarray(cv2.getRotationMatrix2D((x, y), angle, face_px / cutout.face.width), dtype=np.float64)
    matrix[0, 2] += actor.x + actor.drift_px * swing - x
    matrix[1, 2] += actor.y + 4 * moment - y
    left, right = _columns(matrix, cutout.picture)
    matrix[0, 2] -= left
    # Below the desk's edge nothing of a person shows.
    size = (right - left, DESK_TOP_PX)
    person = cv2.warpAffine(cutout.picture, matrix, size, flags=cv2.INTER_CUBIC).astype(np.float32)
    cover = cv2.warpAffine(cutout.cover, matrix, size, flags=cv2.INTER_LINEAR).astype(np.float32)[:, :, None]
    behind = picture[:DESK_TOP_PX, left:right]
    person *= gain
    np.clip(person, 0, 255, out=person)
    person -= behind
    person *= cover
    behind += person


def _columns(matrix: NDArray[np.float64], picture: Image) -> tuple[int, int]:
    """Return the first and last column of the scene that `picture` reaches when moved by `matrix`."""
    height, width = picture.shape[:2]
    corners = np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)], np.float64)
    columns = corners @ matrix[0]
    return max(0, int(columns.min())), min(WIDTH_PX, int(columns.max()) + 1)


def _compose(
    room: NDArray[np.float32], desk: Cutout, actors: Sequence[Actor], cutouts: dict[str, Cutout], moment: float
) -> NDArray[np.float32]:
    picture = room.copy()
    for actor in actors:
        place(picture, cutouts[actor.portrait], actor, moment)
    # Above its edge the desk covers nothing.
    front = picture[DESK_TOP_PX:]
    front += desk.cover[DESK_TOP_PX:, :, None] * (desk.picture[DESK_TOP_PX:] - front)
    return picture


def _sensor_noise(source: np.random.Generator) -> NDArray[np.float32]:
    return source.standard_normal((HEIGHT_PX, WIDTH_PX, 3), dtype=np.float32) * NOISE


def _with_noise(picture: NDArray[np.float32], noise: NDArray[np.float32], index: int) -> Image:
    """Add the scene's noise to `picture`, moved along from frame to frame so that no two have the same."""
    moved = index * 97 % WIDTH_PX
    picture[:, moved:] += noise[:, : WIDTH_PX - moved]
    picture[:, :moved] += noise[:, WIDTH_PX - moved :]
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)


def _cut_out(portrait: Path, face: Box) -> Cutout:
    try:
        content = portrait.read_bytes()
    except OSError:
        content = b""
    cutout = _cut_out_once(content, face) if content else None
    if cutout is None:
        raise FileNotFoundError(f"{portrait} is not there or is no picture; it is one of the project's samples")
    return cutout


@cache
def _cut_out_once(content: bytes, face: Box) -> Cutout | None:
    """Cut the person out of a file's content, None if it is no picture; kept, for it takes half a second."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return None
    return cut_out(np.asarray(picture, dtype=np.uint8), face)


def _write(path: Path, picture: Image) -> None:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise OSError(f"{path} could not be encoded as JPEG")
    path.write_bytes(data.tobytes())
