"""Capture: a lost camera is opened again for as long as it takes, and said so."""

import threading

from edge.core.errors import CameraEnded, CameraLost
from edge.core.frame import Frame
from edge.loops.capture import CaptureLoop
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox
from tests.builders import stamp
from tests.edge_core.painted import picture
from tests.fakes import FakeCamera


class CountingStop(threading.Event):
    """An event on which nobody waits: what was asked for is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


def frame(at_s: float = 0.0) -> Frame:
    return Frame(picture(), stamp(at_s))


class Scene:
    def __init__(self, *script: Frame | Exception, lossless: bool = False) -> None:
        self.camera = FakeCamera(script, lossless=lossless)
        self.mailbox = Mailbox()
        self.health = Health()
        self.stop = CountingStop()
        self.loop = CaptureLoop(self.camera, self.mailbox, self.health, self.stop, lambda: 1.0)

    def problems(self) -> list[str]:
        return [problem.text for problem in self.health.problems()]


def test_frames_go_into_the_mailbox() -> None:
    scene = Scene(frame(1))
    assert scene.loop.step()
    taken = scene.mailbox.take(0)
    assert taken is not None
    assert taken.stamp == stamp(1)
    assert scene.stop.waits == []


def test_a_lost_camera_is_tried_again_ever_more_slowly_and_reported() -> None:
    lost = [CameraLost("no camera", hint="check its cable") for _ in range(6)]
    scene = Scene(*lost)
    assert all(scene.loop.step() for _ in lost)
    assert scene.stop.waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert scene.problems() == ["no camera: check its cable"]


def test_a_camera_that_is_back_is_no_problem_any_more() -> None:
    scene = Scene(CameraLost("no camera"), CameraLost("no camera"), frame(), CameraLost("again"))
    for _ in range(3):
        scene.loop.step()
    assert scene.problems() == []
    scene.loop.step()
    assert scene.stop.waits == [1.0, 2.0, 1.0]


def test_the_end_of_a_recording_closes_the_mailbox_and_ends_the_loop() -> None:
    scene = Scene(CameraEnded("over"))
    assert not scene.loop.step()
    assert scene.mailbox.finished


def test_closing_releases_the_camera_and_whoever_waits_for_a_frame() -> None:
    scene = Scene()
    scene.loop.close()
    scene.loop.close()
    assert scene.camera.closed == 2
    assert scene.mailbox.finished
