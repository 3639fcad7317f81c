"""The tracker keeps faces apart and together, by seconds and not by frames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.core.face import Face
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


def ids_of(tracker: Tracker, faces: list[Face], at_s: float) -> list[int]:
    return [tracked.track_id for tracked in tracker.update(faces, at_s)]


def test_a_person_who_walks_is_expected_further_on() -> None:
    tracker = Tracker()
    for frame in range(10):
        tracker.update([a_face(x=100 + 40 * frame, width=80)], frame / 5)
    ((track_id, box),) = tracker.predicted(2.0).items()
    assert track_id == 1
    assert box.x == pytest.approx(100 + 40 * 10, abs=16)
    assert box.width == pytest.approx(80, rel=0.05)


def test_looking_ahead_changes_nothing_and_names_live_tracks_only() -> None:
    tracker = Tracker()
    tracker.update([a_face()], 0.0)
    assert tracker.predicted(0.5) == tracker.predicted(0.5)
    assert list(tracker.predicted(1.49)) == [1]
    assert tracker.predicted(1.5) == {}
    assert ids_of(tracker, [a_face()], 0.2) == [1]
    with pytest.raises(ValueError, match="back"):
        tracker.predicted(0.1)


def test_an_unsure_face_continues_a_track_and_begins_none() -> None:
    tracker = Tracker()
    tracker.update([a_face()], 0.0)
    known, unknown = a_face(x=104, confidence=0.3), a_face(x=600, confidence=0.3)
    (tracked,) = tracker.update([], 0.2, weak=[unknown, known])
    assert (tracked.track_id, tracked.face) == (1, known)


def test_a_sure_face_goes_before_an_unsure_one_however_well_that_fits() -> None:
    tracker = Tracker()
    tracker.update([a_face(x=100)], 0.0)
    sure, shadow = a_face(x=130), a_face(x=100, confidence=0.3)
    assert [(t.track_id, t.face) for t in tracker.update([sure], 0.2, weak=[shadow])] == [(1, sure)]


def test_an_unsure_face_far_from_where_somebody_is_expected_is_left_out() -> None:
    """A sure one at the same distance continues the track: people do walk fast, shadows are everywhere."""
    tracker = Tracker()
    tracker.update([a_face(x=100)], 0.0)
    assert tracker.update([], 0.2, weak=[a_face(x=190)]) == []
    assert ids_of(tracker, [a_face(x=190)], 0.2) == [1]


def test_tracks_go_on_with_the_faces_found_where_they_were_expected() -> None:
    tracker = Tracker()
    tracker.update([a_face(x=100), a_face(x=200)], 0.0)
    first, second, third = a_face(x=110), a_face(x=190), a_face(x=500)
    tracked = tracker.update([third], 0.2, followed={2: second, 1: first})
    assert [(t.track_id, t.face) for t in tracked] == [(3, third), (1, first), (2, second)]


def test_a_face_found_by_the_sweep_takes_the_place_of_the_same_face_found_by_following() -> None:
    tracker = Tracker()
    tracker.update([a_face(x=100)], 0.0)
    swept, looked_for = a_face(x=108), a_face(x=102)
    assert [(t.track_id, t.face) for t in tracker.update([swept], 0.2, followed={1: looked_for})] == [(1, swept)]


def test_one_face_found_for_two_tracks_is_given_to_the_one_whose_place_it_is() -> None:
    """Where two people cross, looking for the one behind finds the one in front."""
    tracker = Tracker()
    for frame in range(8):
        at_s = frame / 5
        tracker.update([a_face(x=100 + 120 * at_s), a_face(x=520 - 120 * at_s)], at_s)
    in_front = a_face(x=100 + 120 * 1.6)
    again = a_face(x=101 + 120 * 1.6, confidence=0.9)
    assert [(t.track_id, t.face) for t in tracker.update([], 1.6, followed={1: in_front, 2: again})] == [(1, in_front)]


def test_a_face_found_for_a_track_beyond_its_reach_is_not_that_tracks() -> None:
    """Nor does it begin a track: where nobody was expected, only the sweep can say that somebody is new."""
    tracker = Tracker()
    tracker.update([a_face(x=100)], 0.0)
    assert tracker.update([], 0.1, followed={1: a_face(x=300)}) == []


def test_a_face_found_for_a_track_that_is_over_is_an_unsure_one() -> None:
    tracker = Tracker()
    tracker.update([a_face(x=100)], 0.0)
    assert tracker.update([], 3.0, followed={1: a_face(x=100)}) == []
    assert tracker.ended(3.0) == [1]


def test_a_face_found_twice_in_a_frame_is_one_track() -> None:
    tracker = Tracker()
    assert ids_of(tracker, [a_face(x=100), a_face(x=110, confidence=0.9)], 0.0) == [1]
    # Less alike, but heads side by side do not overlap that much either.
    assert ids_of(tracker, [a_face(x=128, confidence=0.9), a_face(x=100)], 0.2) == [1]
    assert ids_of(tracker, [a_face(x=100), a_face(x=120, y=120, width=40)], 0.4) == [1]


def test_two_people_who_overlap_keep_the_tracks_they_have() -> None:
    """What may not begin may go on: both were seen apart before."""
    tracker = Tracker()
    tracker.update([a_face(x=100), a_face(x=200)], 0.0)
    tracker.update([a_face(x=110), a_face(x=180)], 0.2)
    assert ids_of(tracker, [a_face(x=120), a_face(x=152)], 0.4) == [1, 2]


def test_who_comes_in_where_somebody_went_out_is_somebody_else() -> None:
    def ids(picture_px: tuple[float, float] | None) -> list[int]:
        tracker = Tracker()
        for frame in range(8):
            tracker.update([a_face(x=180 - 30 * frame, y=300)], frame / 5, picture_px=picture_px)
        return [t.track_id for t in tracker.update([a_face(x=-20, y=300)], 2.4, picture_px=picture_px)]

    assert ids((1280, 720)) == [2]
    # Without knowing where the picture ends, nothing says that the first one is not back.
    assert ids(None) == [1]


places = st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 600), st.integers(20, 200)), max_size=8, unique=True)
frames = st.lists(st.tuples(places, st.floats(0.01, 2.5)), max_size=12)


def is_left_out_rightly(face: Face, kept: list[Face]) -> bool:
    """Tell whether another face of the frame is this one, found twice."""
    for other in kept:
        overlap = face.box.iou(other.box)
        shared = overlap / (1 + overlap) * (face.box.area_px + other.box.area_px)
        if overlap >= 0.4 or shared >= 0.8 * min(face.box.area_px, other.box.area_px):
            return True
    return False


@settings(max_examples=60, deadline=None)  # each example builds many vectors or frames
@given(frames)
def test_whatever_happens_every_face_has_one_track_and_every_track_ends_once(
    frames: list[tuple[list[tuple[int, int, int]], float]],
) -> None:
    """Every face that is not another one found twice."""
    tracker = Tracker()
    at_s, alive, over = 0.0, set[int](), list[int]()
    for faces, pause_s in frames:
        at_s += pause_s
        made = [a_face(x, y, width) for x, y, width in faces]
        tracked = tracker.update(made, at_s)
        kept = [t.face for t in tracked]
        assert kept == [face for face in made if face in kept]
        assert all(is_left_out_rightly(face, kept) for face in made if face not in kept)
        assert len({t.track_id for t in tracked}) == len(kept)
        assert not {t.track_id for t in tracked} & set(over)
        # New ids are always higher than all before: none is used again.
        assert all(t.track_id > max(alive, default=0) for t in tracked if t.track_id not in alive)
        alive |= {t.track_id for t in tracked}
        over += tracker.ended(at_s)
    over += tracker.end_all()
    assert sorted(over) == sorted(alive)


@settings(max_examples=60, deadline=None)
@given(frames=frames, data=st.data())
@pytest.mark.slow
def test_however_faces_were_found_no_track_has_two_and_no_face_two_tracks(
    frames: list[tuple[list[tuple[int, int, int]], float]], data: st.DataObject
) -> None:
    tracker = Tracker()
    at_s = 0.0
    for faces, pause_s in frames:
        at_s += pause_s
        made = [a_face(x, y, width) for x, y, width in faces]
        roles = data.draw(st.lists(st.sampled_from("swf"), min_size=len(made), max_size=len(made)))
        expected = [*tracker.predicted(at_s), 999]
        sure, weak, spare = ([face for face, role in zip(made, roles, strict=True) if role == r] for r in "swf")
        followed = dict(zip(data.draw(st.permutations(expected)), spare, strict=False))
        before = max(tracker.predicted(at_s), default=0)
        tracked = tracker.update(sure, at_s, followed=followed, weak=weak)
        assert len({t.track_id for t in tracked}) == len({id(t.face) for t in tracked}) == len(tracked)
        # Only sure faces begin tracks.
        assert all(t.face in sure for t in tracked if t.track_id > before and t.track_id not in expected)
        order = [*sure, *(followed[i] for i in sorted(followed)), *weak]
        places_of = [order.index(t.face) for t in tracked]
        assert places_of == sorted(places_of)


@settings(max_examples=30)  # each example builds many vectors or frames
@given(places)
def test_the_order_in_which_faces_are_reported_does_not_matter(faces: list[tuple[int, int, int]]) -> None:
    before = [a_face(x, y, width) for x, y, width in faces]
    after = [a_face(x + 3 + index / 7, y - index / 11, width + 1) for index, (x, y, width) in enumerate(faces)]

    def owners(order: list[int]) -> dict[int, int]:
        tracker = Tracker()
        known = {t.track_id for t in tracker.update(before, 0.0)}
        tracked = tracker.update([after[index] for index in order], 0.1)
        # Which tracks are new is what counts; how those are numbered follows the order.
        return {after.index(t.face): t.track_id if t.track_id in known else 0 for t in tracked}

    straight = list(range(len(after)))
    assert owners(straight) == owners(straight[::-1])
