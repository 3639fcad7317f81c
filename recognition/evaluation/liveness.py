"""How often the liveness check takes a picture for a person (APCER) and a person for a picture (BPCER).

By kind of attack, with counts: APCER is the share of attacks called live, BPCER the share of live people called a
picture. Looks are single frames; tracks are what the vote over spread looks says in the end. Tracks the vote leaves
undecided (too few looks) are counted apart. `controls` are neither: pictures that show whether an answer is about
liveness at all or about something else in the material, such as missing colour.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

import cv2
import numpy as np

from recognition.adapters.pictures import read_picture
from recognition.core.errors import PictureRefused
from recognition.core.face import Box, Face, Image
from recognition.core.liveness import LivenessCheck, LivenessLimits, TrackLiveness, Verdict
from recognition.core.ports import FaceDetector
from recognition.core.tracking import Tracker
from recognition.evaluation.bounds import Interval, exact_interval
from recognition.evaluation.liveness_scenes import TREATMENTS, HeldPhotograph

Role = Literal["attack", "live", "control"]

SMALLEST_FACE_PX = 60.0
"""Nobody is marked automatically from a smaller face."""
LOOKS = 6
_VIDEO_EVERY_S = 0.2
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
VIDEOS = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm"})
_USUAL_RATE = 25.0

CAVEATS = (
    "simulated_* are photographs moved before a virtual camera: no real paper, screen or camera took part. "
    "They show gross blindness only, and no APCER of real attacks.",
    "Tracks of one video share its camera and light, looks of one track its face: they are fewer than they look.",
    "Where a control is called a picture as often as the attacks are, those attacks measure the control's property "
    "(grey pictures, for example) and not liveness.",
    "Whoever made the networks did not say which cameras, people and attacks they were trained on. Before liveness "
    "counts for anything it has to be measured with the school's own cameras, on consenting people and real attacks.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Presentation:
    """Something shown to a camera: frames with their times in seconds.

    `several`: every face in it is a track of its own; otherwise the widest one of each frame is meant.
    """

    kind: str
    role: Role
    frames: Callable[[], Iterator[tuple[float, Image]]]
    several: bool = False


@dataclass(frozen=True, slots=True)
class TrackOutcome:
    """What was said about one face of a presentation; without looks no face of usable size was found."""

    kind: str
    role: Role
    looks: tuple[float, ...]
    verdict: Verdict
    face_px: float


@dataclass(frozen=True, slots=True)
class LivenessRow:
    """The figures of one kind. `wrong` is called live for an attack, called a picture for anything else.

    `look_interval` is None where several looks show the same face: they are no independent trials.
    """

    kind: str
    role: Role
    looks: int
    wrong_looks: int
    look_interval: Interval | None
    tracks: int
    undecided: int
    unseen: int
    wrong_tracks: int
    track_interval: Interval
    mean_probability: float | None
    median_face_px: float | None

    @property
    def measure(self) -> str:
        """What the wrong ones are a share of."""
        return {"attack": "APCER", "live": "BPCER", "control": "called a picture"}[self.role]

    @property
    def decided(self) -> int:
        """Tracks with a verdict."""
        return self.tracks - self.undecided


@dataclass(frozen=True, slots=True)
class LivenessReport:
    """All rows, with what they do not show."""

    rows: tuple[LivenessRow, ...]
    limits: LivenessLimits
    complete: bool = True
    caveats: tuple[str, ...] = CAVEATS


@dataclass(frozen=True, slots=True)
class LivenessMaterial:
    """Files to measure with: pictures of real attacks, pictures and videos of live people, portraits to be held up."""

    spoof: tuple[Path, ...] = ()
    live: tuple[Path, ...] = ()
    portraits: tuple[Path, ...] = ()


def measure_liveness(
    presentations: Iterable[Presentation],
    detector: FaceDetector,
    check: LivenessCheck,
    limits: LivenessLimits | None = None,
) -> Iterator[TrackOutcome]:
    """Show each presentation to the check as a unit would; yield what was said, track by track.

    Ends tracks as a unit's tracker does. Raises PictureRefused for a file that cannot be read.
    """
    for presentation in presentations:
        yield from _outcomes(presentation, detector, check, limits or LivenessLimits())


def liveness_report(
    outcomes: Iterable[TrackOutcome], limits: LivenessLimits | None = None, *, complete: bool = True
) -> LivenessReport:
    """Count outcomes by kind; `live_from` of the limits is also what a single look is held against."""
    limits = limits or LivenessLimits()
    kinds: dict[tuple[Role, str], list[TrackOutcome]] = {}
    for outcome in outcomes:
        kinds.setdefault((outcome.role, outcome.kind), []).append(outcome)
    return LivenessReport(tuple(_row(found, limits) for found in kinds.values()), limits, complete)


def presentations_of(material: LivenessMaterial, detector: FaceDetector) -> Iterator[Presentation]:
    """Yield the presentations that the material allows: real ones, then for each portrait control and simulations.

    A portrait without a face is passed over.
    """
    for path in material.spoof:
        yield Presentation("still_of_a_real_attack", "attack", _still(path))
    for path in material.live:
        if path.suffix.lower() in PICTURES:
            yield Presentation("still_of_a_live_person", "live", _still(path))
        else:
            yield Presentation("video_of_live_people", "live", _video(path, grey=False), several=True)
            yield Presentation("the_same_video_in_grey", "control", _video(path, grey=True), several=True)
    for seed, path in enumerate(material.portraits):
        yield from _of_portrait(path, detector, seed)


def _of_portrait(path: Path, detector: FaceDetector, seed: int) -> Iterator[Presentation]:
    photograph = read_picture(path)
    face = _widest(detector.detect(photograph))
    if face is None:
        return
    # By colour apart: the research set's pictures are grey, and a network may answer to that alone.
    tint = "grey" if _is_grey(photograph) else "colour"
    yield Presentation(f"portrait_file_{tint}", "control", lambda: iter([(0.0, photograph)]))
    for number, treatment in enumerate(TREATMENTS):
        held = HeldPhotograph(photograph, face.box, treatment, seed * len(TREATMENTS) + number)
        yield Presentation(f"simulated_{treatment}_{tint}", "attack", lambda held=held: held.frames(LOOKS, 0.5))  # type: ignore[misc]


def _outcomes(
    presentation: Presentation, detector: FaceDetector, check: LivenessCheck, limits: LivenessLimits
) -> Iterator[TrackOutcome]:
    tracker = Tracker()
    tracks: dict[int, _Seen] = {}
    for at_s, image in presentation.frames():
        faces = [face for face in detector.detect(image) if face.box.width >= SMALLEST_FACE_PX]
        widest = _widest(faces)
        if not presentation.several and widest is not None:
            faces = [widest]
        wanting: list[tuple[_Seen, Box]] = []
        for seen in tracker.update(faces, at_s):
            track = tracks.setdefault(seen.track_id, _Seen(TrackLiveness(limits)))
            if track.liveness.wants(at_s):
                wanting.append((track, seen.face.box))
        scores = check.score(image, [box for _, box in wanting])
        for (track, box), score in zip(wanting, scores, strict=True):
            track.liveness.add(float(score), at_s)
            track.looks.append(float(score))
            track.widths_px.append(box.width)
    for track in tracks.values():
        verdict, width_px = track.liveness.verdict(), median(track.widths_px)
        yield TrackOutcome(presentation.kind, presentation.role, tuple(track.looks), verdict, width_px)
    if not tracks:
        yield TrackOutcome(presentation.kind, presentation.role, (), "undecided", 0.0)


@dataclass(slots=True)
class _Seen:
    liveness: TrackLiveness
    looks: list[float] = field(default_factory=list)
    widths_px: list[float] = field(default_factory=list)


def _row(outcomes: list[TrackOutcome], limits: LivenessLimits) -> LivenessRow:
    kind, role = outcomes[0].kind, outcomes[0].role
    looks = [look for outcome in outcomes for look in outcome.looks]
    wrong: Verdict = "live" if role == "attack" else "spoof"
    wrong_looks = sum((look >= limits.live_from) == (role == "attack") for look in looks)
    undecided = sum(outcome.verdict == "undecided" for outcome in outcomes)
    wrong_tracks = sum(outcome.verdict == wrong for outcome in outcomes)
    alone = all(len(outcome.looks) <= 1 for outcome in outcomes)
    widths_px = [outcome.face_px for outcome in outcomes if outcome.looks]
    return LivenessRow(
        kind=kind,
        role=role,
        looks=len(looks),
        wrong_looks=wrong_looks,
        look_interval=exact_interval(wrong_looks, len(looks)) if alone else None,
        tracks=len(outcomes),
        undecided=undecided,
        unseen=sum(not outcome.looks for outcome in outcomes),
        wrong_tracks=wrong_tracks,
        track_interval=exact_interval(wrong_tracks, len(outcomes) - undecided),
        mean_probability=sum(looks) / len(looks) if looks else None,
        median_face_px=median(widths_px) if widths_px else None,
    )


def _widest(faces: list[Face]) -> Face | None:
    return max(faces, key=lambda face: face.box.width, default=None)


def _is_grey(image: Image) -> bool:
    spread = image.max(axis=2).astype(np.int16) - image.min(axis=2)
    return float(spread.mean()) < 3.0


def _still(path: Path) -> Callable[[], Iterator[tuple[float, Image]]]:
    return lambda: iter([(0.0, read_picture(path))])


def _video(path: Path, *, grey: bool) -> Callable[[], Iterator[tuple[float, Image]]]:
    def frames() -> Iterator[tuple[float, Image]]:
        film = cv2.VideoCapture(str(path))
        try:
            rate = film.get(cv2.CAP_PROP_FPS) or _USUAL_RATE
            step = max(1, round(rate * _VIDEO_EVERY_S))
            number = 0
            while True:
                there, frame = film.read()
                if not there:
                    break
                if number % step == 0:
                    image = np.asarray(frame, dtype=np.uint8)
                    yield number / rate, _in_grey(image) if grey else image
                number += 1
        finally:
            film.release()
        if number == 0:
            raise PictureRefused("not_a_picture", f"{path.name} is neither a picture nor a video that can be read")

    return frames


def _in_grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), dtype=np.uint8)
