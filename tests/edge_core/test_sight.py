"""Faces are searched for rarely and followed cheaply, and nobody is lost by that."""

from edge.core.sight import Glance, Sight
from recognition.core.tracking import Tracker
from tests.edge_core.painted import PaintedDetector, Person, picture


class Watcher:
    """A sight over painted people, and what it did."""

    def __init__(self) -> None:
        self.detector = PaintedDetector()
        self.sight = Sight(self.detector, Tracker(), sure_from=0.8)

    def look(self, at_s: float, *people: Person) -> Glance:
        return self.sight.look(picture(*people), at_s)


def test_a_face_that_moves_is_followed_without_a_search() -> None:
    watcher = Watcher()
    first = watcher.look(0.0, Person(1, x=20))
    glances = [watcher.look(n * 0.1, Person(1, x=20 + 8 * n)) for n in range(1, 20)]
    assert watcher.detector.calls == 1
    assert watcher.detector.followed == 19
    assert {seen.track_id for glance in (first, *glances) for seen in glance.tracked} == {1}
    assert [glance.found_by[1] for glance in glances[:2]] == ["follow", "follow"]


def test_a_face_that_jumps_is_searched_for_in_the_same_frame() -> None:
    watcher = Watcher()
    watcher.look(0.0, Person(1, x=20))
    glance = watcher.look(0.3, Person(1, x=120))
    assert glance.searched
    assert [seen.track_id for seen in glance.tracked] == [1]


def test_a_still_face_is_still_seen_and_costs_nothing() -> None:
    watcher = Watcher()
    watcher.look(0.0, Person(1))
    glance = watcher.look(0.5, Person(1))
    assert (watcher.detector.calls, watcher.detector.followed) == (1, 0)
    assert glance.found_by == {1: "still"}
    assert glance.fresh == ()


def test_somebody_who_comes_while_another_is_followed_is_found() -> None:
    watcher = Watcher()
    watcher.look(0.0, Person(1, x=10))
    glance = watcher.look(0.5, Person(1, x=18), Person(2, x=220))
    assert sorted(glance.found_by.items()) == [(1, "follow"), (2, "search")] or glance.found_by[2] == "search"
    assert len(glance.tracked) == 2


def test_a_face_found_in_a_part_of_the_picture_has_its_place_in_the_whole() -> None:
    watcher = Watcher()
    watcher.look(0.0)
    glance = watcher.look(1.0, Person(2, x=260, y=190, width=40))
    assert glance.plan.search == "region"
    (seen,) = glance.tracked
    assert (seen.face.box.x, seen.face.box.y) == (260, 190)
    assert seen.face.landmarks[:, 0].min() > 260


def test_somebody_who_left_is_no_longer_seen_and_their_track_ends() -> None:
    watcher = Watcher()
    watcher.look(0.0, Person(1))
    assert watcher.look(0.3).tracked == ()
    assert watcher.look(0.6).tracked == ()
    watcher.look(2.0)
    assert watcher.sight.tracker.ended(2.0) == [1]


def test_an_empty_place_is_not_searched_again_and_again() -> None:
    watcher = Watcher()
    watcher.look(0.0, Person(1))
    watcher.look(0.3)
    calls = watcher.detector.calls
    for n in range(10):
        watcher.look(0.4 + n * 0.04)
    assert watcher.detector.calls <= calls + 1
