"""The vision loop: frames in, events on disk, and nothing left open for longer than it was true."""

from edge.core.frame import Frame
from edge.core.known import KnownStudents
from edge.loops.health import Health
from edge.loops.mailbox import Mailbox
from edge.loops.recorder import Recorder
from edge.loops.vision import VisionLoop
from protocol.events import Event, Left
from tests.builders import stamp, student
from tests.edge_core.painted import Person, Room, about, known_students, picture, whom
from tests.fakes import FakeClock, MemoryCsv, MemoryJournal


class ImpatientMailbox(Mailbox):
    """Does not wait for a frame."""

    def take(self, timeout_s: float) -> Frame | None:
        return super().take(0.0 * timeout_s)


class Unit:
    """A vision loop with everything around it in memory."""

    def __init__(self, journal: MemoryJournal | None = None, *, time_passes: bool = True) -> None:
        self.clock = FakeClock()
        self.journal = journal or MemoryJournal()
        self.csv = MemoryCsv()
        self.mailbox = ImpatientMailbox()
        self.known: KnownStudents = known_students(1, 2)
        self.told: list[Event] = []
        room = Room()
        room.vision.new_id = self.clock.new_id
        room.vision.book._new_id = self.clock.new_id
        room.vision.coverage.new_id = self.clock.new_id
        self.loop = VisionLoop(
            self.mailbox,
            room.vision,
            Recorder(self.journal, self.csv, Health()),
            self.journal,
            self.clock,
            lambda: self.known,
            time_passes,
            self.told.extend,
        )

    def show(self, *people: Person, after_s: float = 0.5, scene: int = 0) -> None:
        """Show a frame, some time after the last."""
        self.clock.advance(after_s)
        self.show_at(self.clock.stamp().boottime_ns / 1e9 - 1000.0, *people, scene=scene)

    def show_at(self, at_s: float, *people: Person, scene: int = 0) -> None:
        self.mailbox.put(Frame(picture(*people), stamp(at_s), scene), wait=False)
        assert self.loop.step()

    def recognise(self, number: int = 1) -> None:
        """Show a student long enough for the two looks that name somebody."""
        self.show(Person(number))
        self.show(Person(number, x=36))

    def wait(self, seconds: float) -> None:
        """Let time pass without a frame."""
        self.clock.advance(seconds)
        assert self.loop.step()

    @property
    def presence(self) -> list[tuple[str, str]]:
        return whom(self.journal.events)

    def lefts(self) -> list[Left]:
        return [event for event in self.journal.events if isinstance(event, Left)]


def test_what_is_seen_is_on_disk_and_told_with_its_number() -> None:
    unit = Unit()
    unit.recognise()
    assert unit.presence == [about("seen", 1)]
    assert unit.csv.lines[0][1] == "0001_Student 1"
    assert [event.seq for event in unit.told] == [1]


def test_finishing_closes_what_is_open() -> None:
    unit = Unit()
    unit.recognise()
    unit.loop.finish()
    assert unit.presence == [about("seen", 1), about("left", 1)]
    assert unit.lefts()[0].cause == "stop"
    assert unit.journal.open_intervals() == []
    assert unit.journal.events[-1].kind == "coverage"


def test_finishing_before_the_first_frame_records_nothing() -> None:
    unit = Unit()
    unit.loop.finish()
    assert unit.journal.events == []


def test_a_restart_closes_what_a_killed_program_left_open_where_it_was_last_remembered() -> None:
    killed = Unit()
    for tick in range(14):
        killed.show(Person(1, x=20 + tick % 2 * 16))
    restarted = Unit(killed.journal)
    restarted.loop.recover()
    (left,) = restarted.lefts()
    assert left.cause == "restart"
    assert (stamp(7.0).at - left.at).total_seconds() <= 5.0
    assert left.dwell_s > 0
    assert restarted.journal.open_intervals() == []
    restarted.loop.recover()
    assert len(restarted.lefts()) == 1


def test_students_leave_while_the_camera_is_lost() -> None:
    unit = Unit()
    unit.recognise()
    unit.wait(30)
    assert unit.presence == [about("seen", 1)]
    unit.wait(31)
    assert unit.presence == [about("seen", 1), about("left", 1)]


def test_in_a_recording_only_its_own_time_passes() -> None:
    unit = Unit(time_passes=False)
    unit.recognise()
    unit.wait(3600)
    assert unit.presence == [about("seen", 1)]


def test_the_loop_ends_when_no_frame_will_come() -> None:
    unit = Unit()
    unit.mailbox.close()
    assert not unit.loop.step()


def test_an_erased_student_has_left_with_the_next_frame() -> None:
    unit = Unit()
    unit.recognise()
    unit.known = known_students(2, revision=5)
    unit.show(Person(1))
    assert unit.presence == [about("seen", 1), about("left", 1)]
    assert unit.lefts()[0].cause == "stop"


def test_an_exchange_of_the_gallery_is_noticed_though_it_has_the_same_number() -> None:
    """A hub that was restored from a backup counts the same revisions again."""
    unit = Unit()
    unit.recognise()
    unit.known = known_students(2, revision=4)
    unit.show(Person(1))
    assert unit.presence == [about("seen", 1), about("left", 1)]


def test_a_student_whose_template_was_withdrawn_has_left_with_the_next_frame() -> None:
    unit = Unit()
    unit.recognise()
    unit.known = known_students(2, revision=5, without_template=[1])
    unit.show(Person(1))
    assert unit.presence == [about("seen", 1), about("left", 1)]


def test_a_recording_that_begins_again_closes_what_was_open_in_its_first_run() -> None:
    """Its time goes back: an interval that stayed open would not end before that time had come again."""
    unit = Unit(time_passes=False)
    for tick in range(40):
        unit.show_at(100 + tick * 0.5, Person(1, x=20 + tick % 2 * 16))
    unit.show_at(0, scene=1)
    for tick in range(20):
        unit.show_at(0.5 + tick * 0.5, Person(2, x=20 + tick % 2 * 16), scene=1)
    unit.loop.finish()
    assert unit.presence == [about("seen", 1), about("left", 1), about("seen", 2), about("left", 2)]
    coverage = [event for event in unit.journal.events if event.kind == "coverage"]
    assert len(coverage) == 2
    for event in coverage:
        assert 0 < event.watched_s <= (event.at - event.since).total_seconds() + 1e-3


def test_in_the_second_run_of_a_recording_open_intervals_are_remembered_too() -> None:
    unit = Unit(time_passes=False)
    for tick in range(4):
        unit.show_at(98.5 + tick * 0.5, Person(1, x=20 + tick % 2 * 16))
    for tick in range(11):
        unit.show_at(tick * 0.5, Person(2, x=20 + tick % 2 * 16), scene=1)
    (interval,) = unit.journal.open_intervals()
    assert (interval.student_id, interval.first_seen, interval.last_seen) == (student(2), stamp(0), stamp(5))


def test_the_frame_rate_is_that_of_the_last_seconds_and_falls_when_the_camera_is_lost() -> None:
    """A status that says ten frames a second over a dead camera hides the fault."""
    unit = Unit()
    for _ in range(30):
        unit.show(after_s=0.5)
    assert 1.8 < unit.loop.rate.value < 2.3
    for _ in range(5):
        unit.wait(5)
    assert unit.loop.rate.value < 0.5


def test_a_camera_is_silent_from_the_last_frame_on() -> None:
    unit = Unit()
    unit.show(Person(1))
    assert unit.loop.silent_s() == 0.0
    unit.wait(20)
    unit.wait(20)
    assert unit.loop.silent_s() == 40.0
    unit.show(Person(1))
    assert unit.loop.silent_s() == 0.0


def test_a_camera_that_never_gave_a_frame_is_silent_since_the_loop_began() -> None:
    """Not since the machine did: models take a while to load."""
    unit = Unit()
    unit.clock.advance(100)
    assert unit.loop.silent_s() == 0.0
    unit.wait(0)
    unit.wait(35)
    assert unit.loop.silent_s() == 35.0


def test_a_recording_that_is_over_is_not_a_silent_camera() -> None:
    unit = Unit()
    unit.show(Person(1))
    unit.mailbox.close()
    unit.clock.advance(100)
    assert unit.loop.silent_s() == 0.0
