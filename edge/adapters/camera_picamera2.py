"""The Raspberry Pi's own camera. picamera2 is imported where the camera is opened: elsewhere it does not install."""

import importlib
import threading
from typing import Any

import numpy as np

from edge.adapters.camera_opencv import CameraRequest
from edge.adapters.frame_format import as_bgr_bytes
from edge.adapters.stamping import moved
from edge.core.errors import CameraLost
from edge.core.frame import Frame
from edge.core.ports import Clock

_STILLS_PER_S = 2.0
"""How often the sensor is read between stills: exposure goes on adapting, and no mode has to be switched, which would
break the little memory that cameras may use into pieces."""


class PiCamera:
    """`edge.core.ports.Camera` over picamera2. `source` is the number of the camera."""

    lossless = False

    def __init__(self, request: CameraRequest, clock: Clock) -> None:
        self._request = request
        self._clock = clock
        self._camera: Any = None
        self._frames_per_s = _STILLS_PER_S if request.stills else request.frames_per_s
        self._closed = threading.Event()

    def read(self) -> Frame:
        """Return the newest frame, dated when the sensor took it. Raises CameraLost."""
        camera = self._opened()
        try:
            with camera.captured_request() as request:
                # A copy: the memory behind it goes back to the sensor.
                taken = np.array(request.make_array("main"))
                taken_ns = request.get_metadata().get("SensorTimestamp")
        except (RuntimeError, OSError) as exc:
            self.close()
            raise CameraLost("the camera gives no picture", hint="check the ribbon cable") from exc
        try:
            image = as_bgr_bytes(taken)
        except CameraLost:
            self.close()
            raise
        now = self._clock.stamp()
        # SensorTimestamp counts on the boot clock; exposure and queue lie between it and now.
        behind_ns = taken_ns - now.boottime_ns if taken_ns else 0
        return Frame(image, moved(now, min(0, behind_ns)))

    def pace(self, frames_per_s: float) -> None:
        """Let the sensor take so many frames a second. The thread that reads."""
        if self._request.stills:
            return
        self._frames_per_s = frames_per_s
        if self._camera is not None:
            self._camera.set_controls({"FrameRate": frames_per_s})

    def rest(self, for_s: float) -> None:
        """Wait, with the camera running so that exposure goes on adapting. Raises CameraLost."""
        self._closed.clear()
        self._opened()
        self._closed.wait(for_s)

    def close(self) -> None:
        """Release the camera."""
        self._closed.set()
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.stop()
            camera.close()

    def _opened(self) -> Any:
        self._camera = self._camera or self._open()
        return self._camera

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
            camera.configure(self._configuration(camera))
            camera.set_controls({"FrameRate": self._frames_per_s})
            camera.start()
        except (RuntimeError, OSError) as exc:
            if camera is not None:
                # Otherwise we ourselves keep it in use, and no later try can succeed.
                camera.close()
            raise CameraLost("the camera cannot be opened", hint="is another program using it?") from exc
        return camera

    def _configuration(self, camera: Any) -> Any:
        width_px, height_px = self._request.width_px, self._request.height_px
        # libcamera names formats by their bytes in a word: RGB888 is what OpenCV calls BGR.
        if not self._request.stills:
            return camera.create_video_configuration(main={"size": (width_px, height_px), "format": "RGB888"})
        # More than the sensor has would only be blown up; the shape that was asked for stays.
        sensor_width_px, sensor_height_px = camera.sensor_resolution
        shrink = min(1.0, sensor_width_px / width_px, sensor_height_px / height_px)
        size = (int(width_px * shrink) // 2 * 2, int(height_px * shrink) // 2 * 2)
        return camera.create_still_configuration(main={"size": size, "format": "RGB888"}, buffer_count=2)
