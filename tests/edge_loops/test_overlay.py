"""The overlay video: what goes wrong with it is reported once, ends it, and never reaches recognition."""

from edge.core.errors import StorageFull
from edge.core.looks import Look
from edge.loops.health import Health
from edge.loops.overlay import OverlayTap
from tests.builders import stamp
from tests.edge_adapters.pictures import picture

A_LOOK = Look(stamp(0), picture(0), (), (), "search")


class Sink:
    def __init__(self, full_after: int = 1000) -> None:
        self.shown = 0
        self.closed = 0
        self._full_after = full_after

    def show(self, look: Look) -> None:
        assert look is A_LOOK
        if self.shown == self._full_after:
            raise StorageFull("no space", hint="make room")
        self.shown += 1

    def close(self) -> None:
        self.closed += 1


def test_every_look_is_shown() -> None:
    sink, health = Sink(), Health()
    tap = OverlayTap(sink, health)
    for _ in range(3):
        tap(A_LOOK)
    assert (sink.shown, sink.closed, health.problems()) == (3, 0, ())


def test_a_full_disk_ends_the_video_and_is_said_with_the_remedy() -> None:
    sink, health = Sink(full_after=2), Health()
    tap = OverlayTap(sink, health)
    for _ in range(5):
        tap(A_LOOK)
    assert (sink.shown, sink.closed) == (2, 1)
    assert [(problem.code, problem.text) for problem in health.problems()] == [("overlay", "no space: make room")]
