"""Recordings: the same pictures in the same order, dated honestly, at their own pace or as fast as they are read."""

import threading
import time
from pathlib import Path

import cv2
import pytest

from edge.adapters.camera_replay import PICTURE_EVERY_S, ReplayCamera
from edge.adapters.clock_system import SystemClock
from edge.core.errors import CameraEnded, CameraLost
from edge.core.frame import Frame
from tests.edge_adapters.pictures import number_of, picture, write_picture, write_video
from tests.fakes import FakeClock


def fast(source: Path, clock: FakeClock | None = None, *, again: bool = False) -> ReplayCamera:
    return ReplayCamera(source, clock or FakeClock(), fast=True, again=again)


def everything(camera: ReplayCamera) -> list[Frame]:
    frames = []
    while True:
        try:
            frames.append(camera.read())
        except CameraEnded:
            return frames


def folder_of(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        write_picture(folder / name, number)
    return folder


class TestFolders:
    def test_pictures_come_by_name_and_folders_are_scenes_after_the_loose_ones(self, tmp_path: Path) -> None:
        folder_of(tmp_path, "b.png", "a.jpg", "two/1.png", "one/2.png", "one/1.PNG")

        frames = everything(fast(tmp_path))

        assert [(number_of(frame.image), frame.scene) for frame in frames] == [(1, 0), (0, 0), (4, 1), (3, 1), (2, 2)]

    def test_without_loose_pictures_the_first_folder_is_scene_0(self, tmp_path: Path) -> None:
        folder_of(tmp_path, "one/1.png", "two/1.png")
        (tmp_path / "empty").mkdir()

        assert [frame.scene for frame in everything(fast(tmp_path))] == [0, 1]

    def test_other_files_are_left_alone(self, tmp_path: Path) -> None:
        folder_of(tmp_path, "a.png")
        (tmp_path / "README.md").write_text("not a picture")
        (tmp_path / "b.txt").touch()

        assert len(everything(fast(tmp_path))) == 1

    @pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 not a JPEG", None])
    def test_a_damaged_picture_is_skipped_and_keeps_its_time(
        self, tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Also a folder that is called like a picture, or a file that may not be read.

        The log does not say which: pictures are often called after who is in them.
        """
        folder_of(tmp_path, "a.png", "c.png")
        if content is None:
            (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
        else:
            (tmp_path / "b.png").write_bytes(content)

        frames = everything(fast(tmp_path))

        assert [number_of(frame.image) for frame in frames] == [0, 1]
        assert frames[1].at_s - frames[0].at_s == pytest.approx(2 * PICTURE_EVERY_S)
        (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert "skipped" in line
        assert "b.png" not in caplog.text

    def test_a_folder_without_a_single_readable_picture_is_a_lost_camera(self, tmp_path: Path) -> None:
        """Not a recording that is over: the program would end as if all were well."""
        (tmp_path / "a.png").write_bytes(b"no picture")
        camera = fast(tmp_path)

        for _ in range(2):
            with pytest.raises(CameraLost, match="read"):
                camera.read()

    def test_an_empty_folder_and_a_missing_one_are_told_apart(self, tmp_path: Path) -> None:
        with pytest.raises(CameraLost, match="no pictures") as caught:
            fast(tmp_path)
        assert caught.value.hint
        with pytest.raises(CameraLost, match="no recording") as caught:
            fast(tmp_path / "gone")
        assert caught.value.hint


class TestVideos:
    def test_every_frame_comes_in_order(self, tmp_path: Path) -> None:
        frames = everything(fast(write_video(tmp_path / "v.avi", 12)))

        assert [number_of(frame.image) for frame in frames] == list(range(12))
        assert {frame.scene for frame in frames} == {0}

    def test_frames_are_as_far_apart_as_the_file_says(self, tmp_path: Path) -> None:
        frames = everything(fast(write_video(tmp_path / "v.avi", 5, frames_per_s=20)))

        assert frames[-1].at_s - frames[0].at_s == pytest.approx(4 / 20, abs=1e-6)

    def test_a_file_that_is_no_video_is_a_lost_camera_at_every_try(self, tmp_path: Path) -> None:
        """And never a recording that is over: the program would end as if all were well."""
        (tmp_path / "v.mp4").write_bytes(b"this is no video" * 100)
        camera = fast(tmp_path / "v.mp4")

        for _ in range(3):
            with pytest.raises(CameraLost, match=r"v\.mp4") as caught:
                camera.read()
            assert caught.value.hint

    def test_a_video_cut_off_in_the_middle_is_played_as_far_as_it_goes(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "v.avi", 200)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

        assert 10 < len(everything(fast(path))) < 190


class TestDamagedVideos:
    def stream(self, folder: Path, *damaged: range, count: int = 60) -> Path:
        """Write a raw stream, in which a damaged picture keeps its beginning and loses what it shows."""
        pictures = [bytearray(cv2.imencode(".jpg", picture(number))[1].tobytes()) for number in range(count)]
        for number in (number for gap in damaged for number in gap):
            pictures[number][200:] = bytes(len(pictures[number]) - 200)
        (folder / "anna.mjpeg").write_bytes(b"".join(pictures))
        return folder / "anna.mjpeg"

    def test_each_gap_is_told_of_once_and_without_the_name(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        frames = everything(fast(self.stream(tmp_path, range(4, 6), range(20, 40))))

        assert [number_of(frame.image) for frame in frames] == [
            number % 16 for number in range(60) if number not in (4, 5, *range(20, 40))
        ]
        assert [record.getMessage().rsplit("=")[-1] for record in caplog.records] == ["2", "20"]
        assert "anna" not in caplog.text

    def test_nothing_is_dated_in_the_future_after_a_gap(self, tmp_path: Path) -> None:
        clock = FakeClock()
        frames = everything(fast(self.stream(tmp_path, range(4, 6)), clock))

        assert all(frame.stamp.at <= clock.at for frame in frames)
        assert frames[-1].at_s - frames[0].at_s == pytest.approx(59 / 25, abs=1e-6)

    def test_a_video_whose_first_pictures_are_damaged_begins_after_them(self, tmp_path: Path) -> None:
        frames = everything(fast(self.stream(tmp_path, range(3))))

        assert number_of(frames[0].image) == 3

    def test_a_video_that_cannot_be_read_to_its_end_says_so(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = write_video(tmp_path / "v.avi", 100)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
        everything(fast(path))

        assert "video ends early" in caplog.text

    def test_of_a_whole_video_nothing_is_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        everything(fast(write_video(tmp_path / "v.avi", 30)))
        everything(fast(self.stream(tmp_path)))

        assert caplog.text == ""


class TestPlayedFast:
    def test_the_recording_ends_about_now_and_nothing_is_dated_in_the_future(self, tmp_path: Path) -> None:
        clock = FakeClock()
        frames = everything(fast(write_video(tmp_path / "v.avi", 10), clock))

        assert all(frame.stamp.at <= clock.at for frame in frames)
        assert (clock.at - frames[-1].stamp.at).total_seconds() == pytest.approx(0.1, abs=0.01)

    def test_nothing_is_dated_in_the_future_when_the_file_does_not_say_how_long_it_is(self, tmp_path: Path) -> None:
        """A raw stream of pictures has no count of frames."""
        raw = tmp_path / "v.mjpeg"
        raw.write_bytes(b"".join(cv2.imencode(".jpg", picture(number))[1].tobytes() for number in range(10)))
        clock = FakeClock()

        frames = everything(fast(raw, clock))

        assert len(frames) == 10
        assert all(frame.stamp.at <= clock.at for frame in frames)
        assert frames[-1].at_s > frames[0].at_s

    def test_distances_stay_true_when_the_recording_is_longer_than_the_machine_is_up(self, tmp_path: Path) -> None:
        clock = FakeClock()
        clock.boottime_ns = 200_000_000
        frames = everything(fast(write_video(tmp_path / "v.avi", 10), clock))

        assert frames[-1].at_s - frames[0].at_s == pytest.approx(0.9, abs=1e-6)

    def test_no_time_is_spent_waiting(self, tmp_path: Path) -> None:
        before = time.monotonic()
        frames = everything(
            ReplayCamera(folder_of(tmp_path, *(f"{n:02}.png" for n in range(16))), SystemClock(), fast=True)
        )

        assert len(frames) == 16
        assert time.monotonic() - before < 15 * PICTURE_EVERY_S / 2


class TestOwnPace:
    def test_a_frame_that_is_due_comes_at_once_dated_now(self, tmp_path: Path) -> None:
        clock = FakeClock()
        camera = ReplayCamera(folder_of(tmp_path, "a.png", "b.png", "c.png"), clock, fast=False)
        stamps = []
        for _ in range(3):
            stamps.append(camera.read().stamp)
            clock.advance(PICTURE_EVERY_S)

        assert [stamp.at for stamp in stamps] == [
            FakeClock().at,
            *(stamps[0].at + (stamps[1].at - stamps[0].at) * n for n in (1, 2)),
        ]
        assert (stamps[2].at - stamps[0].at).total_seconds() == pytest.approx(2 * PICTURE_EVERY_S)

    def test_a_frame_that_is_not_due_is_waited_for(self, tmp_path: Path) -> None:
        camera = ReplayCamera(folder_of(tmp_path, "a.png", "b.png"), SystemClock(), fast=False)
        first, second = camera.read(), camera.read()

        assert second.at_s - first.at_s >= PICTURE_EVERY_S * 0.95

    def test_closing_ends_a_read_that_waits(self, tmp_path: Path) -> None:
        """With a clock that stands still the next frame is half a second away; a video's may be a minute away."""
        camera = ReplayCamera(write_video(tmp_path / "v.avi", 2, frames_per_s=0.2), FakeClock(), fast=False)
        camera.read()
        ended = threading.Event()

        def read() -> None:
            with pytest.raises(CameraEnded):
                camera.read()
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        camera.close()

        assert ended.wait(2)
        reader.join(2)

    def test_a_reader_that_is_late_gets_every_frame_without_waiting(self, tmp_path: Path) -> None:
        clock = FakeClock()
        camera = ReplayCamera(folder_of(tmp_path, *(f"{n:02}.png" for n in range(10))), clock, fast=False)
        camera.read()
        clock.advance(60)
        before = time.monotonic()

        assert len(everything(camera)) == 9
        assert time.monotonic() - before < 2


class TestAtTheEnd:
    def test_a_recording_that_is_over_stays_over(self, tmp_path: Path) -> None:
        camera = fast(folder_of(tmp_path, "a.png"))
        camera.read()

        for _ in range(2):
            with pytest.raises(CameraEnded, match="is over"):
                camera.read()

    def test_again_begins_a_new_scene_each_time(self, tmp_path: Path) -> None:
        """No face is followed from the last picture to the first."""
        camera = fast(folder_of(tmp_path, "a.png", "two/b.png"), again=True)

        assert [camera.read().scene for _ in range(6)] == [0, 1, 2, 3, 4, 5]

    def test_again_works_for_a_video(self, tmp_path: Path) -> None:
        camera = fast(write_video(tmp_path / "v.avi", 2), again=True)

        frames = [camera.read() for _ in range(6)]
        assert [number_of(frame.image) for frame in frames] == [0, 1] * 3
        assert [frame.scene for frame in frames] == [0, 0, 1, 1, 2, 2]

    def test_again_ends_when_closed(self, tmp_path: Path) -> None:
        camera = fast(folder_of(tmp_path, "a.png"), again=True)
        camera.read()
        camera.close()

        with pytest.raises(CameraEnded):
            camera.read()

    def test_again_with_a_recording_that_was_taken_away_is_a_lost_camera_until_it_is_back(self, tmp_path: Path) -> None:
        folder = folder_of(tmp_path / "pictures", "a.png")
        camera = fast(folder, again=True)
        camera.read()
        folder.rename(tmp_path / "away")
        with pytest.raises(CameraLost):
            camera.read()
        (tmp_path / "away").rename(folder)

        assert camera.read().scene == 1


class TestStillsAndPace:
    def test_a_video_gives_one_frame_in_each_interval_dated_by_its_place(self, tmp_path: Path) -> None:
        video = write_video(tmp_path / "v.avi", 16, frames_per_s=2)
        frames = everything(ReplayCamera(video, FakeClock(), fast=True, still_every_s=3.0))

        assert [number_of(frame.image) for frame in frames] == [0, 6, 12]
        assert [frame.at_s - frames[0].at_s for frame in frames] == pytest.approx([0, 3, 6])

    def test_each_picture_of_a_folder_is_a_still(self, tmp_path: Path) -> None:
        frames = everything(
            ReplayCamera(folder_of(tmp_path, "a.png", "b.png", "c.png"), FakeClock(), fast=True, still_every_s=15.0)
        )

        assert [frame.at_s - frames[0].at_s for frame in frames] == pytest.approx([0, 15, 30])
        assert FakeClock().stamp().boottime_ns >= frames[-1].stamp.boottime_ns, "nothing is dated in the future"

    def test_a_recording_played_fast_is_never_slowed_down(self, tmp_path: Path) -> None:
        camera = fast(write_video(tmp_path / "v.avi", 12))
        camera.pace(0.1)

        assert len(everything(camera)) == 12

    def test_at_its_own_pace_frames_are_left_out_where_the_machine_cannot_follow(self, tmp_path: Path) -> None:
        clock = FakeClock()
        camera = ReplayCamera(write_video(tmp_path / "v.avi", 16, frames_per_s=10), clock, fast=False)
        camera.pace(2.5)
        clock.advance(-100)
        camera.read()
        clock.advance(200)  # every frame is due: nothing waits

        assert [number_of(frame.image) for frame in everything(camera)] == [4, 8, 12]

    @pytest.mark.parametrize("frames_per_s", [10.0, 10.001, 60.0])
    def test_a_pace_that_is_the_videos_own_or_faster_leaves_nothing_out(
        self, tmp_path: Path, frames_per_s: float
    ) -> None:
        clock = FakeClock()
        camera = ReplayCamera(write_video(tmp_path / "v.avi", 16, frames_per_s=10), clock, fast=False)
        camera.pace(frames_per_s)
        camera.read()
        clock.advance(200)

        assert len(everything(camera)) == 15

    def test_ten_of_25_frames_a_second_are_ten(self, tmp_path: Path) -> None:
        clock = FakeClock()
        camera = ReplayCamera(write_video(tmp_path / "v.avi", 100, frames_per_s=25), clock, fast=False)
        camera.pace(10)
        camera.read()
        clock.advance(200)

        assert len(everything(camera)) == 39

    def test_a_recording_that_begins_again_begins_with_its_first_frame(self, tmp_path: Path) -> None:
        video = write_video(tmp_path / "v.avi", 8, frames_per_s=2)
        camera = ReplayCamera(video, FakeClock(), fast=True, again=True, still_every_s=3.0)

        assert [number_of(camera.read().image) for _ in range(6)] == [0, 6, 0, 6, 0, 6]
