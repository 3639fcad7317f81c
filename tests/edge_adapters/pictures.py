"""Pictures and recordings that carry a number, and a camera on the network that streams them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

from recognition.core.face import Image

SIZE = (64, 48)


def picture(number: int) -> Image:
    """Return a picture whose grey tells its number (modulo 16), also after JPEG."""
    return np.full((SIZE[1], SIZE[0], 3), 8 + 16 * (number % 16), dtype=np.uint8)


def number_of(image: Image) -> int:
    """Return the number of a picture."""
    return int(image.mean()) // 16


def write_picture(path: Path, number: int) -> None:
    """Write a picture to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture(number))


def write_video(path: Path, count: int, *, frames_per_s: float = 10.0) -> Path:
    """Write pictures 0, 1, 2, ... as a video."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), frames_per_s, SIZE)
    assert writer.isOpened()
    for number in range(count):
        writer.write(picture(number))
    writer.release()
    return path


class NetworkCamera:
    """MJPEG over HTTP on loopback, as cheap network cameras speak it."""

    def __init__(self, port: int = 0) -> None:
        self.streaming = threading.Event()
        self.streaming.set()
        self.ended = threading.Event()
        self.served = 0
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.serve(self.wfile.write, self.send_response, self.send_header, self.end_headers)

            def log_message(self, format: str, *_args: object) -> None:  # noqa: A002 (http.server's name)
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)
        self._thread.start()

    def url(self, credentials: str = "", query: str = "") -> str:
        """Return the address of the stream."""
        return f"http://{credentials}127.0.0.1:{self.port}/stream.mjpg{query}"

    def serve(
        self,
        write: Callable[[bytes], int],
        status: Callable[[int], None],
        header: Callable[[str, str], None],
        end: Callable[[], None],
    ) -> None:
        """Send pictures until the camera is switched off; send nothing while it is frozen."""
        status(200)
        header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        end()
        while not self.ended.is_set():
            if not self.streaming.wait(0.05):
                continue
            _, jpeg = cv2.imencode(".jpg", picture(self.served))
            data = jpeg.tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                write(head.encode() + data + b"\r\n")
            except OSError:
                return
            self.served += 1
            self.ended.wait(0.02)

    def freeze(self) -> None:
        """Stay connected and send nothing."""
        self.streaming.clear()

    def switch_off(self) -> None:
        """End every stream and refuse connections."""
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def network_camera() -> Iterator[NetworkCamera]:
    """Run a camera on the network while the block runs."""
    camera = NetworkCamera()
    try:
        yield camera
    finally:
        if not camera.ended.is_set():
            camera.switch_off()
