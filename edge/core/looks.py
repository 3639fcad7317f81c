"""What was made of one frame, for whoever watches the unit at work: boxes, tracks, states; no names, no vectors."""

from dataclasses import dataclass
from typing import Literal

from protocol.events import Stamp
from recognition.core.face import Box, Image

TrackState = Literal["present", "review", "unknown", "undecided", "unusable"]
FoundBy = Literal["search", "follow", "still"]


@dataclass(frozen=True, slots=True)
class TrackView:
    """One track as it stands after a frame; `box_xywh` in pixels of the frame."""

    track_id: int
    box_xywh: Box
    state: TrackState
    student_id: str | None
    samples: int
    refusals: tuple[str, ...]
    """Why the face was not compared in this frame; empty when it was, or when nobody asked."""
    found_by: FoundBy
    """A search of the whole picture, a look around where the track was, or a still picture that was not searched."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A frame and what is known of it. The picture is the camera's own: draw on a copy."""

    stamp: Stamp
    image: Image
    tracks: tuple[TrackView, ...]
    regions: tuple[Box, ...]
    """Where faces were looked for, in pixels; empty when nothing was searched or all of it was."""
    kind: str
    """How the frame was looked at, in a word: "search", "follow", "still"."""
