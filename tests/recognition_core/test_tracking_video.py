"""The tracker on people who really walk through a street: few pieces, and the same ones at every frame rate.

Vectors are no judge here: most faces are 25 to 60 px wide, and different people in this video are more alike than the
pack's floor for one person. What is followed at the full rate, with steps of a fraction of a face, is the judge.
"""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from recognition.adapters.analysis import open_engine
from recognition.core.face import Face, Image
from recognition.core.tracking import Tracker

VIDEO = "video/street.mp4"
FRAMES_A_SECOND = 12.5
PICTURE_PX = (1920.0, 1080.0)

pytestmark = pytest.mark.timeout(1200)  # a whole video is looked at: minutes on a busy machine


@pytest.fixture(scope="module")
def frames(pack_folder: Path, shared_folder: Path) -> list[list[Face]]:
    """Return the faces of every second frame: enough, and half the time to look at."""
    if not (shared_folder / VIDEO).is_file():
        pytest.skip(f"{VIDEO} is not in the shared folder")
    detector = open_engine(pack_folder, smallest_face_px=20, threads=1).detector
    video, found = cv2.VideoCapture(str(shared_folder / VIDEO)), list[list[Face]]()
    while video.grab():
        there, picture = video.retrieve()
        video.grab()
        assert there
        image: Image = np.asarray(picture, dtype=np.uint8)
        found.append(detector.detect(image))
    video.release()
    return found


def tracks_of(frames: list[list[Face]], step: int) -> dict[int, list[Face]]:
    """Follow every `step`-th frame; return the faces of each track in order."""
    tracker, tracks = Tracker(), dict[int, list[Face]]()
    for number in range(0, len(frames), step):
        for tracked in tracker.update(frames[number], number / FRAMES_A_SECOND, picture_px=PICTURE_PX):
            tracks.setdefault(tracked.track_id, []).append(tracked.face)
    return tracks


# At 3 frames a second two of the people walk further than three widths between frames: they are new every time.
@pytest.mark.parametrize(("step", "most_tracks"), [(1, 12), (2, 12), (4, 15)])
def test_people_in_a_street_are_few_tracks(frames: list[list[Face]], step: int, most_tracks: int) -> None:
    assert len(frames) > 50
    assert 8 <= len(tracks_of(frames, step)) <= most_tracks


@pytest.mark.parametrize(("step", "most_switches"), [(2, 1), (4, 3)])
def test_fewer_frames_do_not_mix_people_up(frames: list[list[Face]], step: int, most_switches: int) -> None:
    owner = {face: track_id for track_id, faces in tracks_of(frames, 1).items() for face in faces}
    switches = 0
    for faces in tracks_of(frames, step).values():
        owners = [owner[face] for face in faces if face in owner]
        switches += sum(one != other for one, other in pairwise(owners))
    assert switches <= most_switches
