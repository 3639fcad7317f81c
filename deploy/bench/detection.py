"""Who finds the faces: recall on photographs of groups, and what is found beside the marked faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deploy.bench.contest import OTHER_DETECTORS, OURS_F32, OURS_YUNET_F32, Contest
from deploy.bench.groups import GroupPicture, read_groups
from recognition.core.face import Box

LARGEST_DIFFERENCE = 2.2
"""A box and a face belong together when each has the other's centre in it and neither is wider than this times the
other. Detectors draw their boxes around different parts of a head: an overlap of one half would be unjust to some."""


SCALES = (1.0, 0.5)
"""The photographs as they are, and as if taken from twice as far."""

Found = dict[str, list[list[Box]]]
"""Boxes by detector and picture."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A detector that is asked: its name in the table, its family, and how to ask."""

    title: str
    family: str
    """Detectors of one family make the same mistakes: only another family can confirm what one of them finds."""
    rival: str
    request: dict[str, object]


DETECTORS = (
    Asked("Rollcall MTCNN, smallest face 40", "mtcnn", OURS_F32, {"smallest_face_px": 40}),
    Asked("Rollcall MTCNN, smallest face 20", "mtcnn", OURS_F32, {"smallest_face_px": 20}),
    Asked("Rollcall MTCNN, smallest face 16", "mtcnn", OURS_F32, {"smallest_face_px": 16}),
    Asked("Rollcall YuNet, smallest face 16", "yunet", OURS_YUNET_F32, {"smallest_face_px": 16}),
    Asked("mtcnn package, smallest face 20", "mtcnn", OTHER_DETECTORS, {"which": "mtcnn"}),
    Asked("Haar with DeepFace's settings", "haar", OTHER_DETECTORS, {"which": "haar"}),
    Asked("dlib HOG, enlarged once", "hog", OTHER_DETECTORS, {"which": "hog"}),
)


def measure_detection(contest: Contest) -> None:
    """Ask every detector about every photograph, as it is and at half its size; nothing is timed here."""
    pictures = read_groups(contest.shared)
    if not pictures:
        contest.report.missing("detection on groups", f"there are no photographs with boxes in {contest.shared}/groups")
        return
    contest.bring([OTHER_DETECTORS, OURS_F32, OURS_YUNET_F32])
    for scale in SCALES:
        contest.say(f"detection on {len(pictures)} photographs of groups, scaled x{scale:g}")
        _measure(contest, [picture.scaled(scale) for picture in pictures], f"groups x{scale:g}")


def _measure(contest: Contest, pictures: Sequence[GroupPicture], what: str) -> None:
    paths = _save(pictures, contest.scratch)
    found: Found = {}
    for asked in DETECTORS:
        rival = contest.field.named(asked.rival)
        answer = contest.field.ask(rival, "detect", paths=paths, **asked.request) if rival else None
        if answer is None:
            contest.report.missing(f"{what}: {asked.title}", contest.field.why_absent(asked.rival))
            continue
        found[asked.title] = [[Box(*row) for row in rows] for rows in answer]
    marked = sum(len(picture.faces) for picture in pictures)
    for asked in DETECTORS:
        if asked.title in found:
            left = [unmatched(*both) for both in zip(found[asked.title], (p.faces for p in pictures), strict=True)]
            beside = sum(map(len, left))
            recalled = sum(map(len, found[asked.title])) - beside
            contest.report.add(f"{what}, share of marked faces found: {asked.title}", recalled / marked, f"of {marked}")
            contest.report.add(f"{what}, found beside them: {asked.title}", beside, "boxes")
            alone = _seen_by_no_other(asked, left, found)
            contest.report.add(f"{what}, of these seen by no other kind: {asked.title}", alone, "boxes")


def _save(pictures: Sequence[GroupPicture], folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, picture in enumerate(pictures):
        path = folder / f"group-{number}.npy"
        np.save(path, picture.image)
        paths.append(str(path))
    return paths


def _seen_by_no_other(asked: Asked, left: Sequence[Sequence[Box]], found: Found) -> int:
    """Count the boxes, by picture, that no detector of another family has too."""
    others = [found[other.title] for other in DETECTORS if other.family != asked.family and other.title in found]
    return sum(
        not any(same_face(box, seen) for boxes in others for seen in boxes[number])
        for number, boxes_left in enumerate(left)
        for box in boxes_left
    )


def same_face(one: Box, other: Box) -> bool:
    """Tell whether two boxes are around one face."""
    widest = max(one.width, other.width)
    alike = widest <= LARGEST_DIFFERENCE * min(one.width, other.width)
    return alike and _holds(one, other.centre) and _holds(other, one.centre)


def unmatched(found: Sequence[Box], faces: Sequence[Box]) -> list[Box]:
    """Return the boxes that remain when each face has taken the box nearest to it; a second box for a face remains."""
    left = list(found)
    for face in faces:
        fitting = [box for box in left if same_face(box, face)]
        if fitting:
            left.remove(min(fitting, key=lambda box: _distance(box, face)))
    return left


def _holds(box: Box, point: tuple[float, float]) -> bool:
    x, y = point
    return box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height


def _distance(one: Box, other: Box) -> float:
    (x, y), (u, v) = one.centre, other.centre
    return (x - u) ** 2 + (y - v) ** 2
