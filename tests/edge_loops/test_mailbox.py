"""The mailbox: the newest frame counts, and whoever waits is released."""

import threading

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
