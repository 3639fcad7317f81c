"""Compiles an embedder's variants and MTCNN, and measures how close each comes to what it was compiled from."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import floor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.adapters.litert_models import LitertModel
from recognition.adapters.pack_files import PackFile
from recognition.build import mtcnn_network
from recognition.build.litert_convert import compiled, forget_names, to_litert, traced
from recognition.build.pack_folder import write_file
from recognition.build.pack_parity import lowest_cosine
from recognition.build.pack_plan import VARIANTS, EmbedderSource
from recognition.build.pinned_inputs import MTCNN_NETWORKS
from recognition.build.reference_faces import reference_chips
from recognition.core.errors import PackInvalid

Progress = Callable[[str], None]

LARGEST_DIFFERENCE = 1e-3
"""Between a compiled detector network and its reference; their outputs are shares and probabilities."""


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file that was written into the pack; `parity` is 0 to 1, None for a file that nothing was compared with."""

    name: str
    entry: PackFile
    parity: float | None = None


def packed(path: Path, content: bytes, origin: str, licence: str, parity: float | None = None) -> PackedFile:
    """Write a file of the pack and return what its manifest says of it. Raises OSError."""
    write_file(path, content)
    return described(path.name, content, origin, licence, parity)


def described(name: str, content: bytes, origin: str, licence: str, parity: float | None = None) -> PackedFile:
    """Return what a manifest says of a file. Parity is rounded down, to digits that every machine agrees on."""
    entry = PackFile(
        sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content), origin=origin, licence=licence
    )
    return PackedFile(name, entry, None if parity is None else floor(min(parity, 1.0) * 1e6) / 1e6)


def compile_embedder(
    source: EmbedderSource, folder: Path, least: Mapping[str, float], progress: Progress
) -> dict[str, PackedFile]:
    """Compile every variant into `folder`. Raises PackInvalid for one under `least`, the cosine to its reference."""
    plan = source.plan
    built: dict[str, PackedFile] = {}
    graph = traced(source.model, (None, plan.chip_px, plan.chip_px, 3))
    for variant in VARIANTS:
        progress(f"compiling the embedder, {variant}")
        content = compiled(graph, variant)
        path = folder / plan.variants[variant]
        write_file(path, content)
        cosine = lowest_cosine(path, plan.chip_px, source.reference)
        if not cosine >= least[variant]:
            raise PackInvalid(
                f"the compiled embedder {variant} agrees with its reference only to {cosine:.6f}; "
                f"at least {least[variant]} is needed"
            )
        built[variant] = described(path.name, content, f"compiled from {plan.origin}", plan.licence, cosine)
    return built


def compile_mtcnn(folder: Path, progress: Progress) -> dict[str, PackedFile]:
    """Compile the detector's three networks into `folder`; by role. Raises PackMissing, PackAltered, PackInvalid."""
    built = {}
    for role, shape in mtcnn_network.INPUT_SHAPES.items():
        progress(f"compiling the detector, {role}")
        forget_names()
        model = mtcnn_network.keras_network(role)
        path = folder / f"mtcnn-{role}.tflite"
        content = to_litert(model, shape)
        write_file(path, content)
        pictures = _pictures(shape[1])
        outputs = LitertModel(path, threads=1, most_shapes=1).run(pictures)
        reference = sorted((np.asarray(output) for output in model(pictures)), key=lambda output: output.shape[-1])
        pairs = zip(outputs, reference, strict=True)
        difference = max(float(np.abs(output - wanted).max()) for output, wanted in pairs)
        if not difference <= LARGEST_DIFFERENCE:
            raise PackInvalid(f"the compiled detector network {role} differs from its reference by {difference:.6f}")
        origin = MTCNN_NETWORKS[role]
        built[role] = described(path.name, content, f"compiled from {origin.origin}", origin.licence, 1.0 - difference)
    return built


def _pictures(size_px: int | None) -> NDArray[np.float32]:
    """Return the reference faces as a detector's network gets them; side by side for the one that takes any size."""
    chips = reference_chips(160)
    faces = (
        np.concatenate(chips, axis=1)[np.newaxis]
        if size_px is None
        else np.stack([cv2.resize(chip, (size_px, size_px), interpolation=cv2.INTER_AREA) for chip in chips])
    )
    scaled: NDArray[np.float32] = ((faces.astype(np.float32) - 127.5) / 128).astype(np.float32)
    return scaled
