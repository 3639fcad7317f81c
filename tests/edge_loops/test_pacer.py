"""The pacer: the camera learns of a change, an operator of heat, and neither of them when nothing changed."""

import logging

import pytest

from edge.core.frame import Frame
from edge.core.pace import MachineState, Pace, PaceLimits
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox
from edge.loops.pace import Pacer
from tests.builders import stamp
from tests.edge_adapters.pictures import picture
from tests.fakes import FakeCamera, FakeClock


class Machine:
    def __init__(self) -> None:
        self.state = MachineState(50.0)
        self.reads = 0

    def read(self) -> MachineState:
        self.reads += 1
        return self.state


class Scene:
    def __init__(self, most_per_s: float = 10.0) -> None:
        self.clock, self.machine, self.health = FakeClock(), Machine(), Health()
        self.mailbox = Mailbox(self.clock.monotonic_s)
        self.camera = FakeCamera((), lossless=False)
        self.pacer = Pacer(Pace(PaceLimits(most_per_s)), self.mailbox, self.machine, self.clock, self.health)

    def pass_s(self, seconds: float, *, frame_cost_s: float | None = None) -> None:
        if frame_cost_s is not None:
            self.mailbox.put(Frame(picture(0), stamp(0)), wait=False)
            self.mailbox.take(0)
            self.clock.advance(frame_cost_s)
            self.mailbox.take(0)
        self.clock.advance(seconds)
        self.pacer.step(self.camera)

    def problems(self) -> dict[str, str]:
        return {problem.code: problem.text for problem in self.health.problems()}


def test_a_machine_that_follows_is_left_alone() -> None:
    scene = Scene()
    for _ in range(10):
        scene.pass_s(3, frame_cost_s=0.01)
    assert scene.camera.paces == []
    assert scene.problems() == {}


def test_costly_frames_slow_the_camera_down_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scene = Scene()
    scene.pass_s(3, frame_cost_s=0.25)
    assert scene.camera.paces == [pytest.approx(3.4)]
    assert "busy: 0.25 s a frame" in caplog.text
    assert scene.problems() == {}, "many people at once are no fault"


def test_heat_is_a_problem_with_what_to_do_until_it_is_over() -> None:
    scene = Scene()
    scene.machine.state = MachineState(83.0)
    scene.pass_s(3)
    assert scene.camera.paces == [5.0]
    assert scene.problems() == {"too_warm": "too warm: 83 C: 5.0 pictures a second instead of 10; give the unit air"}
    scene.machine.state = MachineState(60.0)
    for _ in range(12):
        scene.pass_s(10)
    assert scene.problems() == {}
    assert scene.camera.paces[-1] == 10.0
    assert scene.camera.paces == sorted(scene.camera.paces)


def test_the_machine_is_not_asked_at_every_frame() -> None:
    scene = Scene()
    for _ in range(100):
        scene.pass_s(0.1)
    assert 4 <= scene.machine.reads <= 6
