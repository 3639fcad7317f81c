"""A model pack on disk: a folder of compiled models and the manifest that says what they are, with their checksums."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recognition.core.calibration import ScoreStatistics, StrangerScores
from recognition.core.errors import PackAltered, PackInvalid, PackMissing
from recognition.core.face import LANDMARKS, ChipGeometry

FORMAT: Literal[1] = 1
MANIFEST_NAME = "manifest.json"
LARGEST_MANIFEST_BYTES = 256 * 1024
LARGEST_MODEL_BYTES = 512 * 1024 * 1024

FileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Text = Annotated[str, Field(max_length=2000)]
Coordinate = Annotated[float, Field(ge=0, le=4096, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class PackFile(_Part):
    """What a file of the pack must be."""

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=1, le=LARGEST_MODEL_BYTES)]
    origin: Text
    licence: Text


class EmbedderPart(_Part):
    """The embedder: its compiled variants by precision, and what goes in and comes out."""

    variants: Annotated[dict[Word, FileName], Field(min_length=1, max_length=8)]
    dimensions: Annotated[int, Field(ge=2, le=4096)]
    chip_px: Annotated[int, Field(ge=16, le=1024)]
    weights_sha256: Sha256
    """Of the weights it was compiled from, not of the compiled files: two builds of one model stay comparable."""
    mirror: bool
    """Whether a vector is the mean of a chip and its mirror image; the statistics below were measured that way."""
    metric: Literal["cosine"]
    landmarks: Annotated[dict[Word, list[tuple[Coordinate, Coordinate]]], Field(min_length=1, max_length=8)]
    """Where each kind of detector's five landmarks lie in the chip, in pixels."""


class StrangerScoresPart(_Part):
    """See `recognition.core.calibration.StrangerScores`."""

    samples: int
    comparisons: int
    tail_start: float
    tail_share: float
    tail_scale: float
    tail_shape: float
    margin: float


class StatisticsPart(_Part):
    """See `recognition.core.calibration.ScoreStatistics`."""

    strangers: Annotated[list[StrangerScoresPart], Field(min_length=1, max_length=20)]
    same_person_floor: Annotated[float, Field(ge=-1, le=1)]
    measured_on: Text


class Manifest(_Part):
    """The content of `manifest.json`."""

    format: Literal[1]
    pack_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    name: Word
    description: Text
    files: Annotated[dict[FileName, PackFile], Field(min_length=1, max_length=32)]
    detectors: Annotated[dict[Word, dict[Word, FileName]], Field(max_length=8)]
    """By kind of detector ("mtcnn", "yunet"), its files by role."""
    embedder: EmbedderPart
    statistics: StatisticsPart
    inputs: Annotated[dict[Text, Sha256], Field(max_length=32)]
    """SHA-256 of what the pack was built from: the same inputs need no second build."""
    parity: Annotated[dict[Word, float], Field(max_length=32)]
    """Measured when the pack was built, by variant: the lowest cosine between the compiled model and its reference."""


class Pack:
    """A verified pack. Its files had the manifest's checksums when it was read."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.statistics = _statistics(manifest)

    @property
    def pack_id(self) -> str:
        """Identifies the embedder: equal ids give comparable vectors."""
        return self.manifest.pack_id

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self.manifest.embedder.dimensions

    @property
    def same_person_floor(self) -> float:
        """See `ScoreStatistics.same_person_floor`."""
        return self.statistics.same_person_floor

    def geometry(self, detector: str) -> ChipGeometry:
        """Return the chip layout for a kind of detector; PackInvalid when the pack does not know it."""
        landmarks = self.manifest.embedder.landmarks.get(detector)
        if landmarks is None:
            known = ", ".join(sorted(self.manifest.embedder.landmarks))
            raise PackInvalid(f"pack {self.pack_id} has no landmarks for detector {detector}", hint=f"it knows {known}")
        return ChipGeometry(self.manifest.embedder.chip_px, np.array(landmarks, dtype=np.float32))

    def embedder_file(self, variant: str) -> Path:
        """Return the file of a variant ("f32"); PackMissing when the pack does not have it."""
        variants = self.manifest.embedder.variants
        if variant not in variants:
            raise PackMissing(
                f"pack {self.pack_id} has no variant {variant}", hint=f"it has {', '.join(sorted(variants))}"
            )
        return self.folder / variants[variant]

    def detector_file(self, detector: str, role: str) -> Path:
        """Return the file of a detector's part; PackMissing when the pack does not have it."""
        name = self.manifest.detectors.get(detector, {}).get(role)
        if name is None:
            raise PackMissing(
                f"pack {self.pack_id} has no {role} of detector {detector}",
                hint=f"it has {', '.join(sorted(self.manifest.detectors)) or 'no detector'}",
            )
        return self.folder / name


def read_pack(folder: Path) -> Pack:
    """Read and verify the pack in `folder`, every file of it.

    Raises PackMissing, PackAltered or PackInvalid; the message names the file and the checksum.
    """
    manifest = _read_manifest(folder / MANIFEST_NAME)
    for name, file in sorted(manifest.files.items()):
        _verify(folder / name, file)
    return Pack(folder, manifest)


def embedder_pack_id(name: str, embedder: EmbedderPart) -> str:
    """Return the pack id: it changes with everything that decides what a vector means, and with nothing else.

    A new detector, new statistics or a newer converter keep the templates of a school valid.
    """
    deciding = embedder.model_dump(mode="json", exclude={"variants"})
    listed = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
    return f"{name}-{FORMAT}-{hashlib.sha256(listed.encode()).hexdigest()[:12]}"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in lower-case hexadecimal. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_manifest(path: Path) -> Manifest:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_MANIFEST_BYTES + 1)
    except OSError as exc:
        raise PackMissing(f"there is no model pack at {path.parent}: {exc.strerror}", hint=_BUILD_HINT) from exc
    if len(content) > LARGEST_MANIFEST_BYTES:
        raise PackInvalid(f"{path} is larger than {LARGEST_MANIFEST_BYTES} bytes", hint=_BUILD_HINT)
    try:
        # The format first: a newer manifest has fields this program would call mistakes.
        _check_format(path, content)
        manifest = Manifest.model_validate_json(content)
        _check_references(manifest)
        _statistics(manifest)
    except (ValidationError, ValueError, RecursionError) as exc:
        first = exc.errors()[0] if isinstance(exc, ValidationError) else None
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else str(exc)
        raise PackInvalid(f"{path} cannot be understood: {what}", hint=_BUILD_HINT) from exc
    return manifest


def _check_format(path: Path, content: bytes) -> None:
    outline = json.loads(content)
    found = outline.get("format") if isinstance(outline, dict) else None
    if found != FORMAT:
        raise PackInvalid(f"{path} has format {found!r}; this program reads format {FORMAT}", hint=_BUILD_HINT)


def _check_references(manifest: Manifest) -> None:
    """Raise ValueError when the manifest contradicts itself."""
    used = set(manifest.embedder.variants.values())
    used.update(name for parts in manifest.detectors.values() for name in parts.values())
    unlisted = used - set(manifest.files)
    if unlisted:
        raise ValueError(f"it uses {', '.join(sorted(unlisted))} without a checksum")
    for detector, landmarks in manifest.embedder.landmarks.items():
        if len(landmarks) != LANDMARKS:
            raise ValueError(f"detector {detector} has {len(landmarks)} landmarks, expected {LANDMARKS}")
    # Recomputed, so that nobody can keep an id by hand while the model behind it changes.
    expected = embedder_pack_id(manifest.name, manifest.embedder)
    if manifest.pack_id != expected:
        raise ValueError(f"its pack id is {manifest.pack_id}, but its embedder makes it {expected}")


def _verify(path: Path, expected: PackFile) -> None:
    try:
        size_bytes = path.stat().st_size
        # Size first: it is free, and a file that grew without end is not read.
        found = sha256_of(path) if size_bytes == expected.size_bytes else f"{size_bytes} bytes"
    except OSError as exc:
        raise PackMissing(f"the pack lacks {path}: {exc.strerror}", hint=f"it comes from {expected.origin}") from exc
    if found != expected.sha256:
        raise PackAltered(
            f"{path} has {found}, but SHA-256 {expected.sha256} and {expected.size_bytes} bytes are expected",
            hint=f"it comes from {expected.origin}; {_BUILD_HINT}",
        )


def _statistics(manifest: Manifest) -> ScoreStatistics:
    part = manifest.statistics
    strangers = tuple(StrangerScores(**row.model_dump()) for row in part.strangers)
    return ScoreStatistics(strangers, part.same_person_floor, part.measured_on)


_BUILD_HINT = "copy the pack again, or build it with `python -m recognition.build dlib FOLDER`"
