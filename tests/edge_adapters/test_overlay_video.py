"""The overlay video: it can be played, shows what it must and no more, and ends before the disk is full."""

import shutil
import stat
from collections import namedtuple
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.adapters.overlay_video import OverlayVideo, draw_look
from edge.core.errors import SettingsWrong, StorageFull
from edge.core.looks import Look, TrackView
from recognition.core.face import Box, Image
from tests.builders import stamp

SIZE = (320, 240)
STUDENT = "0190b6d5-7c1e-7f00-8000-0000000000aa"
PRESENT = TrackView(7, Box(60, 40, 80, 100), "present", STUDENT, 3, (), "search")
REFUSED = TrackView(8, Box(180, 40, 80, 100), "unusable", None, 0, ("blurred", "too_small"), "follow")


def grey(size: tuple[int, int] = SIZE, level: int = 90) -> Image:
    return np.full((size[1], size[0], 3), level, np.uint8)


def look(at_s: float, *views: TrackView, image: Image | None = None, regions: tuple[Box, ...] = ()) -> Look:
    return Look(stamp(at_s), grey() if image is None else image, views, regions, "search")


def played(path: Path) -> tuple[list[Image], float]:
    capture = cv2.VideoCapture(str(path))
    rate, frames = capture.get(cv2.CAP_PROP_FPS), []
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        frames.append(np.asarray(frame, np.uint8))
    capture.release()
    return frames, rate


def changed(before: Image, after: Image, box: Box, around: int = 3) -> bool:
    """Tell whether something was drawn on the border of a box."""
    left, top = int(box.x) - around, int(box.y) - around
    part = (slice(top, top + int(box.height) + 2 * around), slice(left, left + int(box.width) + 2 * around))
    return bool((before[part] != after[part]).any())


@pytest.mark.parametrize("ending", [".mp4", ".avi", ".mkv", ".MP4"])
def test_it_can_be_played_and_has_a_picture_for_each_moment(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"overlay{ending}"
    video = OverlayVideo(path, frames_per_s=10)
    for number in range(20):
        video.show(look(number * 0.1, PRESENT))
    video.close()
    frames, rate = played(path)

    assert (len(frames), round(rate)) == (20, 10)
    assert frames[0].shape == (SIZE[1], SIZE[0], 3)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_pictures_that_come_late_are_shown_as_long_as_they_lasted(tmp_path: Path) -> None:
    path = tmp_path / "o.avi"
    video = OverlayVideo(path, frames_per_s=10)
    for at_s, level in ((0.0, 40), (0.5, 120), (0.9, 200)):
        video.show(look(at_s, image=grey(level=level)))
    video.close()
    levels = [int(np.median(frame)) for frame in played(path)[0]]

    assert levels == pytest.approx([40] * 5 + [120] * 4 + [200], abs=4)


def test_a_night_without_a_picture_does_not_fill_the_disk(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "o.avi", frames_per_s=10)
    for at_s in (0.0, 36_000.0, 36_000.1):
        video.show(look(at_s))
    video.close()

    assert len(played(tmp_path / "o.avi")[0]) == 22


def test_a_recording_that_begins_again_goes_on_in_the_same_video(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "o.avi", frames_per_s=10)
    for at_s in (5.0, 5.1, 0.0, 0.1):
        video.show(look(at_s))
    video.close()

    assert len(played(tmp_path / "o.avi")[0]) == 4


def test_pictures_of_another_size_or_of_odd_sizes_are_fitted_in(tmp_path: Path) -> None:
    path = tmp_path / "o.mp4"
    video = OverlayVideo(path, frames_per_s=10)
    for number, size in enumerate([(321, 241), (640, 480), (100, 300), (1, 1), (321, 241)]):
        video.show(look(number * 0.1, image=grey(size)))
    video.close()
    frames, _rate = played(path)

    assert [frame.shape for frame in frames] == [(240, 320, 3)] * 5


def test_what_is_drawn_lies_where_the_faces_are_and_the_cameras_picture_stays_untouched() -> None:
    image = grey()
    region = Box(20, 20, 250, 180)
    drawn = draw_look(look(0.0, PRESENT, REFUSED, image=image, regions=(region,)))

    assert all(changed(image, drawn, box) for box in (PRESENT.box_xywh, REFUSED.box_xywh, region))
    assert (image == 90).all()
    assert (drawn[60:120, 80:120] == image[60:120, 80:120]).all(), "the face itself can be seen"


def test_a_large_still_is_reduced_with_its_boxes() -> None:
    wide = Look(
        stamp(0),
        grey((3840, 2160)),
        (TrackView(1, Box(1920, 400, 400, 400), "review", None, 1, (), "search"),),
        (),
        "search",
    )
    drawn = draw_look(wide)

    assert drawn.shape == (1080, 1920, 3)
    assert (drawn[200:205, 960:1160] != 90).any()


def test_the_students_id_is_drawn_only_when_asked_for_and_never_without_a_decision() -> None:
    plain, with_ids = draw_look(look(0.0, PRESENT)), draw_look(look(0.0, PRESENT), with_ids=True)

    assert (plain != with_ids).any()
    other = TrackView(7, PRESENT.box_xywh, "present", "ffffffff-0000", 3, (), "search")
    assert (draw_look(look(0.0, other)) == plain).all(), "nothing of the id shows"


def test_a_face_across_the_border_is_no_error(tmp_path: Path) -> None:
    beyond = TrackView(1, Box(-50, -50, 5000, 5000), "unknown", None, 0, ("cut_by_border",), "still")
    video = OverlayVideo(tmp_path / "o.avi", frames_per_s=10)
    video.show(look(0.0, beyond))
    video.close()

    assert len(played(tmp_path / "o.avi")[0]) == 1


@pytest.mark.parametrize("name", ["video.txt", "video", "video.gif", ".mp4"])
def test_another_ending_is_refused_with_those_that_serve(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsWrong) as caught:
        OverlayVideo(tmp_path / name, frames_per_s=10)
    assert ".avi" in caught.value.hint
    assert not (tmp_path / name).exists()


def test_a_place_where_nothing_can_be_written_is_refused_before_the_unit_starts(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    for path in (tmp_path / "gone" / "o.mp4", tmp_path / "folder.mp4"):
        with pytest.raises(SettingsWrong, match="cannot be written"):
            OverlayVideo(path, frames_per_s=10)


def test_it_ends_before_the_disk_is_full_and_what_was_written_can_be_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    free = [10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**10, 0, free[0]))
    video = OverlayVideo(tmp_path / "o.mp4", frames_per_s=10)
    for number in range(5):
        video.show(look(number * 0.1))
    free[0] = 10**8
    with pytest.raises(StorageFull) as caught:
        video.show(look(0.5))
    video.show(look(0.6))
    video.close()

    assert "300 MB" in str(caught.value)
    assert len(played(tmp_path / "o.mp4")[0]) == 5


def test_a_video_without_a_picture_leaves_no_file(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "o.mp4", frames_per_s=10)
    video.close()
    video.close()

    assert list(tmp_path.iterdir()) == []


def test_an_older_video_is_replaced_and_nobody_else_may_read_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "o.avi"
    path.write_bytes(b"old")
    path.chmod(0o644)
    video = OverlayVideo(path, frames_per_s=10)
    video.show(look(0.0))
    video.close()

    assert len(played(path)[0]) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
