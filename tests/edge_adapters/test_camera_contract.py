"""What every camera promises: a recording, a stream, a device on a Raspberry Pi."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest

from edge.adapters.camera_opencv import CameraRequest, OpenCvCamera
from edge.adapters.camera_picamera2 import PiCamera
from edge.adapters.camera_replay import ReplayCamera
from edge.adapters.clock_system import SystemClock
from edge.core.errors import CameraEnded, CameraLost
from edge.core.ports import Camera
from tests.edge_adapters.fake_picamera2 import FakeLibrary
from tests.edge_adapters.pictures import SIZE, network_camera, write_picture, write_video


def request(source: str, frames_per_s: float = 60.0) -> CameraRequest:
    return CameraRequest(source, *SIZE, frames_per_s, open_timeout_s=3.0, read_timeout_s=1.0)


KINDS = ["folder fast", "folder own pace", "video", "stream", "video by address", "picamera2"]


@pytest.fixture(params=KINDS)
def camera(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Camera]:
    with ExitStack() as stack:
        opened = _open(request.param, tmp_path, monkeypatch, stack)
        yield opened
        opened.close()


def _open(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack) -> Camera:
    for number in range(4):
        write_picture(folder / "pictures" / f"{number}.png", number)
    clock = SystemClock()
    makers: dict[str, Callable[[], Camera]] = {
        "folder fast": lambda: ReplayCamera(folder / "pictures", clock, fast=True),
        "folder own pace": lambda: ReplayCamera(folder / "pictures", clock, fast=False),
        "video": lambda: ReplayCamera(write_video(folder / "v.avi", 4), clock, fast=True),
        "stream": lambda: OpenCvCamera(request(stack.enter_context(network_camera()).url()), clock),
        "video by address": lambda: OpenCvCamera(request(write_video(folder / "v.avi", 40).as_uri()), clock),
        "picamera2": lambda: PiCamera(request("0"), clock),
    }
    monkeypatch.setitem(sys.modules, "picamera2", FakeLibrary())
    return makers[kind]()


def test_frames_are_colour_pictures_dated_between_the_call_and_its_return_or_before(camera: Camera) -> None:
    first = camera.read()
    second = camera.read()
    now = SystemClock().stamp()

    for frame in (first, second):
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (SIZE[1], SIZE[0], 3)
        assert frame.size_px == SIZE
        assert frame.stamp.at <= now.at
        assert frame.stamp.boottime_ns <= now.boottime_ns
        assert frame.stamp.boot_id == now.boot_id
    assert first.stamp.boottime_ns <= second.stamp.boottime_ns


def test_a_frame_is_ours_to_keep(camera: Camera) -> None:
    """A driver's buffer that is used again would change the picture while it is looked at."""
    first = camera.read()
    before = first.image.copy()
    camera.read()

    assert np.array_equal(first.image, before)


def test_closing_twice_or_before_the_first_frame_is_fine(camera: Camera) -> None:
    camera.close()
    camera.close()


def test_reading_after_closing_raises_one_of_the_two_errors_or_gives_a_frame(camera: Camera) -> None:
    """The thread that reads may be late to learn that the program stops."""
    camera.read()
    camera.close()

    with suppress(CameraEnded, CameraLost):
        camera.read()


def test_only_a_recording_played_fast_asks_the_reader_not_to_drop_frames(
    camera: Camera, request: pytest.FixtureRequest
) -> None:
    assert camera.lossless is (request.node.callspec.params["camera"] in ("folder fast", "video"))
