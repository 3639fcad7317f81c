"""Made-up people who walk past a made-up camera, and an account of what a tracker made of them.

A scene is a list of walkers (waypoints in seconds and pixels), a camera (when it takes frames) and a detector (how it
errs). The same seed gives the same scene. Whoever is further away is not seen behind somebody nearer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from recognition.core.face import Face
from recognition.core.tracking import TrackedFace
from tests.recognition_core.builders import a_face

SHAPE = 1.25
"""Height of a face in widths, as `a_face` makes them."""


@dataclass(frozen=True)
class Place:
    """Where a walker's face is at a moment: centre x, y and width in pixels."""

    at_s: float
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Walker:
    """Somebody who goes straight from place to place and is there from the first until the last."""

    places: Sequence[Place]
    hidden: Sequence[tuple[float, float]] = ()
    """When something stands before the face: from, until, in seconds."""

    def at(self, at_s: float) -> Place | None:
        """Return where the face is, None when it is not in the picture."""
        for before, after in zip(self.places, self.places[1:], strict=False):
            if before.at_s <= at_s <= after.at_s:
                part = (at_s - before.at_s) / (after.at_s - before.at_s)
                mixed = [a + part * (b - a) for a, b in zip(_numbers(before), _numbers(after), strict=True)]
                return Place(at_s, *mixed)
        return None

    def is_hidden(self, at_s: float) -> bool:
        return any(start <= at_s <= end for start, end in self.hidden)


def _numbers(place: Place) -> tuple[float, float, float]:
    return place.x, place.y, place.width


@dataclass(frozen=True)
class Camera:
    """When frames are taken: so many a second, each interval longer or shorter by up to `uneven` of itself."""

    frames_per_s: float
    uneven: float = 0.0

    def moments(self, until_s: float, random: Random) -> list[float]:
        moments = [0.0]
        while moments[-1] < until_s:
            moments.append(moments[-1] + (1 + random.uniform(-self.uneven, self.uneven)) / self.frames_per_s)
        return moments


@dataclass(frozen=True)
class Detector:
    """How a detector errs: jitter in widths, share of faces missed, false faces a frame."""

    jitter: float = 0.05
    missed: float = 0.1
    false: float = 0.0


@dataclass(frozen=True)
class Seen:
    """A detection, and whose face it is (None: nobody's)."""

    who: int | None
    face: Face


@dataclass(frozen=True)
class Scene:
    """What a camera sees: frames of (moment, detections)."""

    frames: list[tuple[float, list[Seen]]]


def film(walkers: Sequence[Walker], camera: Camera, detector: Detector, seed: int) -> Scene:
    """Let the walkers walk and write down what the detector says, in shuffled order."""
    random = Random(seed)  # noqa: S311 (a simulation)
    until_s = max(walker.places[-1].at_s for walker in walkers)
    frames = []
    for at_s in camera.moments(until_s, random):
        found = [
            Seen(who, _measured(place, detector, random))
            for who, place in _in_sight(walkers, at_s)
            if random.random() >= detector.missed
        ]
        if random.random() < detector.false:
            x, y, width = random.uniform(0, 1200), random.uniform(0, 640), random.uniform(30, 120)
            found.append(Seen(None, a_face(x, y, width)))
        random.shuffle(found)
        frames.append((at_s, found))
    return Scene(frames)


def _in_sight(walkers: Sequence[Walker], at_s: float) -> list[tuple[int, Place]]:
    here = [(who, place) for who, walker in enumerate(walkers) if (place := walker.at(at_s)) is not None]
    return [
        (who, place)
        for who, place in here
        if not walkers[who].is_hidden(at_s)
        and not any((-near.width, other) < (-place.width, who) and _covers(near, place) for other, near in here)
    ]


def _covers(near: Place, far: Place) -> bool:
    """Tell whether the nearer head hides so much of the other face that no detector finds it: two fifths."""
    wide = min(near.x + near.width / 2, far.x + far.width / 2) - max(near.x - near.width / 2, far.x - far.width / 2)
    tops = near.y - near.width * SHAPE / 2, far.y - far.width * SHAPE / 2
    high = min(tops[0] + near.width * SHAPE, tops[1] + far.width * SHAPE) - max(tops)
    return max(0.0, wide) * max(0.0, high) > 0.4 * far.width**2 * SHAPE


def _measured(place: Place, detector: Detector, random: Random) -> Face:
    x = place.x + random.gauss(0, detector.jitter * place.width)
    y = place.y + random.gauss(0, detector.jitter * place.width)
    width = place.width * (1 + random.gauss(0, detector.jitter))
    return a_face(x - width / 2, y - width * SHAPE / 2, width)


class Follows(Protocol):
    """A tracker, ours or another."""

    def update(self, faces: Sequence[Face], at_s: float) -> list[TrackedFace]: ...


@dataclass
class Account:
    """What a tracker made of scenes."""

    switches: int = 0
    """Times a track went over from one person to another."""
    fragments: int = 0
    """Times a person got another track although it was not out of sight for long."""
    returns: int = 0
    """Times a person got another track after a time out of sight that is longer than tracks live."""
    taken_over: int = 0
    """People who are at last in a track that somebody else began: what a crossing must not leave behind."""
    tracks: int = 0
    faces: int = 0

    def follow(self, tracker: Follows, scene: Scene, lost_after_s: float = 1.5) -> "Account":
        """Show a scene to a tracker that has seen nothing yet, and add up."""
        began: dict[int, int] = {}
        owner: dict[int, int] = {}
        last: dict[int, tuple[int, float]] = {}
        ids = set()
        for at_s, found in scene.frames:
            given = {id(seen.face): seen.who for seen in found}
            for tracked in tracker.update([seen.face for seen in found], at_s):
                ids.add(tracked.track_id)
                who = given[id(tracked.face)]
                if who is None:
                    continue
                self.faces += 1
                if owner.get(tracked.track_id, who) != who:
                    self.switches += 1
                owner[tracked.track_id] = who
                began.setdefault(tracked.track_id, who)
                if who in last and last[who][0] != tracked.track_id:
                    long = at_s - last[who][1] >= lost_after_s
                    self.returns += long
                    self.fragments += not long
                last[who] = (tracked.track_id, at_s)
        self.tracks += len(ids)
        self.taken_over += sum(began[track_id] != who for who, (track_id, _) in last.items())
        return self


def walk(*places: tuple[float, float, float, float], hidden: Sequence[tuple[float, float]] = ()) -> Walker:
    """Make a walker of (seconds, x, y, width)."""
    return Walker([Place(*place) for place in places], hidden)


def _crossing(random: Random, widths: tuple[float, float], pace: tuple[float, float], apart: float) -> list[Walker]:
    """Two people walk through the picture against each other and meet in its middle."""
    y = random.uniform(250, 400)
    takes = [800 / (random.uniform(*pace) * width) for width in widths]
    middle = max(takes) / 2
    there, back = [(middle - take / 2, middle + take / 2) for take in takes]
    return [
        walk((there[0], 200, y, widths[0]), (there[1], 1000, y, widths[0])),
        walk((back[0], 1000, y + apart, widths[1]), (back[1], 200, y + apart, widths[1])),
    ]


def crossing_at_different_depths(random: Random) -> list[Walker]:
    return _crossing(random, (90, 50), (1.0, 1.8), random.uniform(-50, -20))


def crossing_at_one_depth(random: Random) -> list[Walker]:
    return _crossing(random, (80, 80), (0.8, 1.5), random.uniform(-25, 25))


def passing_side_by_side(random: Random) -> list[Walker]:
    """One is a head taller, so that both are always seen."""
    return _crossing(random, (80, 80), (0.8, 1.5), 80)


def behind_a_pillar(random: Random) -> list[Walker]:
    """One walks, one stands; each is hidden for 0.3 to 1 second."""
    takes_s, start_s, pace = random.uniform(0.3, 1.0), random.uniform(2.5, 4), random.uniform(0.5, 1.5)
    walking, standing = (start_s, start_s + takes_s), (start_s + 0.5, start_s + 0.5 + takes_s)
    return [
        walk((0, 200, 300, 80), (7, 200 + 7 * pace * 80, 300, 104), hidden=[walking]),
        walk((0, 300, 520, 80), (7, 300, 520, 80), hidden=[standing]),
    ]


def towards_the_camera(random: Random) -> list[Walker]:
    """Five people in a row walk up to the camera and pass it, left and right in turn, fast at the end."""
    people = []
    for number in range(5):
        at_s, aside = number * random.uniform(1.3, 1.7), random.uniform(100, 200)
        side, out = (aside, 1300) if number % 2 == 0 else (-aside, -20)
        start = (at_s, random.uniform(600, 680), 300, 35)
        people.append(walk(start, (at_s + 4, 640 + side, 360, 110), (at_s + 5.2, out, 420, 150)))
    return people


def through_the_door(random: Random) -> list[Walker]:
    """Five people come in at one place, 2.2 to 3.8 seconds after each other."""
    people = []
    for number in range(5):
        at_s, y, way = number * 3 + random.uniform(0, 0.8), random.uniform(300, 360), 200 * random.uniform(0.8, 1.6)
        people.append(walk((at_s, 20, y, 80), (at_s + 2.5, 20 + way, y, 96)))
    return people


def out_and_in_at_the_border(random: Random) -> list[Walker]:
    """Somebody goes out at the border; 0.6 to 1.4 seconds later somebody else comes in there. Five people."""
    people, at_s = [], 0.0
    for _ in range(5):
        y, far = random.uniform(300, 330), 20 + 160 * random.uniform(0.7, 1.5)
        people.append(walk((at_s, 20, y, 80), (at_s + 2, far, y, 80), (at_s + 4, 20, y, 80)))
        at_s += 4 + random.uniform(0.6, 1.4)
    return people


def turning_round(random: Random) -> list[Walker]:  # noqa: ARG001 (the scenes' signature)
    """Two people turn on the spot, at 1.5 and 2.2 widths a second."""
    return [
        walk((0, 300, 300, 80), (2, 540, 300, 80), (4, 300, 300, 80), (5, 300, 200, 80)),
        walk((0, 900, 300, 60), (1.5, 700, 300, 60), (3, 900, 300, 60), (5, 900, 300, 60)),
    ]


def seated(random: Random) -> list[Walker]:
    """Twelve people sit in three rows for two minutes."""
    places = [(150 + column * 250, 200 + row * 120, 46 + 12 * row) for column in range(4) for row in range(3)]
    moved = [(x + random.uniform(-20, 20), y, width) for x, y, width in places]
    return [walk((0, *place), (120, *place)) for place in moved]
