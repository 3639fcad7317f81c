"""Presence intervals: one `seen`, one `left`, never two at a time for one student."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.core.presence import PresenceBook, Sighting, closing_event
from protocol.content import TimetableLesson
from protocol.events import Event, Left, Seen
from tests.builders import PACK, lesson, stamp, student
from tests.edge_core.painted import about, whom
from tests.fakes import counting

LESSONS = (lesson(1, 1000, 2000), lesson(2, 2000, 3000))


def sighting(number: int) -> Sighting:
    return Sighting(student(number), score=0.8, margin=0.3, samples=2, gallery_revision=4, pack_id=PACK)


def book() -> PresenceBook:
    return PresenceBook(counting(), absence_s=60.0)


def one_left(events: list[Event]) -> Left:
    (event,) = events
    assert isinstance(event, Left)
    return event


def test_the_first_sighting_opens_an_interval_with_what_is_known() -> None:
    (event,) = book().sighting(sighting(1), stamp(1500), LESSONS)
    assert isinstance(event, Seen)
    assert (event.student_id, event.lesson_id, event.at) == (student(1), LESSONS[0].lesson_id, stamp(1500).at)
    assert (event.score, event.margin, event.samples, event.gallery_revision) == (0.8, 0.3, 2, 4)


def test_a_student_who_stays_makes_no_more_events() -> None:
    presence = book()
    presence.sighting(sighting(1), stamp(0))
    assert [presence.sighting(sighting(1), stamp(at_s)) + presence.tick(stamp(at_s)) for at_s in range(1, 600, 59)] == (
        [[]] * 11
    )


def test_a_student_who_is_away_for_a_minute_has_left_when_last_seen() -> None:
    presence = book()
    (opened,) = presence.sighting(sighting(1), stamp(0))
    presence.sighting(sighting(1), stamp(30))
    assert presence.tick(stamp(90)) == []
    event = one_left(presence.tick(stamp(90.001)))
    assert (event.cause, event.at, event.dwell_s) == ("absence", stamp(30).at, 30.0)
    assert event.interval_id == opened.event_id
    assert presence.tick(stamp(500)) == []


def test_a_student_who_comes_back_late_closes_the_old_interval_and_opens_a_new_one() -> None:
    presence = book()
    presence.sighting(sighting(1), stamp(0))
    events = presence.sighting(sighting(1), stamp(100))
    assert whom(events) == [about("left", 1), about("seen", 1)]
    assert events[0].at == stamp(0).at


def test_the_bell_closes_an_interval_and_the_next_sighting_belongs_to_the_next_lesson() -> None:
    presence = book()
    presence.sighting(sighting(1), stamp(1990), LESSONS)
    events = presence.sighting(sighting(1), stamp(2001), LESSONS)
    assert whom(events) == [about("left", 1), about("seen", 1)]
    assert isinstance(events[0], Left)
    assert isinstance(events[1], Seen)
    assert (events[0].cause, events[1].lesson_id) == ("lesson_end", LESSONS[1].lesson_id)


def test_the_bell_closes_the_interval_of_a_student_who_is_out_of_view() -> None:
    presence = book()
    presence.sighting(sighting(1), stamp(2990), LESSONS)
    assert one_left(presence.tick(stamp(3001), LESSONS)).cause == "lesson_end"


def test_a_student_who_waits_in_the_room_is_seen_again_when_the_lesson_comes() -> None:
    presence = book()
    presence.sighting(sighting(1), stamp(390), LESSONS)
    assert presence.tick(stamp(401), LESSONS) == []
    assert whom(presence.sighting(sighting(1), stamp(402), LESSONS)) == [about("left", 1), about("seen", 1)]


def test_two_tracks_of_one_student_in_one_frame_are_one_presence() -> None:
    presence = book()
    events = presence.sighting(sighting(1), stamp(0)) + presence.sighting(sighting(1), stamp(0))
    assert whom(events) == [about("seen", 1)]


def test_a_sighting_that_arrives_late_changes_nothing() -> None:
    """It would have closed a running interval for the sake of the lesson before, and overlapped it."""
    presence = book()
    presence.sighting(sighting(1), stamp(2010), LESSONS)
    assert presence.sighting(sighting(1), stamp(1990), LESSONS) == []
    assert one_left(presence.close_all("stop")).at == stamp(2010).at


def test_stopping_closes_everybody_when_last_seen() -> None:
    presence = book()
    for number in (1, 2):
        presence.sighting(sighting(number), stamp(number))
    events = presence.close_all("stop")
    assert whom(events) == [about("left", 1), about("left", 2)]
    assert [event.at for event in events] == [stamp(1).at, stamp(2).at]
    assert presence.close_all("stop") == []


def test_forgetting_a_student_closes_that_interval_only() -> None:
    presence = book()
    for number in (1, 2):
        presence.sighting(sighting(number), stamp(0))
    assert whom(presence.forget([student(1), student(9)])) == [about("left", 1)]
    assert [interval.student_id for interval in presence.open_intervals()] == [student(2)]


def test_what_a_restart_must_know_closes_the_interval_as_if_nothing_had_happened() -> None:
    presence = book()
    (opened,) = presence.sighting(sighting(1), stamp(0))
    presence.sighting(sighting(1), stamp(40))
    (remembered,) = presence.open_intervals()
    event = closing_event(remembered, "restart", "00000000-0000-0000-0000-0000000000ff")
    assert (event.interval_id, event.dwell_s, event.cause) == (opened.event_id, 40.0, "restart")


@pytest.mark.parametrize("absence_s", [0.5, 300.0])
def test_how_long_somebody_may_be_away_can_be_chosen(absence_s: float) -> None:
    presence = PresenceBook(counting(), absence_s=absence_s)
    presence.sighting(sighting(1), stamp(0))
    assert presence.tick(stamp(absence_s)) == []
    assert len(presence.tick(stamp(absence_s + 0.1))) == 1


class PresenceMachine(RuleBasedStateMachine):
    """Any coming and going over two lessons, with sightings twice and out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.book = book()
        self.now_s = 950.0
        self.log: list[Event] = []
        self.lessons: tuple[TimetableLesson, ...] = LESSONS

    @rule(seconds=st.sampled_from([0.1, 5.0, 59.0, 60.5, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule(number=st.integers(1, 3), late_s=st.sampled_from([0.0, 0.0, 0.0, 1.0]))
    def seen(self, number: int, late_s: float) -> None:
        known = {i.student_id: i for i in self.book.open_intervals()}.get(student(number))
        if known is None or known.first_seen.boottime_ns > stamp(self.now_s - late_s).boottime_ns:
            late_s = 0.0
        self.log += self.book.sighting(sighting(number), stamp(self.now_s - late_s), self.lessons)

    @rule()
    def tick(self) -> None:
        before = {i.student_id: i.last_seen.boottime_ns for i in self.book.open_intervals()}
        self.log += self.book.tick(stamp(self.now_s), self.lessons)
        still = {i.student_id for i in self.book.open_intervals()}
        limit_ns = stamp(self.now_s - 60.0).boottime_ns
        assert all(before[student_id] >= limit_ns for student_id in still)

    @rule(number=st.integers(1, 3))
    def forgotten(self, number: int) -> None:
        self.log += self.book.forget([student(number)])

    @rule()
    def timetable_goes(self) -> None:
        self.lessons = ()

    @invariant()
    def open_intervals_are_exactly_those_without_a_left(self) -> None:
        opened = {event.event_id for event in self.log if isinstance(event, Seen)}
        closed = {event.interval_id for event in self.log if isinstance(event, Left)}
        assert {interval.interval_id for interval in self.book.open_intervals()} == opened - closed

    def teardown(self) -> None:
        self.log += self.book.close_all("stop")
        assert self.book.open_intervals() == []
        opened = {event.event_id: event for event in self.log if isinstance(event, Seen)}
        closings = [event for event in self.log if isinstance(event, Left)]
        assert sorted(opened) == sorted(event.interval_id for event in closings)
        ends: dict[str, int] = {}
        for closing in closings:
            opening = opened[closing.interval_id]
            assert opening.student_id == closing.student_id
            assert closing.boottime_ns >= opening.boottime_ns
            assert closing.dwell_s == pytest.approx((closing.boottime_ns - opening.boottime_ns) / 1e9)
            assert opening.boottime_ns >= ends.get(closing.student_id, 0)
            ends[closing.student_id] = closing.boottime_ns


PresenceMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAnyComingAndGoing = PresenceMachine.TestCase
