"""A camera through OpenCV: a device by number or by its stable name, or a stream by its address."""

import re
import threading
from dataclasses import dataclass

import cv2

from edge.adapters.frame_format import decoded
from edge.core.errors import CameraLost
from edge.core.frame import Frame
from edge.core.ports import Clock
from protocol.events import Stamp
from recognition.core.face import Image

_STALE_FRAMES = 2
"""After a failure OpenCV may still hand out frames it had in its buffers."""
_DAMAGED_FRAMES = 5
"""A disturbed cable spoils single frames; opening the device anew costs seconds. So many in a row are a fault."""
_FROZEN_S = 10.0
_SPARSE = 8
_DARK = 24
"""Grey level, of 255, under which there is nothing to see."""
_DEVICE_NUMBER = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """What is asked of a camera; it gives what it can."""

    source: str
    width_px: int
    height_px: int
    frames_per_s: float
    open_timeout_s: float
    read_timeout_s: float
    stills: bool = False
    """Single pictures of the best quality, far apart, instead of a stream of frames."""

    @property
    def is_stream(self) -> bool:
        """True for an address such as rtsp://... or http://..."""
        return "://" in self.source


class Sameness:
    """How long a camera has given the very same picture: a sensor has noise, a driver that hangs has none.

    Without this a frozen picture passes for an empty room that is being watched, or for a student who never leaves.
    """

    def __init__(self) -> None:
        self._sample = b""
        self._since_s = 0.0

    def seconds(self, image: Image, now_s: float) -> float:
        """Return for how long the picture has not changed by a single bit, as far as every eighth pixel tells."""
        sparse = image[::_SPARSE, ::_SPARSE]
        sample = sparse.tobytes()
        # In the dark some cameras give plain black, bit for bit: that is a dark room and no fault.
        if sample != self._sample or int(sparse.max(initial=0)) < _DARK:
            self._sample, self._since_s = sample, now_s
        return now_s - self._since_s


class OpenCvCamera:
    """`edge.core.ports.Camera` over `cv2.VideoCapture`. Opens the device at the first `read` and after every failure.

    A capture that failed once never recovers, although `isOpened()` stays true: it is thrown away and made anew.
    """

    lossless = False

    def __init__(self, request: CameraRequest, clock: Clock) -> None:
        self._request = request
        self._clock = clock
        self._sameness = Sameness()
        self._capture: cv2.VideoCapture | None = None
        self._gap_s = 0.0 if request.stills else 1 / request.frames_per_s
        self._due_s = float("-inf")
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def read(self) -> Frame:
        """Return the next frame at the wanted rate. Raises CameraLost."""
        with self._lock:
            capture = self._opened()
            picture, stamp = self._next_decoded(capture)
            now_s = self._clock.monotonic_s()
            self._due_s = max(self._due_s + self._gap_s, now_s)
            if not self._request.is_stream and self._sameness.seconds(picture, now_s) > _FROZEN_S:
                self._drop()
                raise CameraLost(
                    f"the camera {self._name()} repeats one picture", hint="unplug it and plug it in again"
                )
            return Frame(picture, stamp)

    def pace(self, frames_per_s: float) -> None:
        """Decode at most so many frames a second; the others are taken from the driver and thrown away. Any thread."""
        if not self._request.stills:
            self._gap_s = 1 / frames_per_s

    def rest(self, for_s: float) -> None:
        """Take pictures and throw them away, so that exposure goes on adapting and none waits. Raises CameraLost."""
        until_s = self._clock.monotonic_s() + for_s
        self._closed.clear()
        while not self._closed.is_set() and self._clock.monotonic_s() < until_s:
            with self._lock:
                self._grab(self._opened())

    def close(self) -> None:
        """Release the device."""
        self._closed.set()
        with self._lock:
            self._drop()

    def _opened(self) -> cv2.VideoCapture:
        self._capture = self._capture or self._open()
        return self._capture

    def _next_decoded(self, capture: cv2.VideoCapture) -> tuple[Image, Stamp]:
        """Return the next frame that is due and can be decoded, and when it was taken. Raises CameraLost."""
        for _ in range(_DAMAGED_FRAMES):
            # Frames in between are taken and not decoded: otherwise the driver's queue hands out old ones.
            while True:
                self._grab(capture)
                if self._clock.monotonic_s() >= self._due_s:
                    break
            stamp = self._clock.stamp()
            try:
                picture = decoded(capture)
            except CameraLost:
                self._drop()
                raise
            if picture is not None:
                return picture, stamp
        self._drop()
        raise CameraLost(f"the camera {self._name()} gives pictures that cannot be read", hint=self._remedy())

    def _grab(self, capture: cv2.VideoCapture) -> None:
        if not capture.grab():
            self._drop()
            raise CameraLost(f"the camera {self._name()} gives no picture", hint="check cable and power")

    def _drop(self) -> None:
        self._sameness = Sameness()
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _open(self) -> cv2.VideoCapture:
        wanted = self._request
        capture = self._open_stream() if wanted.is_stream else self._open_device()
        if not capture.isOpened():
            capture.release()
            raise CameraLost(f"the camera {self._name()} cannot be opened", hint=self._remedy())
        for _ in range(_STALE_FRAMES):
            # Each may take the whole time-out: after the first failure `read` finds out by itself.
            if not capture.grab():
                break
        return capture

    def _open_stream(self) -> cv2.VideoCapture:
        # Without these, a frozen server blocks for 30 s at every read.
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            int(self._request.open_timeout_s * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            int(self._request.read_timeout_s * 1000),
        ]
        return cv2.VideoCapture(self._request.source, cv2.CAP_FFMPEG, limits)

    def _open_device(self) -> cv2.VideoCapture:
        source = self._request.source
        capture = cv2.VideoCapture(int(source) if _DEVICE_NUMBER.fullmatch(source) else source, cv2.CAP_V4L2)
        if capture.isOpened():
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._request.width_px)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._request.height_px)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return capture

    def _name(self) -> str:
        return _without_secrets(self._request.source) if self._request.is_stream else self._request.source

    def _remedy(self) -> str:
        if self._request.is_stream:
            return "check the address, the network and the camera's password"
        return "check the cable, `ls /dev/v4l/by-id`, and that the user is in the group `video`"


def _without_secrets(address: str) -> str:
    """Return a stream's address as far as it may be logged: without user, password, and what follows the path."""
    scheme, _, rest = address.partition("://")
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest[len(place) :]:
        # A password with such a character in it, or an address in the query: nobody can tell where the host is.
        return f"{scheme}://..."
    path = re.split(r"[?#]", rest[len(place) :], maxsplit=1)[0]
    return f"{scheme}://{place.rsplit('@', 1)[-1]}{path}"
