"""The optional parts of a pack, from files that an operator brings: the YuNet detector, the liveness networks."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recognition.adapters.pack_files import LivenessNetworkPart, LivenessPart
from recognition.adapters.yunet_opencv import YunetDetector
from recognition.build.build_errors import stopped_by
from recognition.build.litert_convert import forget_names
from recognition.build.pack_compile import PackedFile, Progress, described, packed
from recognition.build.reference_faces import reference_chips
from recognition.core.errors import PackAltered, PackInvalid, PackMissing

YUNET_FILE = "yunet.onnx"
YUNET_LICENCE = "MIT (Shiqi Yu and contributors, github.com/opencv/opencv_zoo)"
YUNETS = {
    "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4": "face_detection_yunet_2023mar.onnx",
    "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0": "face_detection_yunet_2026may.onnx",
}
"""The versions of opencv_zoo that are known to work, by SHA-256."""
LARGEST_YUNET_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional part as it was built: its files, and what it was made from."""

    files: tuple[PackedFile, ...]
    inputs: dict[str, str]
    liveness: LivenessPart | None = None


def yunet_checksum(file: Path) -> str:
    """Return the SHA-256 of an operator's file. Raises PackMissing, PackInvalid for one that is far too large."""
    return hashlib.sha256(_read_yunet(file)).hexdigest()


def add_yunet(file: Path, folder: Path, vouched: frozenset[str], progress: Progress) -> Extra:
    """Put the operator's YuNet file into the pack in `folder`, after it has found the reference faces.

    Raises PackMissing, PackAltered for a checksum that is neither known nor vouched for, PackInvalid for another model.
    """
    progress(f"adding the detector in {file}")
    content = _read_yunet(file)
    found = hashlib.sha256(content).hexdigest()
    if found not in YUNETS and found not in vouched:
        raise PackAltered(
            f"{file} has SHA-256 {found}; the YuNet files known here have {' or '.join(sorted(YUNETS))}",
            hint="they come from github.com/opencv/opencv_zoo, models/face_detection_yunet; if you know that yours is "
            f"right, say so with --sha256 {found}",
        )
    origin = f"github.com/opencv/opencv_zoo, {YUNETS[found]}" if found in YUNETS else f"the operator's {file.name}"
    licence = YUNET_LICENCE if found in YUNETS else "not known; the operator brought it"
    added = packed(folder / YUNET_FILE, content, origin, licence)
    street = np.concatenate(reference_chips(160)[::2], axis=1)
    if not YunetDetector(folder / YUNET_FILE).detect(street):
        raise PackInvalid(f"{file} finds none of the reference faces", hint="bring another file, or build without it")
    return Extra((added,), {origin: found})


def add_liveness(source: Path, folder: Path, progress: Progress) -> Extra:
    """Compile the liveness networks from the weights in `source` into the pack in `folder`.

    Raises PackMissing, PackAltered, PackInvalid; see `recognition.build.liveness_pack`.
    """
    from recognition.build.liveness_pack import build_liveness

    forget_names()
    built = build_liveness(source, folder, progress).networks
    files = []
    for network in built:
        content = (folder / network.file).read_bytes()
        origin = f"compiled from {network.origin}"
        files.append(described(network.file, content, origin, network.licence, network.parity))
    parts = [
        LivenessNetworkPart(file=n.file, crop_scale=n.crop_scale, input_px=n.input_px, live_class=n.live_class)
        for n in built
    ]
    return Extra(tuple(files), liveness_inputs(), LivenessPart(networks=parts))


def liveness_inputs() -> dict[str, str]:
    """Return the checksums of the weights that the liveness networks are compiled from, by origin."""
    from recognition.build.liveness_pack import WEIGHTS

    return {weights.origin: weights.sha256 for weights in WEIGHTS}


def _read_yunet(file: Path) -> bytes:
    if not file.is_file():
        raise PackMissing(f"there is no file {file}", hint="name the YuNet model, a file that ends in .onnx")
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_YUNET_BYTES + 1)
    except OSError as exc:
        raise stopped_by(exc, file) from exc
    if len(content) > LARGEST_YUNET_BYTES:
        raise PackInvalid(f"{file} is larger than any YuNet model", hint="name the file that ends in .onnx")
    return content
