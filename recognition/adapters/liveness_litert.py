"""The liveness networks, run by LiteRT on crops of the frame around a face."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.adapters.litert_models import LitertModel, in_batches
from recognition.adapters.pack_files import Pack
from recognition.core.errors import PackInvalid, PackMissing
from recognition.core.face import Box, Image

BATCH_SIZES = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class LivenessNetwork:
    """A compiled network: how many boxes wide and high it looks, its input's side, which of its classes is live."""

    path: Path
    crop_scale: float
    input_px: int
    live_class: int


def liveness_networks(pack: Pack) -> tuple[LivenessNetwork, ...]:
    """Return the networks of a verified pack. Raises PackMissing for a pack without a liveness part."""
    networks = tuple(
        LivenessNetwork(path, part.crop_scale, part.input_px, part.live_class)
        for path, part in pack.liveness_networks()
    )
    if not networks:
        raise PackMissing(
            f"pack {pack.pack_id} has no liveness networks",
            hint="build a pack with the liveness weights, or set liveness to off",
        )
    return networks


class LivenessLitert:
    """A LivenessCheck: the mean of what the networks say. One instance belongs to one thread."""

    def __init__(self, networks: Sequence[LivenessNetwork], threads: int = 2) -> None:
        """Open the networks. Raises ValueError without any, PackMissing for a file that is not there, PackInvalid for
        one that cannot run or takes other crops.
        """
        if not networks:
            raise ValueError("a liveness check needs a network")
        self._networks = [(network, _open(network, threads)) for network in networks]

    def score(self, image: Image, boxes: Sequence[Box]) -> NDArray[np.float32]:
        """See LivenessCheck."""
        _check(image, boxes)
        total = np.zeros(len(boxes), dtype=np.float32)
        for network, model in self._networks:
            total += _live(network, model, image, boxes)
        mean: NDArray[np.float32] = total / np.float32(len(self._networks))
        return mean


def crop_around(image: Image, box: Box, scale: float, size_px: int) -> Image:
    """Return what a network sees of `box`: (size_px, size_px, 3) uint8.

    The box enlarged about its centre, by less than `scale` where the picture is too small for that, moved inside the
    picture where it reaches over the border, and brought to a square without regard to its shape: so the networks were
    trained. A box outside of the picture is moved inside; one under a pixel counts as a pixel.
    """
    height, width = image.shape[:2]
    left, right = _span(box.x, box.width, scale_within(box, scale, width, height), width)
    top, bottom = _span(box.y, box.height, scale_within(box, scale, width, height), height)
    region = image[top : bottom + 1, left : right + 1]
    # Bilinear however much is left out, as in training: averaging would hide the screen's or printer's pattern.
    return np.asarray(cv2.resize(region, (size_px, size_px), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def scale_within(box: Box, scale: float, width: int, height: int) -> float:
    """Return by how much a box can be enlarged, `scale` at most, and still fit into a picture of that size."""
    return min(scale, (width - 1) / max(box.width, 1.0), (height - 1) / max(box.height, 1.0))


def _span(start: float, length: float, scale: float, picture: int) -> tuple[int, int]:
    """Return first and last pixel of a stretch enlarged about its middle and moved into the picture."""
    length = max(length, 1.0)
    reach, last = length * scale / 2, picture - 1
    # A middle far outside would swallow the stretch in rounding.
    middle = min(max(start + length / 2, -reach - 1), last + reach + 1)
    first, end = middle - reach, middle + reach
    if first < 0:
        first, end = 0.0, end - first
    if end > last:
        first, end = first - (end - last), float(last)
    return max(int(first), 0), int(end)


def _live(network: LivenessNetwork, model: LitertModel, image: Image, boxes: Sequence[Box]) -> NDArray[np.float32]:
    live = np.empty(len(boxes), dtype=np.float32)
    for start, stop in in_batches(len(boxes), BATCH_SIZES):
        crops = [crop_around(image, box, network.crop_scale, network.input_px) for box in boxes[start:stop]]
        (probabilities,) = model.run(np.stack(crops).astype(np.float32))
        if probabilities.shape[0] != stop - start or not network.live_class < probabilities.shape[-1]:
            raise PackInvalid(f"the liveness network {network.path.name} returns {probabilities.shape}")
        live[start:stop] = np.clip(probabilities[:, network.live_class], 0, 1)
    return live


def _open(network: LivenessNetwork, threads: int) -> LitertModel:
    try:
        model = LitertModel(network.path, threads=threads, most_shapes=len(BATCH_SIZES))
    except OSError as exc:
        raise PackMissing(f"the liveness network {network.path} cannot be read: {exc.strerror}") from exc
    side = network.input_px
    if model.input_shape[1:] != (side, side, 3):
        raise PackInvalid(f"the liveness network {network.path.name} takes {model.input_shape}, expected {side} pixels")
    return model


def _check(image: Image, boxes: Sequence[Box]) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"a picture is {image.dtype} {image.shape}, expected uint8 (height, width, 3)")
    for box in boxes:
        if not all(isfinite(value) for value in (box.x, box.y, box.width, box.height)):
            raise ValueError(f"a box is {box}")
