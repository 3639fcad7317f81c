"""Capture: a lost camera is opened again for as long as it takes, and said so."""

import threading

from edge.core.errors import CameraEnded, CameraLost
from edge.core.frame import Frame
from edge.core.pace import MachineState, Pace, PaceLimits
from edge.core.sweep import SweepSchedule
from edge.loops.capture import CaptureLoop, Rhythm, Stills
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox
from edge.loops.pace import Pacer
from tests.builders import stamp
from tests.edge_core.painted import picture
from tests.fakes import FakeCamera, FakeClock


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


class HotMachine:
    def read(self) -> MachineState:
        return MachineState(90.0)


class Scene:
    def __init__(self, *script: Frame | Exception, lossless: bool = False, sweep_every_s: float | None = None) -> None:
        self.camera = FakeCamera(script, lossless=lossless)
        self.mailbox = Mailbox()
        self.health = Health()
        self.stop = CountingStop()
        self.clock = FakeClock()
        stills = Stills(SweepSchedule(sweep_every_s), self.clock) if sweep_every_s else None
        pacer = Pacer(Pace(PaceLimits(10.0)), self.mailbox, HotMachine(), self.clock, self.health)
        rhythm = Rhythm(stills, None if stills else pacer)
        self.loop = CaptureLoop(self.camera, self.mailbox, self.health, self.stop, lambda: 1.0, rhythm)

    def problems(self) -> list[str]:
        return [problem.text for problem in self.health.problems() if problem.code != "too_warm"]


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


def test_a_camera_is_slowed_down_when_the_machine_is_too_warm() -> None:
    scene = Scene(frame(1))
    scene.loop.step()
    assert scene.camera.paces == [5.0]


def test_a_recording_played_fast_is_never_slowed_down() -> None:
    scene = Scene(frame(1), frame(2), lossless=True)
    scene.loop.step()
    assert scene.camera.paces == []
    assert scene.health.problems() == ()


def test_between_two_stills_the_camera_rests_in_short_pieces_so_that_a_stop_is_noticed() -> None:
    scene = Scene(frame(1), frame(2), sweep_every_s=15.0)
    assert scene.loop.step()
    assert scene.mailbox.take(0) is not None
    for wait_s in (15.0, 14.0, 0.4):
        scene.clock.boottime_ns = FakeClock().boottime_ns + round((15.0 - wait_s) * 1e9)
        assert scene.loop.step()
    assert [round(rest, 3) for rest in scene.camera.rests] == [1.0, 1.0, 0.4]
    assert scene.mailbox.take(0) is None
    scene.clock.advance(0.4)
    assert scene.loop.step()
    assert scene.mailbox.take(0) is not None


def test_a_still_that_failed_is_tried_again_and_not_left_out() -> None:
    scene = Scene(CameraLost("no picture"), frame(1), sweep_every_s=15.0)
    scene.loop.step()
    assert scene.problems() == ["no picture"]
    scene.loop.step()
    assert scene.mailbox.take(0) is not None
    assert scene.problems() == []
