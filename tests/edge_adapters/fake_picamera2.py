"""A stand-in for the library `picamera2`, which installs on a Raspberry Pi only: what of it the unit uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from recognition.core.face import Image


class FakeRequest:
    """A picture with what the sensor said of it."""

    def __init__(self, camera: "FakePicamera2") -> None:
        self._camera = camera

    def make_array(self, name: str) -> Image:
        assert name == "main"
        width, height = self._camera.configuration["main"]["size"]
        return np.full((height, width, 3), 80, dtype=np.uint8)

    def get_metadata(self) -> dict[str, Any]:
        return dict(self._camera.library.metadata)


class FakePicamera2:
    """`picamera2.Picamera2`."""

    library: "FakeLibrary"
    number: int
    closed: bool

    def __init__(self, number: int) -> None:
        if any(camera.number == number and not camera.closed for camera in self.library.opened):
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.number = number
        self.configuration: dict[str, Any] = {}
        self.sensor_resolution = self.library.sensor_resolution
        self.controls: dict[str, Any] = {}
        self.running = False
        self.closed = False
        self.library.opened.append(self)

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return [{"Num": number} for number in range(cls.library.cameras)]

    def create_video_configuration(self, main: dict[str, Any]) -> dict[str, Any]:
        return {"main": main}

    def create_still_configuration(self, main: dict[str, Any], buffer_count: int) -> dict[str, Any]:
        return {"main": main, "still": True, "buffer_count": buffer_count}

    def configure(self, configuration: dict[str, Any]) -> None:
        if self.library.configure_fails:
            raise RuntimeError("Failed to configure camera")
        self.configuration = configuration

    def set_controls(self, controls: dict[str, Any]) -> None:
        self.controls = controls

    def start(self) -> None:
        self.running = True

    @contextmanager
    def captured_request(self) -> Iterator[FakeRequest]:
        if self.library.unplugged:
            raise RuntimeError("Camera frontend has timed out!")
        assert self.running
        yield FakeRequest(self)

    def stop(self) -> None:
        self.running = False

    def close(self) -> None:
        self.closed = True


class FakeLibrary(ModuleType):
    """The module; what happens to the camera is set on it."""

    def __init__(self) -> None:
        super().__init__("picamera2")
        self.cameras = 1
        self.sensor_resolution = (4608, 2592)
        self.unplugged = False
        self.configure_fails = False
        self.metadata: dict[str, Any] = {}
        self.opened: list[FakePicamera2] = []
        self.Picamera2 = type("Picamera2", (FakePicamera2,), {"library": self})
