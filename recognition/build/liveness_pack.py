"""Compiles the two MiniFASNet networks from the weights their makers publish, for the liveness part of a pack."""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.litert_models import LitertModel
from recognition.build.litert_convert import to_litert
from recognition.build.minifasnet_network import INPUT_PX, LIVE_CLASS, keras_network
from recognition.build.torch_state import LARGEST_FILE_BYTES, read_state
from recognition.core.errors import PackAltered, PackInvalid, PackMissing

Progress = Callable[[str], None]

LARGEST_DIFFERENCE = 1e-3
"""Between the compiled network's probabilities and its reference's."""

_REPOSITORY = "github.com/minivision-ai/Silent-Face-Anti-Spoofing"
_TEST_CROPS = 48


@dataclass(frozen=True, slots=True)
class LivenessWeights:
    """A file of weights: its name, what it must hash to, what it becomes and how wide its network looks."""

    name: str
    sha256: str
    file: str
    crop_scale: float

    @property
    def origin(self) -> str:
        """Where it comes from, for a person."""
        return f"{_REPOSITORY}, resources/anti_spoof_models/{self.name}"


LICENCE = f"Apache-2.0 (Minivision, {_REPOSITORY})"

WEIGHTS = (
    LivenessWeights(
        "2.7_80x80_MiniFASNetV2.pth",
        "a5eb02e1843f19b5386b953cc4c9f011c3f985d0ee2bb9819eea9a142099bec0",
        "liveness-near.tflite",
        crop_scale=2.7,
    ),
    LivenessWeights(
        "4_0_0_80x80_MiniFASNetV1SE.pth",
        "84ee1d37d96894d5e82de5a57df044ef80a58be2b218b5ed7cdfd875ec2f5990",
        "liveness-wide.tflite",
        crop_scale=4.0,
    ),
)


@dataclass(frozen=True, slots=True)
class LivenessBuiltNetwork:
    """A compiled network in the destination folder, with what a manifest says about it.

    `crop_scale` is in box widths and heights, `parity` 1 minus the largest difference from the uncompiled network.
    """

    file: str
    origin: str
    licence: str
    source_sha256: str
    crop_scale: float
    input_px: int
    live_class: int
    parity: float


@dataclass(frozen=True, slots=True)
class LivenessBuilt:
    """Both networks, in the order of WEIGHTS."""

    networks: tuple[LivenessBuiltNetwork, ...]


def build_liveness(source: Path, destination: Path, progress: Progress) -> LivenessBuilt:
    """Compile the weights in the folder `source` into `destination`, which is made if need be.

    Raises PackMissing or PackAltered for a file of weights, PackInvalid when a compiled network does not agree with
    its reference, OSError when the disk refuses. Nothing is written before both networks are right.
    """
    # Both are read first: TensorFlow takes seconds to start, and a missing second file should not wait for it.
    contents = [_read(source / weights.name, weights) for weights in WEIGHTS]
    compiled = [_compile(content, weights, progress) for content, weights in zip(contents, WEIGHTS, strict=True)]
    destination.mkdir(parents=True, exist_ok=True)
    for (model, _), weights in zip(compiled, WEIGHTS, strict=True):
        (destination / weights.file).write_bytes(model)
    return LivenessBuilt(tuple(_built(weights, parity) for (_, parity), weights in zip(compiled, WEIGHTS, strict=True)))


def _built(weights: LivenessWeights, parity: float) -> LivenessBuiltNetwork:
    return LivenessBuiltNetwork(
        file=weights.file,
        origin=weights.origin,
        licence=LICENCE,
        source_sha256=weights.sha256,
        crop_scale=weights.crop_scale,
        input_px=INPUT_PX,
        live_class=LIVE_CLASS,
        parity=parity,
    )


def _read(path: Path, weights: LivenessWeights) -> bytes:
    hint = (
        f"get {weights.name} with SHA-256 {weights.sha256} from {weights.origin} and put it into {path.parent}, "
        "or build the pack without liveness"
    )
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE_BYTES + 1)
    except OSError as exc:
        raise PackMissing(f"the liveness weights {path} cannot be read: {exc.strerror}", hint=hint) from exc
    found = hashlib.sha256(content).hexdigest()
    if found != weights.sha256:
        raise PackAltered(f"the liveness weights {path} have SHA-256 {found}", hint=hint)
    return content


def _compile(content: bytes, weights: LivenessWeights, progress: Progress) -> tuple[bytes, float]:
    """Return the compiled network and its parity."""
    progress(f"compiling the liveness network {weights.file}")
    model = keras_network(read_state(content))
    compiled = to_litert(model, (None, INPUT_PX, INPUT_PX, 3))
    crops = _crops()
    reference = np.asarray(model(crops, training=False))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / weights.file
        path.write_bytes(compiled)
        (probabilities,) = LitertModel(path, threads=1, most_shapes=1).run(crops)
    difference = float(np.abs(probabilities - reference).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise PackInvalid(f"the compiled network {weights.file} differs from its reference by {difference:.6f}")
    return compiled, 1.0 - difference


def _crops() -> NDArray[np.float32]:
    """Return pictures that are the same on every machine, smooth, of many colours and brightnesses.

    Many, because a network that is certain of a picture says 0 or 1 however wrongly it was compiled.
    """
    rows, columns = np.mgrid[0:INPUT_PX, 0:INPUT_PX].astype(np.float32) / INPUT_PX
    crops = np.empty((_TEST_CROPS, INPUT_PX, INPUT_PX, 3), dtype=np.float32)
    for index in range(_TEST_CROPS):
        for channel in range(3):
            waves = np.sin(rows * (2 + index % 7 + channel)) + np.cos(columns * (3 + index % 5 + 2 * channel))
            crops[index, :, :, channel] = 40 + 4 * index + (10 + index % 11 * 5) * waves
    return np.clip(crops, 0, 255).round().astype(np.float32)
