"""Frames as they should not be: of any size, depth and number of channels, damaged, cut; and scenes hard to attend."""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.adapters.camera_opencv import CameraRequest, OpenCvCamera
from edge.adapters.camera_picamera2 import PiCamera
from edge.adapters.camera_replay import ReplayCamera
from edge.core.attention import Attention
from edge.core.errors import CameraEnded, CameraLost
from edge.core.frame import Frame
from edge.core.sight import Sight
from recognition.core.face import Box, Face, Image
from recognition.core.quality import QualityLimits, judge, measure
from recognition.core.tracking import Tracker
from tests.builders import stamp
from tests.edge_adapters.fake_picamera2 import FakeLibrary, FakeRequest
from tests.edge_adapters.pictures import number_of, write_video
from tests.edge_core.painted import HEIGHT, WIDTH, PaintedDetector, Person, Room, about, picture, whom
from tests.fakes import FakeClock

SHAPES = st.tuples(st.integers(1, 70), st.integers(1, 70))


# ---------------------------------------------------------------- sizes


@settings(max_examples=40)  # each example looks at several frames
@given(shapes=st.lists(SHAPES, min_size=1, max_size=6), light=st.integers(0, 255))
def test_pictures_of_any_size_one_after_the_other_are_looked_at(shapes: list[tuple[int, int]], light: int) -> None:
    room = Room()
    for count, shape in enumerate(shapes):
        image = np.full((*shape, 3), (0, light, 0), dtype=np.uint8)
        room.vision.process(Frame(image, stamp(float(count))), room.known)
    assert room.vision.totals.frames == len(shapes)
    assert whom(room.finish(10.0)) == []


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 20, 3), (20, 0, 3)])
def test_a_picture_without_a_pixel_is_no_reason_to_stop(shape: tuple[int, int, int]) -> None:
    room = Room()
    room.frame(0.0, Person(1))
    room.vision.process(Frame(np.zeros(shape, dtype=np.uint8), stamp(1.0)), room.known)
    room.frame(2.0, Person(1))
    assert about("seen", 1) in whom(room.events)


def test_a_camera_that_changes_its_size_keeps_whoever_is_there() -> None:
    room = Room()
    room.watch(0, 3, Person(1))
    wider = np.zeros((HEIGHT + 3, WIDTH + 5, 3), dtype=np.uint8)
    wider[:HEIGHT, :WIDTH] = picture(Person(1))
    room.vision.process(Frame(wider, stamp(3.0)), room.known)
    room.watch(3.5, 6, Person(1))
    assert whom(room.events) == [about("seen", 1)]
    assert room.vision.totals.tracks == 1


def test_pictures_that_cannot_be_written_to_and_views_of_others_are_looked_at() -> None:
    room = Room()
    big = np.zeros((HEIGHT, WIDTH * 2, 3), dtype=np.uint8)
    big[:, ::2] = picture(Person(1))
    view = big[:, ::2]
    view.setflags(write=False)
    room.vision.process(Frame(view, stamp(0.0)), room.known)
    assert whom(room.events) == []
    assert room.vision.totals.faces == 1


# ---------------------------------------------------------------- what a camera hands out


class Device:
    """A device that gives one picture again and again, as a driver without conversion does."""

    def __init__(self, image: Any) -> None:
        self._image = image

    def open(self, *_request: object) -> "Device":
        return self

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return True

    def set(self, _name: int, _value: float) -> bool:
        return True

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, Any]:
        return True, self._image

    def release(self) -> None:
        pass


COLOURS = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)
UNUSUAL: dict[str, Any] = {
    "grey": COLOURS[:, :, 1],
    "grey with an axis": COLOURS[:, :, 1:2],
    "with transparency": np.dstack([COLOURS, COLOURS[:, :, 0]]),
    "two channels": COLOURS[:, :, :2],
    "16 bit": COLOURS.astype(np.uint16) << 8,
    "16 bit grey": COLOURS[:, :, 1].astype(np.uint16) << 8,
    "numbers with a point": COLOURS.astype(np.float32) / 255,
    "empty": COLOURS[:0],
}
SHOWS = {
    "grey": np.repeat(COLOURS[:, :, 1:2], 3, axis=2),
    "grey with an axis": np.repeat(COLOURS[:, :, 1:2], 3, axis=2),
    "with transparency": COLOURS,
    "16 bit": COLOURS,
    "16 bit grey": np.repeat(COLOURS[:, :, 1:2], 3, axis=2),
}


def check_frame_or_loss(read: Any, kind: str) -> None:
    """A picture that Vision can use and that shows the same, or a camera that is lost; nothing else."""
    try:
        image = read().image
    except CameraLost:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.size > 0
    assert kind in SHOWS, "whoever cannot tell what it shows should say so"
    assert abs(image.astype(int) - SHOWS[kind].astype(int)).max() <= 1


@pytest.mark.parametrize("kind", sorted(UNUSUAL))
def test_a_device_gives_colour_bytes_or_is_lost(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Device(UNUSUAL[kind]).open)
    camera = OpenCvCamera(CameraRequest("0", 64, 48, 10.0, 1.0, 1.0), FakeClock())
    check_frame_or_loss(camera.read, kind)


@pytest.mark.parametrize("kind", sorted(UNUSUAL))
def test_the_pi_camera_gives_colour_bytes_or_is_lost(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRequest, "make_array", lambda _self, _name: UNUSUAL[kind])
    monkeypatch.setitem(sys.modules, "picamera2", FakeLibrary())
    camera = PiCamera(CameraRequest("0", 64, 48, 10.0, 1.0, 1.0), FakeClock())
    check_frame_or_loss(camera.read, kind)


# ---------------------------------------------------------------- recordings that are damaged


def pictures_in(path: Path) -> list[tuple[int, int]]:
    """Return where each JPEG of a file begins and ends."""
    content = path.read_bytes()
    found, at = [], content.find(b"\xff\xd8\xff")
    while at >= 0:
        end = content.find(b"\xff\xd9", at)
        found.append((at, end + 2))
        at = content.find(b"\xff\xd8\xff", end)
    return found


def played(path: Path) -> list[tuple[float, int]]:
    """Return when each frame comes, in seconds from the first, and its number."""
    camera = ReplayCamera(path, FakeClock(), fast=True)
    frames = []
    while True:
        try:
            frames.append(camera.read())
        except CameraEnded:
            return [(round(frame.at_s - frames[0].at_s, 3), number_of(frame.image)) for frame in frames]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = write_video(tmp_path / "v.avi", 15)
    assert len(pictures_in(path)) == 15
    return path


@pytest.mark.parametrize("damage", ["zeros", "noise", "no head", "half"])
def test_a_damaged_picture_inside_a_video_costs_itself_and_moves_no_other(video: Path, damage: str) -> None:
    start, end = pictures_in(video)[6]
    content = bytearray(video.read_bytes())
    if damage == "zeros":
        content[start:end] = bytes(end - start)
    elif damage == "noise":
        content[start:end] = np.random.default_rng(0).integers(0, 256, end - start, dtype=np.uint8).tobytes()
    elif damage == "no head":
        content[start : start + 20] = bytes(20)
    else:
        content[(start + end) // 2 : end] = bytes(end - (start + end) // 2)
    video.write_bytes(bytes(content))
    frames = played(video)
    others = [(at_s, number) for at_s, number in frames if at_s != 0.6]
    assert others == [(round(n * 0.1, 3), n) for n in range(15) if n != 6]


# ---------------------------------------------------------------- faces that are none

FACE = Face(Box(10, 10, 80, 80), np.array([[34, 42], [66, 42], [50, 58], [38, 74], [62, 74]], dtype=np.float32), 0.99)
CHIP = np.random.default_rng(1).integers(60, 190, (32, 32, 3), dtype=np.uint8)


def test_the_face_these_tests_spoil_is_a_good_one() -> None:
    assert judge(measure(FACE, CHIP, 100, 100), QualityLimits()) == ()


@pytest.mark.parametrize(
    "box",
    [
        Box(10, 10, 0, 80),
        Box(10, 10, -80, 80),
        Box(10, 10, 80, 0),
        Box(float("nan"), 10, 80, 80),
        Box(10, 10, float("nan"), 80),
        Box(10, 10, 80, float("nan")),
        Box(float("inf"), 10, 80, 80),
        Box(10, 10, float("inf"), 80),
        Box(-60, 10, 80, 80),
        Box(60, 60, 80, 80),
    ],
)
def test_a_box_that_is_empty_cut_or_no_box_is_not_good_enough(box: Box) -> None:
    assert judge(measure(Face(box, FACE.landmarks, 0.99), CHIP, 100, 100), QualityLimits()) != ()


def test_a_confidence_that_is_no_number_is_not_good_enough() -> None:
    assert judge(measure(Face(FACE.box, FACE.landmarks, float("nan")), CHIP, 100, 100), QualityLimits()) != ()


class Spoiled(PaintedDetector):
    """Finds the painted faces, with boxes as a broken network would give them."""

    def __init__(self, box: Box) -> None:
        super().__init__()
        self._box = box

    def _faces(self, image: Image) -> list[Face]:
        return [Face(self._box, face.landmarks, face.confidence) for face in super()._faces(image)]


@pytest.mark.parametrize(
    "box", [Box(10, 10, 0, 0), Box(float("nan"), 10, 80, 80), Box(10, 10, float("inf"), 80), Box(1e9, 1e9, 80, 80)]
)
def test_a_detector_that_gives_boxes_that_are_none_stops_nothing(box: Box) -> None:
    sight = Sight(Spoiled(box), Tracker(), sure_from=0.8)
    for tick in range(12):
        sight.look(picture(Person(1, x=20 + tick % 2 * 16)), tick * 0.5)
    sight.look(picture(), 10.0)
    sight.look(picture(), 20.0)
    ended = sight.tracker.ended(20.0)
    assert len(ended) == len(set(ended))
    assert sight._visible == {}


# ---------------------------------------------------------------- scenes that are hard to attend


def flicker(tick: int, *people: Person, light: int = 100) -> Image:
    """Return a room with a screen in its upper left corner that changes with each frame, and no face on it."""
    image = picture(*people, light=light)
    image[0:24, 0:24, 1] = 30 if tick % 2 else 220
    return image


def test_the_whole_picture_is_searched_every_five_seconds_although_something_moves_in_a_corner() -> None:
    attention = Attention()
    whole = [tick * 0.1 for tick in range(300) if attention.plan(flicker(tick), tick * 0.1, {}).search == "everywhere"]
    gaps = np.diff([*whole, 30.0])
    assert gaps.max() <= 5.5


def test_a_student_who_sits_still_does_not_leave_because_a_screen_flickers() -> None:
    room = Room()
    for tick in range(400):
        image = flicker(tick, Person(1, x=220, y=140))
        room.events += room.vision.process(Frame(image, stamp(tick * 0.4)), room.known)
    assert whom(room.events) == [about("seen", 1)]


def test_who_was_missed_at_first_is_found_although_a_screen_flickers(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    monkeypatch.setattr(room.detector, "_faces", lambda _image: [])
    for tick in range(10):
        room.vision.process(Frame(flicker(tick, Person(1, x=220, y=140)), stamp(tick * 0.4)), room.known)
    monkeypatch.undo()
    for tick in range(10, 60):
        image = flicker(tick, Person(1, x=220, y=140))
        room.events += room.vision.process(Frame(image, stamp(tick * 0.4)), room.known)
    assert whom(room.events) == [about("seen", 1)]


def test_slow_change_adds_up_also_while_something_else_changes_fast() -> None:
    attention = Attention()
    expected = {7: Box(200, 120, 80, 80)}
    attention.plan(flicker(0), 0.0, expected)
    noticed = False
    for tick in range(1, 45):
        image = flicker(tick)
        image[120:200, 200:280, 1] = 100 + 2 * tick
        plan = attention.plan(image, tick * 0.1, expected)
        assert plan.search != "everywhere"
        noticed = noticed or 7 in plan.moved
    assert noticed


def test_a_face_lost_just_after_a_search_is_searched_for_soon() -> None:
    sight = Sight(PaintedDetector(), Tracker(), sure_from=0.8)
    sight.look(picture(Person(1, x=20)), 0.0)
    seen = [len(sight.look(picture(Person(1, x=108)), 0.05 + 0.1 * tick).tracked) for tick in range(12)]
    assert seen[-1] == 1


@pytest.mark.parametrize("x", [112, 120, 130, 150])
def test_a_search_of_a_part_never_makes_a_part_of_a_face_of_a_whole_one(x: int) -> None:
    sight = Sight(PaintedDetector(), Tracker(), sure_from=0.8)
    sitting, place = Person(1, x=x, y=20, width=64), Box(x, 20, 64, 64)
    sight.look(flicker(0, sitting), 0.0)
    searches = set()
    for tick in range(1, 20):
        glance = sight.look(flicker(tick, sitting), tick * 0.2)
        searches.add(glance.plan.search)
        assert [(seen.track_id, seen.face.box) for seen in glance.tracked] == [(1, place)], tick
    assert "region" in searches


@settings(max_examples=60)
@given(
    x=st.integers(0, WIDTH - 1),
    y=st.integers(0, HEIGHT - 1),
    size=st.tuples(st.integers(16, 330), st.integers(16, 250)),
    changed=st.integers(8, 60),
)
def test_in_a_picture_of_any_odd_size_a_region_is_made_of_whole_pixels_inside_of_it(
    x: int, y: int, size: tuple[int, int], changed: int
) -> None:
    width, height = size
    attention = Attention()
    image = np.full((height, width, 3), 100, dtype=np.uint8)
    attention.plan(image, 0.0, {})
    after = image.copy()
    after[y % height : y % height + changed, x % width : x % width + changed] = 250
    region = attention.plan(after, 1.0, {}).region
    if region is not None:
        assert all(float(edge).is_integer() for edge in (region.x, region.y, region.width, region.height))
        assert 0 <= region.x < region.x + region.width <= width
        assert 0 <= region.y < region.y + region.height <= height
        assert region.width > 0 < region.height
