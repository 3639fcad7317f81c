"""Network cameras that die, freeze and come back, and devices that are not there."""

import socket
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.adapters.camera_opencv import CameraRequest, OpenCvCamera, Sameness
from edge.adapters.clock_system import SystemClock
from edge.core.errors import CameraLost
from edge.core.frame import Frame
from recognition.core.face import Image
from tests.edge_adapters.pictures import SIZE, NetworkCamera, network_camera, number_of, write_video
from tests.edge_adapters.pieces import eventually
from tests.fakes import FakeClock

OPEN_S, READ_S = 2.0, 1.0


def open_camera(source: str, frames_per_s: float = 60.0) -> OpenCvCamera:
    request = CameraRequest(source, *SIZE, frames_per_s, open_timeout_s=OPEN_S, read_timeout_s=READ_S)
    return OpenCvCamera(request, SystemClock())


def reads_until_lost(camera: OpenCvCamera, at_most: int = 2000) -> CameraLost:
    """Read on: after a failure a few frames that were under way may still come."""
    for _ in range(at_most):
        try:
            camera.read()
        except CameraLost as exc:
            return exc
    raise AssertionError("the camera is never lost")


def reads_again(camera: OpenCvCamera) -> Frame:
    """Read until there is a frame, as the capture loop does."""
    found: list[Frame] = []

    def read() -> bool:
        try:
            found.append(camera.read())
        except CameraLost:
            return False
        return True

    assert eventually(read, timeout_s=20)
    return found[0]


def test_a_camera_that_is_switched_off_is_lost_and_found_again_when_it_is_back() -> None:
    with network_camera() as first:
        camera = open_camera(first.url())
        camera.read()
        first.switch_off()
        assert reads_until_lost(camera).hint
        with pytest.raises(CameraLost, match="cannot be opened") as caught:
            camera.read()
        assert caught.value.hint
        second = NetworkCamera(first.port)
        frame = reads_again(camera)
        camera.close()
        second.switch_off()

    assert frame.size_px == SIZE


def test_a_frozen_camera_blocks_no_longer_than_the_time_outs() -> None:
    """Without limits, OpenCV waits half a minute at every read of a camera that is silent but connected."""
    with network_camera() as server:
        camera = open_camera(server.url())
        camera.read()
        server.freeze()
        before = time.monotonic()
        reads_until_lost(camera)
        lost_after_s = time.monotonic() - before
        before = time.monotonic()
        with pytest.raises(CameraLost):
            camera.read()
        opened_after_s = time.monotonic() - before
        server.streaming.set()
        reads_again(camera)
        camera.close()

    assert lost_after_s < READ_S + 1.5
    assert opened_after_s < OPEN_S + READ_S + 1.5


def test_a_server_that_accepts_and_says_nothing_blocks_no_longer_than_the_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        camera = open_camera(f"http://127.0.0.1:{server.getsockname()[1]}/stream")
        before = time.monotonic()
        with pytest.raises(CameraLost):
            camera.read()

    assert time.monotonic() - before < OPEN_S + 1.5


def test_a_camera_that_freezes_just_after_it_was_opened_is_not_waited_for_three_times() -> None:
    """The first pictures after opening are thrown away as stale; each of them may take the whole time-out."""
    with network_camera() as server:
        server.freeze()
        camera = open_camera(server.url())
        before = time.monotonic()
        with pytest.raises(CameraLost):
            camera.read()

    assert time.monotonic() - before < OPEN_S + READ_S + 1.5


def test_closing_from_another_thread_ends_what_was_under_way() -> None:
    with network_camera() as server:
        camera = open_camera(server.url())
        camera.read()
        server.freeze()
        ended = threading.Event()

        def read() -> None:
            reads_until_lost(camera)
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        camera.close()
        assert ended.wait(OPEN_S + READ_S + 5)
        reader.join(5)


@pytest.mark.parametrize(
    ("credentials", "query"),
    [
        ("admin:s3cret-word@", ""),
        ("admin:s3cret-word@x@", ""),
        ("", "?user=admin&pwd=s3cret-word"),
        ("", "?pwd=s3cret-word@home"),
        ("admin:s3cret-word?@", ""),
        ("admin:a/s3cret-word@", ""),
        ("", "#s3cret-word"),
    ],
)
def test_no_part_of_a_password_in_the_address_is_in_the_message(
    credentials: str, query: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The message goes to the log, to the hub and to whoever looks at the fleet; so does what OpenCV prints."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    camera = open_camera(f"http://{credentials}127.0.0.1:{port}/stream{query}")
    with pytest.raises(CameraLost) as caught:
        camera.read()
    printed = capfd.readouterr()

    for text in (str(caught.value), caught.value.hint, printed.out, printed.err):
        assert "s3cret" not in text
        assert "home" not in text


def test_the_message_names_a_camera_without_secrets_by_its_address() -> None:
    with pytest.raises(CameraLost, match=r"127\.0\.0\.1:1/stream"):
        open_camera("http://127.0.0.1:1/stream").read()
    with pytest.raises(CameraLost, match="/dev/v4l/by-id/gone") as caught:
        open_camera("/dev/v4l/by-id/gone").read()
    assert "video" in caught.value.hint


@pytest.mark.parametrize("source", ["9", "99999999999999", "/dev/null", "²"])
def test_a_device_that_is_not_there_is_a_lost_camera(source: str) -> None:
    camera = open_camera(source)
    for _ in range(2):
        with pytest.raises(CameraLost) as caught:
            camera.read()
        assert caught.value.hint
    camera.close()


def test_a_video_by_its_address_is_read_to_its_end_and_then_opened_again(tmp_path: Path) -> None:
    camera = open_camera(write_video(tmp_path / "v.avi", 12).as_uri(), frames_per_s=1e6)
    first = camera.read()
    reads_until_lost(camera)

    assert number_of(camera.read().image) == number_of(first.image)
    camera.close()


def test_no_more_frames_come_than_are_wanted() -> None:
    with network_camera() as server:
        camera = open_camera(server.url(), frames_per_s=5.0)
        frames = [camera.read() for _ in range(5)]
        camera.close()

    assert frames[-1].at_s - frames[1].at_s >= 3 / 5 * 0.9


def test_frames_in_between_are_thrown_away_and_not_handed_out_late() -> None:
    """Otherwise the driver's queue fills, and the unit looks at the past."""
    with network_camera() as server:
        camera = open_camera(server.url(), frames_per_s=4.0)
        camera.read()
        camera.read()
        newest = server.served
        camera.read()
        passed = server.served - newest
        camera.close()

    assert passed >= 5


def noise(seed: int) -> Image:
    """Return a picture as a sensor gives it: no two are the same."""
    return np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)


class Device:
    """A device as OpenCV hands it out; time passes while it waits for the next picture."""

    def __init__(self, clock: FakeClock) -> None:
        self.frozen = False
        self.unplugged = False
        self.damaged = 0
        self.raises = False
        self.grabbed = 0
        self.decoded = 0
        self.wanted: dict[int, float] = {}
        self.opened = 0
        self.released = 0
        self._clock = clock
        self._pictures = 0

    def open(self, *_request: object) -> "Device":
        self.opened += 1
        return self

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return True

    def set(self, name: int, value: float) -> bool:
        self.wanted[name] = value
        return True

    def grab(self) -> bool:
        if self.unplugged:
            return False
        self.grabbed += 1
        self._clock.advance(0.5)
        self._pictures += not self.frozen
        return True

    def retrieve(self) -> tuple[bool, Image | None]:
        self.decoded += 1
        if self.damaged:
            self.damaged -= 1
            if self.raises:
                raise cv2.error("(-215:Assertion failed) !buf.empty() in function 'imdecode_'")
            return False, None
        return True, noise(self._pictures)

    def release(self) -> None:
        self.released += 1


class TestFrozenDevices:
    """A driver that hangs repeats its last picture: it would pass for a room in which nobody moves."""

    @pytest.fixture
    def device(self, monkeypatch: pytest.MonkeyPatch) -> Device:
        device = Device(FakeClock())
        monkeypatch.setattr(cv2, "VideoCapture", device.open)
        return device

    def camera(self, device: Device, source: str = "0") -> OpenCvCamera:
        return OpenCvCamera(CameraRequest(source, *SIZE, 2.0, OPEN_S, READ_S), device._clock)

    def frozen_for(self, camera: OpenCvCamera, device: Device) -> float:
        """Read until the camera is lost; return the seconds it took."""
        before_s = device._clock.monotonic_s()
        assert "repeats one picture" in str(reads_until_lost(camera, at_most=100))
        return device._clock.monotonic_s() - before_s

    def test_a_dark_room_is_no_fault_of_the_camera(self) -> None:
        sameness = Sameness()
        black = np.full((*SIZE[::-1], 3), 6, dtype=np.uint8)
        assert [sameness.seconds(black, now_s) for now_s in (0.0, 20.0, 4000.0)] == [0.0, 0.0, 0.0]

    def test_a_device_that_repeats_one_picture_for_ten_seconds_is_lost(self, device: Device) -> None:
        camera = self.camera(device)
        camera.read()
        device.frozen = True
        assert 10.0 < self.frozen_for(camera, device) <= 11.0
        assert device.released == 1

    def test_a_frozen_device_is_opened_again_and_used_when_it_gives_new_pictures(self, device: Device) -> None:
        camera = self.camera(device)
        camera.read()
        device.frozen = True
        self.frozen_for(camera, device)
        # The new driver gets the same ten seconds: it may begin with the old picture.
        assert self.frozen_for(camera, device) > 10.0
        device.frozen = False
        for _ in range(100):
            camera.read()
        assert (device.opened, device.released) == (3, 2)

    def test_a_picture_that_changes_now_and_then_is_no_frozen_one(self, device: Device) -> None:
        camera = self.camera(device)
        for _ in range(10):
            device.frozen = False
            camera.read()
            device.frozen = True
            for _ in range(18):
                camera.read()
        assert device.released == 0

    def test_a_stream_may_repeat_its_picture(self, device: Device) -> None:
        """Whoever makes it removes the noise, and often sends a still picture of an empty room."""
        camera = self.camera(device, "rtsp://10.0.0.7/stream")
        device.frozen = True
        for _ in range(200):
            camera.read()
        assert device.released == 0


def test_one_bit_in_the_compared_pixels_makes_another_picture() -> None:
    sameness = Sameness()
    first = noise(1)
    second = first.copy()
    second[8, 16, 2] ^= 1
    assert [sameness.seconds(first, at_s) for at_s in (100.0, 104.0)] == [0.0, 4.0]
    assert sameness.seconds(second, 105.0) == 0.0
    assert sameness.seconds(second.copy(), 107.0) == 2.0
    assert sameness.seconds(first, 108.0) == 0.0


@pytest.mark.parametrize("raises", [False, True])
class TestDamagedFrames:
    """A long or worn cable spoils a picture now and then; to open the device anew takes seconds."""

    @pytest.fixture
    def device(self, monkeypatch: pytest.MonkeyPatch, raises: bool) -> Device:
        device = Device(FakeClock())
        device.raises = raises
        monkeypatch.setattr(cv2, "VideoCapture", device.open)
        return device

    def test_single_ones_are_passed_over_and_what_comes_is_dated_when_it_was_taken(self, device: Device) -> None:
        camera = OpenCvCamera(CameraRequest("0", *SIZE, 2.0, OPEN_S, READ_S), device._clock)
        for _ in range(20):
            device.damaged = 1
            assert camera.read().stamp == device._clock.stamp()
        assert (device.opened, device.released) == (1, 0)

    def test_many_in_a_row_are_a_lost_camera_that_is_opened_anew(self, device: Device) -> None:
        camera = OpenCvCamera(CameraRequest("0", *SIZE, 2.0, OPEN_S, READ_S), device._clock)
        camera.read()
        device.damaged = 1000
        with pytest.raises(CameraLost, match="cannot be read") as caught:
            camera.read()
        assert caught.value.hint
        assert 3 <= 1000 - device.damaged <= 10
        assert device.released == 1
        device.damaged = 0
        assert camera.read().size_px == SIZE
        assert device.opened == 2


class TestStillsAndPace:
    @pytest.fixture
    def device(self, monkeypatch: pytest.MonkeyPatch) -> Device:
        device = Device(FakeClock())
        monkeypatch.setattr(cv2, "VideoCapture", device.open)
        return device

    def camera(self, device: Device, *, stills: bool = False) -> OpenCvCamera:
        return OpenCvCamera(CameraRequest("0", 4608, 2592, 2.0, OPEN_S, READ_S, stills), device._clock)

    def test_a_slower_pace_takes_frames_from_the_driver_without_decoding_them(self, device: Device) -> None:
        camera = self.camera(device)
        camera.read()
        camera.pace(0.25)
        for _ in range(2):
            camera.read()
        before = device.grabbed
        camera.read()
        assert device.grabbed - before == 8  # four seconds of two pictures each
        assert device.decoded == 4

    def test_resting_between_stills_takes_pictures_and_decodes_none(self, device: Device) -> None:
        camera = self.camera(device, stills=True)
        camera.read()
        before_s, grabbed = device._clock.monotonic_s(), device.grabbed
        camera.rest(5.0)
        assert device._clock.monotonic_s() - before_s == 5.0
        assert (device.grabbed - grabbed, device.decoded) == (10, 1)

    def test_a_still_is_asked_for_in_its_size_and_is_the_next_picture_after_the_rest(self, device: Device) -> None:
        camera = self.camera(device, stills=True)
        camera.rest(1.0)
        before = device.grabbed
        camera.read()
        assert device.grabbed - before == 1
        assert device.wanted[cv2.CAP_PROP_FRAME_WIDTH] == 4608
        assert device.wanted[cv2.CAP_PROP_FRAME_HEIGHT] == 2592

    def test_the_pace_does_not_slow_stills(self, device: Device) -> None:
        camera = self.camera(device, stills=True)
        camera.pace(0.01)
        before_s = device._clock.monotonic_s()
        camera.read()
        camera.read()
        assert device._clock.monotonic_s() - before_s < 5

    def test_a_camera_that_is_unplugged_during_a_rest_is_lost_and_given_back(self, device: Device) -> None:
        camera = self.camera(device, stills=True)
        camera.read()
        device.unplugged = True
        with pytest.raises(CameraLost):
            camera.rest(5.0)
        assert device.released == 1
