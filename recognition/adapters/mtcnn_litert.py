"""MTCNN: three small networks that propose faces, sort them out, and place five landmarks. Run by LiteRT."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.adapters.litert_models import LitertModel, in_batches
from recognition.adapters.mtcnn_boxes import CELL_PX, Boxes, corrected, proposals, squared, without_doubles
from recognition.adapters.pack_files import Pack
from recognition.core.face import Box, Face, Image

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
PYRAMID_STEP = 0.709
WORKING_FACE_PX = 24.0
"""Size the smallest wanted face has in the frame the first two networks see. The first needs 12, the second 24."""
MOST_CANDIDATES = 256
MOST_LEVEL_SHAPES = 48
"""Prepared interpreters of the first network: a frame needs 8 to 12; regions of interest bring other sizes."""


@dataclass(frozen=True, slots=True)
class MtcnnThresholds:
    """Scores a face needs in each network and overlaps above which two boxes are one face."""

    propose: float = 0.6
    refine: float = 0.7
    place: float = 0.8
    overlap_level: float = 0.5
    overlap: float = 0.7


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
        self._propose = LitertModel(
            pack.detector_file("mtcnn", "propose"), threads=threads, most_shapes=MOST_LEVEL_SHAPES
        )
        self._refine = LitertModel(pack.detector_file("mtcnn", "refine"), threads=threads, most_shapes=len(BATCH_SIZES))
        self._place = LitertModel(pack.detector_file("mtcnn", "place"), threads=threads, most_shapes=len(BATCH_SIZES))

    def detect(self, image: Image) -> list[Face]:
        """See FaceDetector."""
        # Never enlarged: an enlarged frame has more pixels and not one face more.
        scale = min(1.0, WORKING_FACE_PX / self._smallest_face_px)
        frame = _resized(image, scale)
        scale_x, scale_y = frame.shape[1] / image.shape[1], frame.shape[0] / image.shape[0]
        boxes = self._refined(frame, self._proposed(frame, self._smallest_face_px * scale))
        if len(boxes) == 0:
            return []
        # The landmarks are placed on the picture itself: a chip is cut by them, and half a pixel there is seen.
        boxes[:, :4] /= np.array([scale_x, scale_y, scale_x, scale_y], dtype=np.float32)
        return self._placed(image, boxes)

    def _proposed(self, frame: Image, smallest_px: float) -> Boxes:
        found = []
        for scale in _levels(frame, smallest_px):
            level = _resized(frame, scale)
            scores, offsets = self._propose.run(_normalised(level)[np.newaxis])
            boxes = proposals(offsets[0], scores[0, :, :, 1], scale, self._thresholds.propose)
            found.append(boxes[without_doubles(boxes, self._thresholds.overlap_level)])
        boxes = np.concatenate(found) if found else np.empty((0, 5), dtype=np.float32)
        boxes = boxes[without_doubles(boxes, self._thresholds.overlap)]
        return squared(boxes[:MOST_CANDIDATES])

    def _refined(self, frame: Image, boxes: Boxes) -> Boxes:
        scores, offsets = self._in_batches(self._refine, frame, boxes, 24)
        kept = scores[:, 1] > self._thresholds.refine
        boxes = corrected(boxes[kept], offsets[kept], scores[kept, 1])
        boxes = boxes[without_doubles(boxes, self._thresholds.overlap)]
        return squared(boxes)

    def _placed(self, image: Image, boxes: Boxes) -> list[Face]:
        scores, offsets, places = self._in_batches(self._place, image, boxes, 48)
        kept = scores[:, 1] > self._thresholds.place
        boxes, offsets, places, scores = boxes[kept], offsets[kept], places[kept], scores[kept]
        width, height = boxes[:, 2] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 1] + 1
        x = boxes[:, :1] + places[:, :5] * width[:, np.newaxis] - 1
        y = boxes[:, 1:2] + places[:, 5:] * height[:, np.newaxis] - 1
        landmarks = np.stack([x, y], axis=2).astype(np.float32)
        boxes = corrected(boxes, offsets, scores[:, 1])
        order = without_doubles(boxes, self._thresholds.overlap, over_smaller=True)
        return [_face(boxes[index], landmarks[index]) for index in order]

    def _in_batches(self, model: LitertModel, image: Image, boxes: Boxes, size_px: int) -> list[NDArray[np.float32]]:
        """Run `model` on the squares of `boxes`; outputs (n, ...) as the model orders them."""
        widths = (2, 4) if size_px == 24 else (2, 4, 10)
        outputs = [np.empty((len(boxes), width), dtype=np.float32) for width in widths]
        for start, stop in in_batches(len(boxes), BATCH_SIZES):
            batch = np.stack([_normalised(_patch(image, box, size_px)) for box in boxes[start:stop]])
            for output, part in zip(outputs, model.run(batch), strict=True):
                output[start:stop] = part
        return outputs


def _levels(frame: Image, smallest_px: float) -> list[float]:
    """Return the scales at which a face of 12 pixels is one of `smallest_px`, and larger ones in steps."""
    shorter = min(frame.shape[:2])
    scale = CELL_PX / smallest_px
    scales = []
    while shorter * scale >= CELL_PX:
        scales.append(scale)
        scale *= PYRAMID_STEP
    return scales


def _resized(image: Image, scale: float) -> Image:
    if scale == 1.0:
        return image
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _normalised(image: Image) -> NDArray[np.float32]:
    """Return float32 RGB, -1 to 1, as the networks were trained."""
    return (image[:, :, ::-1].astype(np.float32) - 127.5) / 128.0


def _patch(image: Image, box: NDArray[np.float32], size_px: int) -> Image:
    """Return the square of `box` scaled to `size_px`; mid-grey, which is 0 to the networks, outside of the picture."""
    height, width = image.shape[:2]
    left, top = int(np.floor(box[0])), int(np.floor(box[1]))
    right, bottom = int(np.ceil(box[2])) + 1, int(np.ceil(box[3])) + 1
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if x1 <= x0 or y1 <= y0:
        return np.full((size_px, size_px, 3), 127, dtype=np.uint8)
    region = image[y0:y1, x0:x1]
    if (x0, y0, x1, y1) != (left, top, right, bottom):
        edges = (y0 - top, bottom - y1, x0 - left, right - x1)
        region = np.asarray(cv2.copyMakeBorder(region, *edges, cv2.BORDER_CONSTANT, value=(127, 127, 127)), np.uint8)
    shrinks = region.shape[0] > size_px
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(region, (size_px, size_px), interpolation=interpolation), dtype=np.uint8)


def _face(box: NDArray[np.float32], landmarks: NDArray[np.float32]) -> Face:
    left, top, right, bottom, score = (float(number) for number in box)
    return Face(Box(left, top, right - left, bottom - top), landmarks, min(max(score, 0.0), 1.0))
