"""The mailbox: the newest frame counts, and whoever waits is released."""

import threading

import pytest

from edge.core.frame import Frame
from edge.loops.mailbox import Mailbox
from tests.builders import stamp
from tests.edge_core.painted import picture

PATIENCE_S = 5.0


def frame(at_s: float = 0.0) -> Frame:
    return Frame(picture(), stamp(at_s))


def test_an_older_frame_that_nobody_took_is_dropped_and_counted() -> None:
    mailbox = Mailbox()
    for at_s in range(3):
        mailbox.put(frame(at_s), wait=False)
    taken = mailbox.take(0)
    assert taken is not None
    assert taken.stamp == stamp(2)
    assert mailbox.dropped == 2
    assert mailbox.take(0) is None


def test_a_recording_waits_until_each_frame_was_taken() -> None:
    mailbox, taken = Mailbox(), list[Frame | None]()
    frames = [frame(at_s) for at_s in range(5)]

    def write() -> None:
        for one in frames:
            mailbox.put(one, wait=True)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    taken = [mailbox.take(PATIENCE_S) for _ in frames]
    writer.join(PATIENCE_S)
    assert taken == frames
    assert mailbox.dropped == 0


def test_closing_releases_a_writer_that_waits() -> None:
    mailbox = Mailbox()
    mailbox.put(frame(), wait=True)
    writer = threading.Thread(target=lambda: mailbox.put(frame(1), wait=True), daemon=True)
    writer.start()
    mailbox.close()
    writer.join(PATIENCE_S)
    assert not writer.is_alive()


def test_closing_releases_a_reader_that_waits() -> None:
    mailbox, taken = Mailbox(), list[Frame | None]()
    reader = threading.Thread(target=lambda: taken.append(mailbox.take(60)), daemon=True)
    reader.start()
    mailbox.close()
    reader.join(PATIENCE_S)
    assert taken == [None]


def test_a_closed_mailbox_is_finished_when_its_last_frame_was_taken() -> None:
    mailbox = Mailbox()
    mailbox.put(frame(), wait=False)
    mailbox.close()
    assert not mailbox.finished
    assert mailbox.take(0) is not None
    assert mailbox.finished


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_it_tells_how_long_a_frame_keeps_its_reader_busy_on_average_since_it_was_asked_last() -> None:
    clock = Seconds()
    mailbox = Mailbox(clock)
    for cost_s in (0.1, 0.3):
        mailbox.put(frame(), wait=False)
        mailbox.take(0)
        clock.now_s += cost_s
    # The second frame is not done before the reader comes back.
    assert mailbox.cost_s() == 0.1
    mailbox.take(0)
    clock.now_s += 60.0
    assert mailbox.cost_s() == pytest.approx(0.3)
    assert mailbox.cost_s() is None


def test_waiting_for_a_frame_is_no_work() -> None:
    clock = Seconds()
    mailbox = Mailbox(clock)
    assert mailbox.take(0) is None
    clock.now_s += 10.0
    assert mailbox.take(0) is None
    assert mailbox.cost_s() is None


def test_without_a_clock_nothing_is_known_about_the_cost() -> None:
    mailbox = Mailbox()
    mailbox.put(frame(), wait=False)
    mailbox.take(0)
    mailbox.take(0)
    assert mailbox.cost_s() is None
