"""Builds the model pack `dlib` from weights that PyPI packages carry: no download, one run of TensorFlow."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.litert_embedder import to_unit
from recognition.adapters.litert_models import LitertModel
from recognition.adapters.pack_files import (
    FORMAT,
    MANIFEST_NAME,
    EmbedderPart,
    Manifest,
    Pack,
    PackFile,
    StatisticsPart,
    embedder_pack_id,
    read_pack,
)
from recognition.build import dlib_network, mtcnn_network
from recognition.build.dlib_weights import RESNET_29, read_dlib_network
from recognition.build.litert_convert import Precision, to_litert
from recognition.build.pinned_inputs import DLIB_NETWORK, MTCNN_NETWORKS, PinnedInput, read_input
from recognition.build.score_statistics import DLIB
from recognition.core.errors import PackError, PackInvalid

Progress = Callable[[str], None]

NAME = "dlib"
VARIANTS: tuple[Precision, ...] = ("f32", "int8")
LOWEST_COSINE = {"f32": 0.999, "int8": 0.99}
LARGEST_DIFFERENCE = 1e-3
"""Between a compiled detector network and its reference; their outputs are shares and probabilities."""

LANDMARKS = {
    # Mean places of each detector's points in the chips dlib itself cuts (150 px, padding 0.25), measured on LFW.
    "mtcnn": [(47.73, 45.82), (100.95, 45.66), (73.82, 77.51), (51.39, 104.80), (97.42, 104.89)],
    "yunet": [(47.67, 44.86), (101.35, 44.44), (74.63, 77.16), (51.81, 102.73), (97.73, 102.73)],
}


@dataclass(frozen=True, slots=True)
class _Built:
    """A compiled file and how close it came to its reference."""

    name: str
    source: PinnedInput
    content: bytes
    parity: float


def build_dlib_pack(destination: Path, *, progress: Progress) -> Pack:
    """Build the pack in `destination`, replacing an older pack there in one step; return it, verified.

    Raises PackMissing or PackAltered for an input, PackInvalid when a compiled model does not agree with its
    reference or `destination` holds something that is not a pack, OSError when the disk refuses.
    """
    _check_destination(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    # A sibling, so that the last step is a rename on the same disk: a pack is there entirely or not at all.
    working = Path(tempfile.mkdtemp(prefix=f".{destination.name}-building-", dir=destination.parent))
    try:
        embedders = _embedders(working, progress)
        detectors = _detectors(working, progress)
        manifest = _manifest(embedders, detectors)
        (working / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        working.chmod(0o755)
        read_pack(working)
        _replace(destination, working)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    progress(f"pack {manifest.pack_id} is in {destination}")
    return read_pack(destination)


def up_to_date(destination: Path) -> bool:
    """Say whether `destination` holds a whole pack that a build from the installed inputs would only repeat."""
    try:
        manifest = read_pack(destination).manifest
    except PackError:
        return False
    return (
        manifest.inputs == _inputs()
        and manifest.statistics == _statistics()
        and manifest.embedder == _embedder_part(manifest.embedder.variants)
        and set(manifest.embedder.variants) == set(VARIANTS)
    )


def _embedders(folder: Path, progress: Progress) -> dict[str, _Built]:
    progress(f"reading {DLIB_NETWORK.origin}")
    network = read_dlib_network(read_input(DLIB_NETWORK))
    progress("starting TensorFlow")
    model = dlib_network.keras_network(network)
    chips = _pictures(6, RESNET_29.size_px)
    reference = to_unit(np.asarray(model(chips, training=False)))
    built: dict[str, _Built] = {}
    for variant in VARIANTS:
        progress(f"compiling the embedder, {variant}")
        name = f"embedder-{variant}.tflite"
        content = to_litert(model, (None, RESNET_29.size_px, RESNET_29.size_px, 3), variant)
        (vectors,) = _run(folder / name, content, chips)
        parity = float((to_unit(vectors) * reference).sum(axis=1).min())
        if not parity >= LOWEST_COSINE[variant]:
            raise PackInvalid(f"the compiled embedder {variant} agrees with its reference only to {parity:.6f}")
        built[variant] = _Built(name, DLIB_NETWORK, content, parity)
    return built


def _detectors(folder: Path, progress: Progress) -> dict[str, _Built]:
    built = {}
    for role, shape in mtcnn_network.INPUT_SHAPES.items():
        progress(f"compiling the detector, {role}")
        model = mtcnn_network.keras_network(role)
        name = f"mtcnn-{role}.tflite"
        content = to_litert(model, shape)
        pictures = ((_pictures(1 if shape[0] else 4, shape[1] or 96) - 127.5) / 128).astype(np.float32)
        outputs = _run(folder / name, content, pictures)
        reference = sorted((np.asarray(output) for output in model(pictures)), key=lambda output: output.shape[-1])
        pairs = zip(outputs, reference, strict=True)
        difference = max(float(np.abs(output - wanted).max()) for output, wanted in pairs)
        if not difference <= LARGEST_DIFFERENCE:
            raise PackInvalid(f"the compiled detector network {role} differs from its reference by {difference:.6f}")
        built[role] = _Built(name, MTCNN_NETWORKS[role], content, 1.0 - difference)
    return built


def _run(path: Path, content: bytes, inputs: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    path.write_bytes(content)
    return LitertModel(path, threads=1, most_shapes=1).run(inputs)


def _pictures(count: int, size_px: int) -> NDArray[np.float32]:
    """Return pictures that are the same on every machine: smooth shapes, for noise alone looks like no face at all."""
    rows, columns = np.mgrid[0:size_px, 0:size_px].astype(np.float32) / size_px
    pictures = np.empty((count, size_px, size_px, 3), dtype=np.float32)
    for index in range(count):
        for channel in range(3):
            waves = np.sin(rows * (3 + 2 * index + channel)) + np.cos(columns * (5 + index + 2 * channel))
            pictures[index, :, :, channel] = 127.5 + 60 * waves
    return np.clip(pictures, 0, 255).round().astype(np.float32)


def _manifest(embedders: dict[str, _Built], detectors: dict[str, _Built]) -> Manifest:
    everything = [*embedders.values(), *detectors.values()]
    embedder = _embedder_part({variant: built.name for variant, built in embedders.items()})
    parity = {f"embedder-{variant}": built.parity for variant, built in embedders.items()}
    parity.update({f"mtcnn-{role}": built.parity for role, built in detectors.items()})
    return Manifest(
        format=FORMAT,
        pack_id=embedder_pack_id(NAME, embedder),
        name=NAME,
        description="dlib's face recognition network (2017) with MTCNN, compiled to LiteRT.",
        files={built.name: _pack_file(built) for built in everything},
        detectors={"mtcnn": {role: built.name for role, built in detectors.items()}},
        embedder=embedder,
        statistics=_statistics(),
        inputs=_inputs(),
        parity=parity,
    )


def _embedder_part(variants: dict[str, str]) -> EmbedderPart:
    return EmbedderPart(
        variants=variants,
        dimensions=RESNET_29.dimensions,
        chip_px=RESNET_29.size_px,
        weights_sha256=DLIB_NETWORK.sha256,
        mirror=True,
        metric="cosine",
        landmarks=LANDMARKS,
    )


def _statistics() -> StatisticsPart:
    return StatisticsPart.model_validate({**asdict(DLIB), "strangers": [asdict(row) for row in DLIB.strangers]})


def _inputs() -> dict[str, str]:
    return {source.origin: source.sha256 for source in (DLIB_NETWORK, *MTCNN_NETWORKS.values())}


def _pack_file(built: _Built) -> PackFile:
    return PackFile(
        sha256=hashlib.sha256(built.content).hexdigest(),
        size_bytes=len(built.content),
        origin=f"compiled from {built.source.origin}",
        licence=built.source.licence,
    )


def _check_destination(destination: Path) -> None:
    """Raise PackInvalid before the long work when there is something at `destination` that is not ours to replace."""
    is_pack = (destination / MANIFEST_NAME).is_file()
    is_empty = destination.is_dir() and not any(destination.iterdir())
    if destination.exists() and not is_pack and not is_empty:
        raise PackInvalid(f"{destination} exists and is not a model pack", hint="name another folder")


def _replace(destination: Path, working: Path) -> None:
    if not destination.exists():
        working.rename(destination)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{destination.name}-old-", dir=destination.parent))
    destination.rename(old / destination.name)
    working.rename(destination)
    shutil.rmtree(old, ignore_errors=True)
