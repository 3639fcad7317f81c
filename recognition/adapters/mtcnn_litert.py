"""MTCNN: three small networks that propose faces, sort them out, and place five landmarks. Run by LiteRT."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.halvings_opencv import Halvings
from recognition.adapters.litert_models import LitertModel, in_batches
from recognition.adapters.mtcnn_boxes import (
    CELL_PX,
    Boxes,
    corrected,
    jittered,
    proposals,
    squared,
    without_doubles,
)
from recognition.adapters.mtcnn_canvas import MARGIN_PX, Canvas, laid_out
from recognition.adapters.pack_files import Pack
from recognition.core.face import Box, Face, Image

REFINE_BATCHES = (1, 2, 4, 8, 16, 32)
PLACE_BATCHES = (1, 2, 4, 8)
"""Sizes in which squares go through the networks: each keeps its buffers, and those of the last network are large."""
MOST_CANDIDATES = 256
MOST_SIZES = 2
"""Sizes of pictures kept prepared: the whole frame, and the quarter in which something moved."""
REFINE_PX = 24
PLACE_PX = 48
SMALLER_BY = 0.6
"""Share of the smallest width asked for from which a face is reported: detectors draw one face that differently."""
GOOD_ENOUGH = 0.9
"""Followed faces above this score need no second try from other starting places."""


@dataclass(frozen=True, slots=True)
class MtcnnThresholds:
    """Scores a face needs in each network and overlaps above which two boxes are one face.

    The package these weights come with proposes from 0.6 and merges from 0.7. On group photographs at full and half
    size, sharp and blurred, the stricter numbers here find the same faces and leave a fifth less to sort out.
    """

    propose: float = 0.7
    refine: float = 0.7
    place: float = 0.8
    overlap_level: float = 0.5
    overlap: float = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """What the last network says of (n,) boxes: scores (n,), corrected boxes (n, 5), landmarks (n, 5, 2)."""

    scores: NDArray[np.float32]
    boxes: Boxes
    landmarks: NDArray[np.float32]


class MtcnnDetector:
    """A FaceDetector for upright faces down to `smallest_face_px`. One instance belongs to one thread."""

    def __init__(
        self,
        pack: Pack,
        smallest_face_px: int = 40,
        threads: int = 2,
        thresholds: MtcnnThresholds | None = None,
    ) -> None:
        """Open the pack's three networks. Raises PackMissing, PackInvalid; ValueError for a face under 12 pixels."""
        if smallest_face_px < CELL_PX:
            raise ValueError(f"MTCNN sees faces of {CELL_PX} pixels and more, not of {smallest_face_px}")
        self._smallest_face_px = smallest_face_px
        self._thresholds = thresholds or MtcnnThresholds()
        self._canvases: dict[tuple[int, int], Canvas] = {}
        self._propose = LitertModel(pack.detector_file("mtcnn", "propose"), threads=threads, most_shapes=MOST_SIZES)
        self._refine = LitertModel(
            pack.detector_file("mtcnn", "refine"), threads=threads, most_shapes=len(REFINE_BATCHES)
        )
        self._place = LitertModel(pack.detector_file("mtcnn", "place"), threads=threads, most_shapes=len(PLACE_BATCHES))

    def detect(self, image: Image) -> list[Face]:
        """See FaceDetector. Raises ValueError for what is no picture of at least 1 x 1 pixel."""
        halvings = Halvings(image)
        boxes = self._refined(halvings, self._proposed(halvings))
        placed = self._placed(halvings, boxes)
        widths = placed.boxes[:, 2] - placed.boxes[:, 0]
        # Smaller ones are found now and then, by luck: a setting should mean something.
        kept = (placed.scores > self._thresholds.place) & (widths >= SMALLER_BY * self._smallest_face_px)
        found, landmarks = placed.boxes[kept], placed.landmarks[kept]
        order = without_doubles(found, self._thresholds.overlap, over_smaller=True)
        return [_face(found[index], landmarks[index]) for index in order]

    def follow(self, image: Image, boxes: Sequence[Box]) -> list[Face | None]:
        """See FaceDetector. Only the last network runs, twice for each face: a thousandth of a whole search.

        Raises ValueError as `detect` does.
        """
        halvings = Halvings(image)
        if not boxes:
            return []
        expected = np.array([(b.x, b.y, b.x + b.width, b.y + b.height, 1.0) for b in boxes], dtype=np.float32)
        first = self._placed(halvings, squared(expected))
        starts = squared(first.boxes)
        for index in np.flatnonzero(first.scores < GOOD_ENOUGH):
            # It moved further than the network reaches from here: try around the place, and keep the best start.
            tries = self._placed(halvings, jittered(squared(expected[index : index + 1])))
            best = int(tries.scores.argmax())
            if tries.scores[best] > first.scores[index]:
                starts[index] = squared(tries.boxes[best : best + 1])[0]
        # Landmarks are best from a box that is centred on the face, and the chip is cut by them.
        final = self._placed(halvings, starts)
        return [
            _face(final.boxes[index], final.landmarks[index])
            if final.scores[index] > self._thresholds.place and _is_near(final.boxes[index], expected[index])
            else None
            for index in range(len(boxes))
        ]

    def _proposed(self, halvings: Halvings) -> Boxes:
        canvas = self._canvas(halvings.size_px)
        if not canvas.tiles:
            return np.empty((0, 5), dtype=np.float32)
        scores, offsets = self._propose.run(_normalised(canvas.painted(halvings)[np.newaxis]))
        found = []
        for tile in canvas.tiles:
            faces, moves = tile.cells(scores[0])[:, :, 1], tile.cells(offsets[0])
            boxes = proposals(moves, faces, tile.scale, self._thresholds.propose)
            boxes[:, :4] -= MARGIN_PX / tile.scale
            found.append(boxes[without_doubles(boxes, self._thresholds.overlap_level)])
        boxes = np.concatenate(found)
        boxes = boxes[without_doubles(boxes, self._thresholds.overlap)]
        return squared(boxes[:MOST_CANDIDATES])

    def _canvas(self, size_px: tuple[int, int]) -> Canvas:
        canvas = self._canvases.get(size_px)
        if canvas is None:
            if len(self._canvases) >= MOST_SIZES:
                self._canvases.clear()
            canvas = self._canvases[size_px] = laid_out(size_px, self._smallest_face_px)
        return canvas

    def _refined(self, halvings: Halvings, boxes: Boxes) -> Boxes:
        scores, offsets = _in_batches(self._refine, halvings.patches(boxes, REFINE_PX), REFINE_BATCHES, (2, 4))
        kept = scores[:, 1] > self._thresholds.refine
        boxes = corrected(boxes[kept], offsets[kept], scores[kept, 1])
        boxes = boxes[without_doubles(boxes, self._thresholds.overlap)]
        return squared(boxes)

    def _placed(self, halvings: Halvings, boxes: Boxes) -> _Placed:
        scores, offsets, places = _in_batches(self._place, halvings.patches(boxes, PLACE_PX), PLACE_BATCHES, (2, 4, 10))
        width, height = boxes[:, 2] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 1] + 1
        x = boxes[:, :1] + places[:, :5] * width[:, np.newaxis] - 1
        y = boxes[:, 1:2] + places[:, 5:] * height[:, np.newaxis] - 1
        landmarks = np.stack([x, y], axis=2).astype(np.float32)
        return _Placed(scores[:, 1], corrected(boxes, offsets, scores[:, 1]), landmarks)


def _in_batches(
    model: LitertModel, patches: NDArray[np.uint8], sizes: Sequence[int], widths: Sequence[int]
) -> list[NDArray[np.float32]]:
    """Run `model` on (n, size, size, 3) BGR patches; outputs (n, width), one for each of `widths`."""
    outputs = [np.empty((len(patches), width), dtype=np.float32) for width in widths]
    for start, stop in in_batches(len(patches), sizes):
        for output, part in zip(outputs, model.run(_normalised(patches[start:stop])), strict=True):
            output[start:stop] = part
    return outputs


def _normalised(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (n, height, width, 3) float32 RGB, -1 to 1, as the networks were trained, of BGR bytes."""
    values = np.multiply(pictures[..., ::-1], np.float32(1 / 128), dtype=np.float32)
    values -= np.float32(127.5 / 128)
    return np.ascontiguousarray(values)


def _is_near(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    """Tell whether a box is still about the face it was to follow, and not another one beside it."""
    return _box(found).iou(_box(expected)) > 0.2


def _box(row: NDArray[np.float32]) -> Box:
    left, top, right, bottom = (float(number) for number in row[:4])
    return Box(left, top, right - left, bottom - top)


def _face(box: NDArray[np.float32], landmarks: NDArray[np.float32]) -> Face:
    return Face(_box(box), landmarks, min(max(float(box[4]), 0.0), 1.0))
