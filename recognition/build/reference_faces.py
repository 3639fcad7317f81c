"""Real faces for which every pack's vectors are compared with its reference's own. Credits: `data/CREDITS.md`."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.adapters.litert_embedder import to_unit
from recognition.build.chip_layouts import LANDMARKS
from recognition.core.errors import PackAltered, PackInvalid, PackMissing
from recognition.core.face import ChipGeometry, Image

DATA = Path(__file__).parent / "data"
STRIP = "faces.png"
DLIB_VECTORS = "dlib.json"
FACE_PX = 160
LARGEST_REFERENCE_BYTES = 2 * 1024 * 1024

GEOMETRY = ChipGeometry(FACE_PX, np.array(LANDMARKS["mtcnn"], dtype=np.float32) + np.float32(5))
"""The middle 150 pixels are dlib's chip; the whole is what the models with chips of 160 pixels get."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceVectors:
    """What a reference gives for the faces: float32 (faces, dimensions), rows of unit length."""

    made_by: str
    faces_sha256: str
    vectors: NDArray[np.float32]


def reference_chips(size_px: int) -> list[Image]:
    """Return the faces and their mirror images as chips, (size_px, size_px, 3) uint8 BGR; at most 160 px wide.

    Raises PackMissing when the installation lacks them, ValueError for a larger size.
    """
    if not 0 < size_px <= FACE_PX:
        raise ValueError(f"there are no reference faces of {size_px} px, only of up to {FACE_PX}")
    strip = cv2.imdecode(np.frombuffer(_read(DATA / STRIP), dtype=np.uint8), cv2.IMREAD_COLOR)
    if strip is None or strip.shape[0] != FACE_PX or strip.shape[1] % FACE_PX:
        raise PackInvalid(f"{DATA / STRIP} is damaged", hint="install Rollcall again")
    edge = (FACE_PX - size_px) // 2
    faces = [strip[:, left : left + FACE_PX] for left in range(0, strip.shape[1], FACE_PX)]
    cut = [face[edge : edge + size_px, edge : edge + size_px] for face in faces]
    return [np.ascontiguousarray(chip, dtype=np.uint8) for face in cut for chip in (face, face[:, ::-1])]


def dlib_reference() -> ReferenceVectors:
    """Return dlib's own vectors of the faces, recorded. Raises PackMissing, PackInvalid."""
    return parse_reference(_read(DATA / DLIB_VECTORS), str(DATA / DLIB_VECTORS))


def checksum_of(chips: list[Image]) -> str:
    """Return the SHA-256 of the pixels: vectors are compared for these very faces or not at all."""
    return hashlib.sha256(np.stack(chips).tobytes()).hexdigest()


def parse_reference(content: bytes, where: str) -> ReferenceVectors:
    """Read what `reference_json` wrote. Raises PackInvalid, naming `where`, for anything else."""
    try:
        outline = json.loads(content)
        made_by, faces_sha256, rows = outline["made_by"], outline["faces_sha256"], outline["vectors"]
        vectors = np.array(rows, dtype=np.float32)
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise PackInvalid(f"{where} holds no reference vectors") from exc
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise PackInvalid(f"{where} holds no reference vectors")
    return ReferenceVectors(str(made_by), str(faces_sha256), to_unit(vectors))


def reference_json(reference: ReferenceVectors) -> bytes:
    """Return the file's content: seven digits, which a float32 of a unit vector does not exceed by anything seen."""
    rows = [[round(float(value), 7) for value in row] for row in reference.vectors]
    outline: dict[str, Any] = {"made_by": reference.made_by, "faces_sha256": reference.faces_sha256, "vectors": rows}
    return (json.dumps(outline, separators=(",", ":")) + "\n").encode()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_REFERENCE_BYTES + 1)
    except OSError as exc:
        raise PackMissing(f"{path} cannot be read: {exc.strerror}", hint="install Rollcall again") from exc
    if len(content) > LARGEST_REFERENCE_BYTES:
        raise PackAltered(f"{path} is larger than {LARGEST_REFERENCE_BYTES} bytes", hint="install Rollcall again")
    return content
