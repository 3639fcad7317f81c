"""The Raspberry Pi's camera, against a stand-in for its library."""

import sys
from datetime import timedelta

import numpy as np
import pytest

from edge.adapters.camera_opencv import CameraRequest
from edge.adapters.camera_picamera2 import PiCamera
from edge.core.errors import CameraLost
from tests.edge_adapters.fake_picamera2 import FakeLibrary, FakeRequest
from tests.fakes import FakeClock


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    fake = FakeLibrary()
    monkeypatch.setitem(sys.modules, "picamera2", fake)
    return fake


def pi_camera(source: str = "0") -> PiCamera:
    return PiCamera(CameraRequest(source, 64, 48, 5.0, open_timeout_s=1, read_timeout_s=1), FakeClock())


def test_it_is_opened_with_the_wanted_size_rate_and_the_order_of_colours_that_opencv_has(library: FakeLibrary) -> None:
    frame = pi_camera().read()

    (camera,) = library.opened
    assert frame.size_px == (64, 48)
    assert camera.configuration["main"] == {"size": (64, 48), "format": "RGB888"}
    assert camera.controls == {"FrameRate": 5.0}


def test_a_frame_is_dated_when_the_sensor_took_it(library: FakeLibrary) -> None:
    """Exposure and the driver's queue lie between the picture and now."""
    now = FakeClock().stamp()
    library.metadata["SensorTimestamp"] = now.boottime_ns - 150_000_000
    frame = pi_camera().read()

    assert frame.stamp.boottime_ns == now.boottime_ns - 150_000_000
    assert now.at - frame.stamp.at == timedelta(milliseconds=150)


@pytest.mark.parametrize("metadata", [{}, {"SensorTimestamp": 0}, {"SensorTimestamp": 10**18}])
def test_a_frame_is_dated_now_when_the_sensor_does_not_say_or_says_the_future(
    library: FakeLibrary, metadata: dict[str, int]
) -> None:
    library.metadata = metadata

    assert pi_camera().read().stamp == FakeClock().stamp()


def test_a_format_that_cannot_be_used_is_a_lost_camera_that_is_given_back(
    library: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeRequest, "make_array", lambda _self, _name: np.zeros((48, 64, 2), dtype=np.uint8))
    with pytest.raises(CameraLost, match="48 x 64 x 2"):
        pi_camera().read()
    assert [camera.closed for camera in library.opened] == [True]


def test_an_unplugged_camera_is_lost_and_opened_again(library: FakeLibrary) -> None:
    camera = pi_camera()
    camera.read()
    library.unplugged = True
    with pytest.raises(CameraLost) as caught:
        camera.read()
    assert "ribbon" in caught.value.hint
    library.unplugged = False

    camera.read()
    assert [opened.closed for opened in library.opened] == [True, False]


def test_a_camera_that_could_not_be_set_up_is_given_back(library: FakeLibrary) -> None:
    """Otherwise it stays in use by ourselves, and can never be opened again."""
    library.configure_fails = True
    camera = pi_camera()
    with pytest.raises(CameraLost) as caught:
        camera.read()
    assert caught.value.hint
    library.configure_fails = False

    camera.read()


@pytest.mark.parametrize("source", ["1", "7"])
def test_a_camera_that_is_not_there_is_lost_until_it_is(library: FakeLibrary, source: str) -> None:
    camera = pi_camera(source)
    with pytest.raises(CameraLost, match=f"camera number {source}"):
        camera.read()
    library.cameras = 8

    camera.read()


@pytest.mark.usefixtures("library")
def test_a_source_that_is_no_number_is_a_lost_camera_that_says_so() -> None:
    with pytest.raises(CameraLost, match="/dev/video0") as caught:
        pi_camera("/dev/video0").read()

    assert "number" in caught.value.hint


def test_closing_gives_the_camera_back_and_may_be_repeated(library: FakeLibrary) -> None:
    camera = pi_camera()
    camera.read()
    camera.close()
    camera.close()

    (opened,) = library.opened
    assert opened.closed
    assert not opened.running


@pytest.mark.parametrize("error", [ImportError("no such module"), ValueError("numpy.dtype size changed")])
def test_where_the_library_cannot_be_used_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Not installed, or built against another NumPy than the one of the virtual environment."""

    def refuses(_name: str) -> None:
        raise error

    monkeypatch.setattr("edge.adapters.camera_picamera2.importlib.import_module", refuses)
    with pytest.raises(CameraLost) as caught:
        pi_camera().read()

    assert "python3-picamera2" in caught.value.hint


def still_camera(width_px: int, height_px: int) -> PiCamera:
    request = CameraRequest("0", width_px, height_px, 5.0, open_timeout_s=1, read_timeout_s=1, stills=True)
    return PiCamera(request, FakeClock())


def test_stills_are_taken_in_the_still_mode_with_few_readings_of_the_sensor_in_between(library: FakeLibrary) -> None:
    frame = still_camera(640, 360).read()

    (camera,) = library.opened
    assert frame.size_px == (640, 360)
    assert camera.configuration["still"]
    assert camera.controls == {"FrameRate": 2.0}


@pytest.mark.parametrize(
    ("sensor", "expected"), [((320, 180), (320, 180)), ((320, 240), (320, 180)), ((4608, 2592), (640, 360))]
)
def test_a_still_is_as_large_as_was_asked_for_or_as_the_sensor_has_in_the_same_shape(
    library: FakeLibrary, sensor: tuple[int, int], expected: tuple[int, int]
) -> None:
    library.sensor_resolution = sensor
    assert still_camera(640, 360).read().size_px == expected


def test_the_pace_reaches_the_sensor_and_outlives_a_loss_but_never_changes_stills(library: FakeLibrary) -> None:
    camera = pi_camera()
    camera.pace(4.0)
    camera.read()
    assert library.opened[-1].controls == {"FrameRate": 4.0}
    camera.pace(2.5)
    assert library.opened[-1].controls == {"FrameRate": 2.5}
    camera.close()
    camera.read()
    assert library.opened[-1].controls == {"FrameRate": 2.5}
    camera.close()

    stills = still_camera(64, 48)
    stills.pace(30.0)
    stills.read()
    assert library.opened[-1].controls == {"FrameRate": 2.0}


def test_resting_keeps_the_sensor_running_so_that_exposure_fits_the_next_still(library: FakeLibrary) -> None:
    camera = still_camera(64, 48)
    camera.rest(0.0)
    assert [opened.running for opened in library.opened] == [True]
