"""Coverage: what was watched, never more than there was, and nothing twice."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.coverage import CoverageBook, Watch
from protocol.events import Coverage
from tests.builders import PACK, stamp
from tests.fakes import counting

WATCH = Watch("door", gallery_revision=4, pack_id=PACK, students=25)
NEWER = Watch("door", gallery_revision=5, pack_id=PACK, students=24)


def watched(book: CoverageBook, *frames_s: float, watch: Watch = WATCH) -> list[Coverage]:
    return [event for at_s in frames_s if (event := book.frame(stamp(at_s), watch))]


def the_rest(book: CoverageBook) -> Coverage:
    event = book.finish()
    assert event is not None
    return event


def test_a_minute_of_frames_is_one_event_with_its_whole_span() -> None:
    (event,) = watched(CoverageBook(counting()), *range(62))
    assert (event.since, event.at, event.watched_s) == (stamp(0).at, stamp(60).at, 60.0)
    assert (event.gallery_revision, event.students, event.mode, event.pack_id) == (4, 25, "door", PACK)


def test_the_next_event_begins_where_the_one_before_ended() -> None:
    one, other = watched(CoverageBook(counting()), *range(122))
    assert other.since == one.at


def test_time_without_frames_was_not_watched() -> None:
    book = CoverageBook(counting())
    watched(book, 0, 1, 2, 20, 21)
    event = the_rest(book)
    assert (event.since, event.at, event.watched_s) == (stamp(0).at, stamp(21).at, 3.0)


def test_a_long_silence_of_the_camera_belongs_to_no_event() -> None:
    (event,) = watched(CoverageBook(counting()), *range(10), 3600)
    assert (event.at, event.watched_s) == (stamp(9).at, 9.0)


def test_stills_every_fifteen_seconds_can_count_as_watching() -> None:
    book = CoverageBook(counting(), longest_gap_s=30.0)
    watched(book, 0, 15, 30, 45)
    assert the_rest(book).watched_s == 45.0


def test_a_new_gallery_begins_a_new_event() -> None:
    book = CoverageBook(counting())
    watched(book, 0, 1, 2)
    (event,) = watched(book, 3, watch=NEWER)
    assert (event.gallery_revision, event.at, event.watched_s) == (4, stamp(3).at, 3.0)
    watched(book, 4, watch=NEWER)
    rest = the_rest(book)
    assert (rest.gallery_revision, rest.students, rest.since, rest.watched_s) == (5, 24, stamp(3).at, 1.0)


def test_tracks_are_counted_in_the_event_in_which_they_ended() -> None:
    book = CoverageBook(counting())
    watched(book, 0, 1)
    book.ended_track(unknown=True, unusable=False)
    book.ended_track(unknown=False, unusable=True)
    book.ended_track(unknown=False, unusable=False)
    event = the_rest(book)
    assert (event.tracks, event.unknown_faces, event.unusable_faces) == (3, 1, 1)
    watched(book, 2)
    assert the_rest(book).tracks == 0


def test_nothing_watched_is_nothing_to_report() -> None:
    book = CoverageBook(counting())
    assert book.finish() is None
    watched(book, 0)
    assert the_rest(book).watched_s == 0.0
    assert book.finish() is None


def test_a_wall_clock_that_is_set_does_not_stretch_the_time_watched() -> None:
    book = CoverageBook(counting())
    book.frame(stamp(0), WATCH)
    set_forward = stamp(1).model_copy(update={"at": stamp(90_000).at})
    book.frame(set_forward, WATCH)
    event = the_rest(book)
    assert ((event.at - event.since).total_seconds(), event.watched_s) == (1.0, 1.0)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.2, 1.0, 4.9, 5.1, 70.0]),
            st.sampled_from([WATCH, WATCH, WATCH, NEWER]),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_events_never_overlap_and_add_up_to_what_was_watched(steps: list[tuple[float, Watch, bool]]) -> None:
    book = CoverageBook(counting())
    now_s, events, tracks, expected_s = 0.0, list[Coverage](), 0, 0.0
    for number, (gap_s, watch, track_ends) in enumerate(steps):
        now_s += gap_s
        if number and gap_s <= 5.0:
            expected_s += gap_s
        if track_ends:
            book.ended_track(unknown=False, unusable=False)
            tracks += 1
        events += watched(book, now_s, watch=watch)
    rest = book.finish()
    events += [rest] if rest else []
    assert sum(event.watched_s for event in events) == pytest.approx(expected_s)
    if steps:
        assert sum(event.tracks for event in events) == tracks
    for event in events:
        span_s = (event.at - event.since).total_seconds()
        assert -1e-6 <= event.watched_s <= span_s + 1e-3
    for before, after in pairwise(events):
        assert (after.since - before.at).total_seconds() >= -1e-3
