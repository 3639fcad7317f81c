"""A model pack on disk: a folder of compiled models and the manifest that says what they are, with their checksums."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recognition.core.calibration import (
    GenuineScores,
    OperatingPoint,
    OperatingPoints,
    ScoreStatistics,
    StrangerScores,
    operating_points,
)
from recognition.core.errors import PackAltered, PackInvalid, PackMissing
from recognition.core.face import LANDMARKS, ChipGeometry, View

FORMAT: Literal[1] = 1
MANIFEST_NAME = "manifest.json"
LARGEST_MANIFEST_BYTES = 256 * 1024
LARGEST_MODEL_BYTES = 512 * 1024 * 1024
HIGHEST_FLOOR = 0.95
"""Cosine from which two moments are surely one person, when nothing at all is known of an embedder."""
UNREACHABLE = OperatingPoint(threshold=1.0, margin=2.0)
"""A lead of 2 would need a score of 1 for one student and of -1 for every other."""

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


class ViewPart(_Part):
    """See `recognition.core.face.View`."""

    zoom: Annotated[float, Field(ge=0.5, le=2)]
    right_px: Annotated[float, Field(ge=-100, le=100)]
    down_px: Annotated[float, Field(ge=-100, le=100)]
    mirrored: bool


class EmbedderPart(_Part):
    """The embedder: its compiled variants by precision, and what goes in and comes out."""

    variants: Annotated[dict[Word, FileName], Field(min_length=1, max_length=8)]
    dimensions: Annotated[int, Field(ge=2, le=4096)]
    chip_px: Annotated[int, Field(ge=16, le=1024)]
    weights_sha256: Sha256
    """Of the weights it was compiled from, not of the compiled files: two builds of one model stay comparable."""
    views: Annotated[list[ViewPart], Field(min_length=1, max_length=32)]
    """How an enrolment picture is looked at; its vector is the mean. A probe is looked at once, as it is: the
    statistics below were measured that way, and it costs a unit a tenth."""
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


class GenuineScoresPart(_Part):
    """See `recognition.core.calibration.GenuineScores`."""

    samples: int
    comparisons: int
    mean: float
    deviation: float


class StatisticsPart(_Part):
    """See `recognition.core.calibration.ScoreStatistics`."""

    strangers: Annotated[list[StrangerScoresPart], Field(min_length=1, max_length=20)]
    same_person_floor: Annotated[float, Field(ge=-1, le=1)]
    measured_on: Text
    genuine: Annotated[list[GenuineScoresPart], Field(max_length=20)] = []


class PublishedPart(_Part):
    """What others publish about an embedder of which no statistics were measured: good for warnings, for no record."""

    same_person_cosine: Annotated[float, Field(ge=-1, le=1)]
    origin: Text


class ReferencePart(_Part):
    """The vectors that the reference itself gives for the faces which `recognition.build` carries, in a file."""

    file: FileName
    made_by: Text


class LivenessNetworkPart(_Part):
    """One network that tells a face from a picture of one: which file, how wide it looks, which class is a face."""

    file: FileName
    crop_scale: Annotated[float, Field(ge=1, le=10)]
    """Side of the square it looks at, in widths of the face's box."""
    input_px: Annotated[int, Field(ge=16, le=1024)]
    live_class: Annotated[int, Field(ge=0, le=100)]


class LivenessPart(_Part):
    """The optional liveness networks; their answers are averaged."""

    networks: Annotated[list[LivenessNetworkPart], Field(min_length=1, max_length=4)]


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
    statistics: StatisticsPart | None
    """None: nothing was measured with these weights, and nobody is recognised before the school has calibrated."""
    published: PublishedPart | None = None
    inputs: Annotated[dict[Text, Sha256], Field(max_length=32)]
    """SHA-256 of what the pack was built from: the same inputs need no second build."""
    parity: Annotated[dict[Word, float], Field(max_length=32)]
    """Measured when the pack was built: by variant, the lowest cosine to the reference's own vectors of real faces;
    by network of a detector, 1 minus the largest difference from the uncompiled network."""
    reference: ReferencePart | None = None
    liveness: LivenessPart | None = None
    compiler: Text = ""
    """What compiled it. Another version may give other bytes of the same networks."""
    remarks: Annotated[list[Text], Field(max_length=20)] = []
    """What whoever installs the pack should know, in sentences."""


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
    def views(self) -> tuple[View, ...]:
        """How an enrolment picture is looked at."""
        return tuple(View(**view.model_dump()) for view in self.manifest.embedder.views)

    @property
    def same_person_floor(self) -> float:
        """See `ScoreStatistics.same_person_floor`.

        Of a pack without statistics the published cosine: too high for some people, which loses sightings and
        confirms none.
        """
        if self.statistics is not None:
            return self.statistics.same_person_floor
        return self.manifest.published.same_person_cosine if self.manifest.published else HIGHEST_FLOOR

    def operating_points(self, gallery_size: int, fpir: float) -> OperatingPoints:
        """Return the points derived from the pack's statistics; without statistics points that nothing reaches.

        Raises ValueError as `recognition.core.calibration.operating_points` does.
        """
        if self.statistics is not None:
            return operating_points(self.statistics, gallery_size, fpir)
        return OperatingPoints(max(1, gallery_size), fpir, ((1, UNREACHABLE),))

    def liveness_networks(self) -> tuple[tuple[Path, LivenessNetworkPart], ...]:
        """Return the files of the liveness networks with what each needs to know; empty for a pack without."""
        networks = self.manifest.liveness.networks if self.manifest.liveness else []
        return tuple((self.folder / network.file, network) for network in networks)

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


def read_pack(folder: Path, variant: str | None = None) -> Pack:
    """Read and verify the pack in `folder`, every file of it.

    With a `variant` the files of the embedder's other variants are left out, for a program that opens only that one:
    on a small computer their checksums take longer than everything else at its start.

    Raises PackMissing, PackAltered or PackInvalid; the message names the file and the checksum.
    """
    manifest = _read_manifest(folder / MANIFEST_NAME)
    variants = manifest.embedder.variants
    unused = set(variants.values()) - {variants[variant]} if variant in variants else set()
    for name, file in sorted(manifest.files.items()):
        if name not in unused:
            _verify(folder / name, file)
    return Pack(folder, manifest)


def read_manifest(folder: Path) -> Manifest:
    """Read only the manifest of the pack in `folder`. Raises PackMissing or PackInvalid."""
    return _read_manifest(folder / MANIFEST_NAME)


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
    if manifest.reference:
        used.add(manifest.reference.file)
    if manifest.liveness:
        used.update(network.file for network in manifest.liveness.networks)
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


def _statistics(manifest: Manifest) -> ScoreStatistics | None:
    part = manifest.statistics
    if part is None:
        return None
    strangers = tuple(StrangerScores(**row.model_dump()) for row in part.strangers)
    genuine = tuple(GenuineScores(**row.model_dump()) for row in part.genuine)
    return ScoreStatistics(strangers, part.same_person_floor, part.measured_on, genuine)


_BUILD_HINT = (
    "copy the pack again, or build it: `rollcall-hub pack build`, or `python -m recognition.build dlib FOLDER`"
)
