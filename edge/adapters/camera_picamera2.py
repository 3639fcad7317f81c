"""The Raspberry Pi's own camera. picamera2 is imported where the camera is opened: elsewhere it does not install."""

import importlib
from typing import Any

import numpy as np

from edge.adapters.camera_opencv import CameraRequest
from edge.adapters.stamping import moved
from edge.core.errors import CameraLost
from edge.core.frame import Frame
from edge.core.ports import Clock


class PiCamera:
    """`edge.core.ports.Camera` over picamera2. `source` is the number of the camera."""

    lossless = False

    def __init__(self, request: CameraRequest, clock: Clock) -> None:
        self._request = request
        self._clock = clock
        self._camera: Any = None

    def read(self) -> Frame:
        """Return the newest frame, dated when the sensor took it. Raises CameraLost."""
        camera = self._camera or self._open()
        self._camera = camera
        try:
            with camera.captured_request() as request:
                image = np.array(request.make_array("main"), dtype=np.uint8)
                taken_ns = request.get_metadata().get("SensorTimestamp")
        except (RuntimeError, OSError) as exc:
            self.close()
            raise CameraLost("the camera gives no picture", hint="check the ribbon cable") from exc
        now = self._clock.stamp()
        # SensorTimestamp counts on the boot clock; exposure and queue lie between it and now.
        behind_ns = taken_ns - now.boottime_ns if taken_ns else 0
        return Frame(image, moved(now, min(0, behind_ns)))

    def close(self) -> None:
        """Release the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.stop()
            camera.close()

    def _open(self) -> Any:
        try:
            library = importlib.import_module("picamera2")
        except (ImportError, ValueError) as exc:
            # ValueError: built against another NumPy than the one found first.
            raise CameraLost(
                "picamera2 is not installed for this Python, or does not fit its NumPy",
                hint="on Raspberry Pi OS: sudo apt install python3-picamera2, and a virtual environment made with "
                "--system-site-packages",
            ) from exc
        source = self._request.source
        if not (source.isascii() and source.isdecimal()):
            raise CameraLost(
                f"there is no camera {source}", hint="camera.source is its number with picamera2, mostly 0"
            )
        number = int(source)
        if number >= len(library.Picamera2.global_camera_info()):
            raise CameraLost(
                f"there is no camera number {number}", hint="check the ribbon cable; `rpicam-hello --list-cameras`"
            )
        camera = None
        try:
            camera = library.Picamera2(number)
            size = (self._request.width_px, self._request.height_px)
            # libcamera names formats by their bytes in a word: RGB888 is what OpenCV calls BGR.
            configuration = camera.create_video_configuration(main={"size": size, "format": "RGB888"})
            camera.configure(configuration)
            camera.set_controls({"FrameRate": self._request.frames_per_s})
            camera.start()
        except (RuntimeError, OSError) as exc:
            if camera is not None:
                # Otherwise we ourselves keep it in use, and no later try can succeed.
                camera.close()
            raise CameraLost("the camera cannot be opened", hint="is another program using it?") from exc
        return camera
