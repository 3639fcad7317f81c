"""The tracker keeps faces apart and together, by seconds and not by frames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.core.tracking import Tracker
from tests.recognition_core.builders import a_face


@pytest.mark.parametrize("frames_a_second", [2, 5, 15])
def test_a_walking_person_is_one_track_at_any_frame_rate(frames_a_second: int) -> None:
    tracker = Tracker()
    ids = set()
    for frame in range(4 * frames_a_second):
        at_s = frame / frames_a_second
        # 1.5 face widths a second, coming closer all the while.
        ids |= {t.track_id for t in tracker.update([a_face(x=120 * at_s, width=80 + 10 * at_s)], at_s)}
    assert len(ids) == 1


def test_neighbours_keep_their_tracks() -> None:
    tracker = Tracker()
    first = tracker.update([a_face(x=0), a_face(x=120)], 0.0)
    second = tracker.update([a_face(x=124), a_face(x=5)], 0.2)
    assert [t.track_id for t in second] == [first[1].track_id, first[0].track_id]


def test_a_short_miss_does_not_end_a_track_and_a_long_one_does() -> None:
    tracker = Tracker()
    (track,) = tracker.update([a_face()], 0.0)
    assert tracker.ended(1.4) == []
    assert tracker.update([a_face()], 1.45)[0].track_id == track.track_id
    assert tracker.ended(2.94) == []
    assert tracker.ended(2.95) == [track.track_id]
    assert tracker.ended(2.95) == []


def test_a_face_that_comes_after_the_end_is_a_new_track() -> None:
    """Otherwise the next person in the same seat inherits what was decided about the last one."""
    tracker = Tracker()
    (old,) = tracker.update([a_face()], 0.0)
    (new,) = tracker.update([a_face()], 1.5)
    assert new.track_id != old.track_id
    assert tracker.ended(1.5) == [old.track_id]


def test_a_face_of_another_size_in_the_same_place_is_another_face() -> None:
    tracker = Tracker()
    (far,) = tracker.update([a_face(x=100, y=100, width=40)], 0.0)
    (near,) = tracker.update([a_face(x=60, y=60, width=120)], 0.1)
    assert near.track_id != far.track_id


def test_ending_all_forgets_the_clock_too() -> None:
    tracker = Tracker()
    (first,) = tracker.update([a_face()], 100.0)
    assert tracker.end_all() == [first.track_id]
    assert tracker.end_all() == []
    (second,) = tracker.update([a_face()], 0.0)
    assert second.track_id != first.track_id


def test_time_that_goes_back_is_refused() -> None:
    tracker = Tracker()
    tracker.update([], 5.0)
    with pytest.raises(ValueError, match="back"):
        tracker.update([], 4.9)
    with pytest.raises(ValueError, match="back"):
        tracker.ended(float("nan"))


def test_a_box_without_width_is_tracked_alone_and_does_not_divide_by_zero() -> None:
    tracker = Tracker()
    tracker.update([a_face(width=0)], 0.0)
    assert len(tracker.update([a_face(width=0), a_face()], 0.1)) == 2


places = st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 600), st.integers(20, 200)), max_size=8, unique=True)
frames = st.lists(st.tuples(places, st.floats(0.01, 2.5)), max_size=12)


@settings(max_examples=30)  # each example builds many vectors or frames
@given(frames)
def test_whatever_happens_every_face_has_one_track_and_every_track_ends_once(
    frames: list[tuple[list[tuple[int, int, int]], float]],
) -> None:
    tracker = Tracker()
    at_s, alive, over = 0.0, set[int](), list[int]()
    for faces, pause_s in frames:
        at_s += pause_s
        made = [a_face(x, y, width) for x, y, width in faces]
        tracked = tracker.update(made, at_s)
        assert [t.face for t in tracked] == made
        assert len({t.track_id for t in tracked}) == len(made)
        assert not {t.track_id for t in tracked} & set(over)
        alive |= {t.track_id for t in tracked}
        over += tracker.ended(at_s)
    over += tracker.end_all()
    assert sorted(over) == sorted(alive)


@settings(max_examples=30)  # each example builds many vectors or frames
@given(places)
def test_the_order_in_which_faces_are_reported_does_not_matter(faces: list[tuple[int, int, int]]) -> None:
    """Only pairs that cost exactly the same may be settled by order, so no two distances are the same here."""
    before = [a_face(x, y, width) for x, y, width in faces]
    after = [a_face(x + 3 + index / 7, y - index / 11, width + 1) for index, (x, y, width) in enumerate(faces)]

    def owners(order: list[int]) -> dict[int, int]:
        tracker = Tracker()
        tracker.update(before, 0.0)
        tracked = tracker.update([after[index] for index in order], 0.1)
        return {index: t.track_id for index, t in zip(order, tracked, strict=True) if t.track_id <= len(before)}

    straight = list(range(len(after)))
    assert owners(straight) == owners(straight[::-1])
