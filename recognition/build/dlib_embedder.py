"""The reference of the dlib packs: dlib itself, behind the same port as a compiled pack."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.litert_embedder import check_chips, to_unit
from recognition.build.chip_layouts import DLIB_CHIP_PX, chip_geometry
from recognition.build.dlib_weights import RESNET_29
from recognition.build.pinned_inputs import DLIB_LANDMARKS, DLIB_NETWORK, verified_path
from recognition.core.errors import PackInvalid, PackMissing
from recognition.core.face import Box, ChipGeometry, Image

OWN_CHIP_PADDING = 0.25
"""dlib's margin around the eyes, as a share of the chip; its network was trained with it."""
LARGEST_BOX = 2**30
"""dlib keeps the sides of a box in C's `long` and adds them up."""


def dlib_is_installed() -> bool:
    """Tell whether dlib can be imported, without importing it."""
    return find_spec("dlib") is not None


class DlibEmbedder:
    """A FaceEmbedder over dlib's own network, some thirty times slower than the pack. One instance, one thread."""

    def __init__(self, geometry: ChipGeometry | None = None) -> None:
        """Load the network from the PyPI package face_recognition_models; chips lie as in the dlib packs by default.

        Raises PackMissing without dlib or the network, PackAltered for another file, ValueError for chips that are
        not 150 pixels wide, PackInvalid when dlib cannot read its own file.
        """
        self._geometry = geometry or chip_geometry("mtcnn")
        if self._geometry.size_px != DLIB_CHIP_PX:
            raise ValueError(f"dlib's network takes chips of {DLIB_CHIP_PX} px, not {self._geometry.size_px}")
        self._dlib = _imported()
        self._network = self._load(self._dlib.face_recognition_model_v1, str(verified_path(DLIB_NETWORK)))
        self._predictor: Any = None

    @property
    def pack_id(self) -> str:
        """See FaceEmbedder; made from the checksum of the weights, and never that of a compiled pack."""
        return f"reference-dlib-{DLIB_NETWORK.sha256[:12]}"

    @property
    def dimensions(self) -> int:
        """See FaceEmbedder."""
        return RESNET_29.dimensions

    @property
    def geometry(self) -> ChipGeometry:
        """See FaceEmbedder."""
        return self._geometry

    def embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        """See FaceEmbedder: one plain look at each chip, without mirror image or jitter."""
        check_chips(chips, self._geometry.size_px)
        if not chips:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        # One at a time: in one call dlib gives the same numbers and needs the memory of all of them.
        rows = [np.asarray(self._network.compute_face_descriptor(_as_rgb(chip)), dtype=np.float32) for chip in chips]
        return to_unit(np.stack(rows))

    def own_chips(self, image: Image, box: Box) -> Image:
        """Return the chip that dlib itself cuts from `image` (height, width, 3) uint8 BGR for the face in `box`.

        dlib's five landmarks inside of the box, 150 px, padding 0.25; (150, 150, 3) uint8 BGR. Raises ValueError for
        a box or picture that dlib cannot take, PackMissing or PackAltered for the landmark model.
        """
        if self._predictor is None:
            self._predictor = self._load(self._dlib.shape_predictor, str(verified_path(DLIB_LANDMARKS)))
        edges = (box.x, box.y, box.x + box.width - 1, box.y + box.height - 1)
        if not all(abs(edge) < LARGEST_BOX for edge in edges) or box.area_px <= 0:
            raise ValueError(f"a face cannot be in a box of {box.width} x {box.height} pixels at {box.x}, {box.y}")
        rgb = _as_rgb(image)
        points = self._predictor(rgb, self._dlib.rectangle(*(round(edge) for edge in edges)))
        chip = self._dlib.get_face_chip(rgb, points, size=DLIB_CHIP_PX, padding=OWN_CHIP_PADDING)
        return np.ascontiguousarray(np.asarray(chip, dtype=np.uint8)[:, :, ::-1])

    def _load(self, kind: Any, path: str) -> Any:
        try:
            return kind(path)
        except RuntimeError as exc:
            raise PackInvalid(f"dlib cannot read {path}: {exc}", hint="install face_recognition_models again") from exc


def _imported() -> Any:
    try:
        import dlib
    except ImportError as exc:
        raise PackMissing(
            f"dlib cannot be imported: {exc}", hint="it comes from dlib-bin on PyPI; install the `models` extra"
        ) from exc
    return dlib


def _as_rgb(image: Image) -> Image:
    """Return a copy in the order and the memory layout that dlib asks for. Raises ValueError for another shape."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"a picture is {image.dtype} {image.shape}, expected uint8 (height, width, 3)")
    return np.ascontiguousarray(image[:, :, ::-1])
