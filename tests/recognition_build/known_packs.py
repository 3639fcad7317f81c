"""What models, and dlib itself, say of the reference faces, computed once for the same bytes.

Verifying runs every variant on every face; tests that verify copies of one pack again and again look at something else.
A file that differs by one byte, another reference or another size of chip is computed anew, and errors always are.
"""

from pathlib import Path

from recognition.adapters.pack_files import sha256_of
from recognition.build.pack_parity import dlib_agreement, lowest_cosine
from recognition.build.reference_faces import ReferenceVectors

_said: dict[tuple[str, int, bytes], float] = {}
_dlib_said: dict[tuple[str, bytes], float | None] = {}


def lowest_cosine_once(model_file: Path, chip_px: int, reference: ReferenceVectors) -> float:
    """Return what `lowest_cosine` returns, or raise what it raises."""
    key = (sha256_of(model_file), chip_px, reference.vectors.tobytes())
    if key not in _said:
        _said[key] = lowest_cosine(model_file, chip_px, reference)
    return _said[key]


def dlib_agreement_once(reference: ReferenceVectors) -> float | None:
    """Return what `dlib_agreement` returns, or raise what it raises."""
    key = (reference.faces_sha256, reference.vectors.tobytes())
    if key not in _dlib_said:
        _dlib_said[key] = dlib_agreement(reference)
    return _dlib_said[key]
