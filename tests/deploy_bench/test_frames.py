"""Everybody is measured on frames that hold what they say and are the same each time."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from deploy.bench.frames import COUNTS, LARGEST_PX, SIZES, SMALLEST_PX, Portrait, compose, read_portraits
from deploy.bench.groups import read_groups
from recognition.adapters.analysis import open_engine
from recognition.core.face import Box


def test_the_same_arguments_give_the_same_frame() -> None:
    portraits = read_portraits(Path("/nowhere"))
    assert np.array_equal(compose(portraits, (640, 480), 5).image, compose(portraits, (640, 480), 5).image)


@pytest.mark.parametrize("size_px", SIZES)
@pytest.mark.parametrize("faces", COUNTS)
def test_a_frame_says_its_size_and_its_faces(size_px: tuple[int, int], faces: int) -> None:
    frame = compose(read_portraits(Path("/nowhere")), size_px, faces)
    assert frame.image.shape == (size_px[1], size_px[0], 3)
    assert frame.image.dtype == np.uint8
    assert frame.name == f"{size_px[0]}x{size_px[1]}, {faces} face{'' if faces == 1 else 's'}"


def test_too_many_faces_are_refused_rather_than_made_smaller() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        compose(read_portraits(Path("/nowhere")), (640, 480), 60)


def test_every_face_is_painted_in_a_place_of_its_own() -> None:
    """Each of 24 white cut-outs shows, none covers another."""
    white = Portrait(np.full((200, 200, 3), 255, np.uint8), Box(60, 60, 80, 80))
    empty = compose([white], (1280, 720), 0).image
    frame = compose([white], (1280, 720), 24).image
    painted = np.abs(frame.astype(int) - empty.astype(int)).max(axis=2) > 40
    found, _, stats, _ = cv2.connectedComponentsWithStats(painted.astype(np.uint8))
    large = [row for row in stats[1:found] if row[cv2.CC_STAT_AREA] > 400]
    assert len(large) == 24
    assert all(row[cv2.CC_STAT_WIDTH] <= LARGEST_PX * 1.7 + 1 for row in large)
    assert all(row[cv2.CC_STAT_WIDTH] >= SMALLEST_PX for row in large)


@pytest.mark.parametrize("faces", [0, 1, 10, 24])
def test_the_unit_finds_as_many_faces_as_a_frame_of_samples_says(pack_folder: Path, faces: int) -> None:
    engine = open_engine(pack_folder, smallest_face_px=40)
    frame = compose(read_portraits(Path("/nowhere")), (1280, 720), faces)
    assert len(engine.detector.detect(frame.image)) == faces


def test_the_unit_finds_as_many_faces_as_a_frame_of_groups_says(pack_folder: Path, shared_folder: Path) -> None:
    """A neighbour's face that came with a cut-out would make the number a lie."""
    engine = open_engine(pack_folder, smallest_face_px=40)
    frame = compose(read_portraits(shared_folder), (1280, 720), 24)
    assert len(engine.detector.detect(frame.image)) == 24


def test_without_the_photographs_there_are_no_groups(tmp_path: Path) -> None:
    assert read_groups(tmp_path) == []


def test_boxes_of_the_photographs_are_read_and_lie_in_them(shared_folder: Path) -> None:
    groups = read_groups(shared_folder)
    assert len(groups) == 9
    assert sum(len(group.faces) for group in groups) == 43
    for group in groups:
        height, width = group.image.shape[:2]
        assert all(box.x >= 0 and box.x + box.width <= width and box.y + box.height <= height for box in group.faces)
        half = group.scaled(0.5)
        assert half.image.shape[1] == round(width / 2)
        assert half.faces[0].width == group.faces[0].width / 2
