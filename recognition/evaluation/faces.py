"""Reads pictures as the programs do: detect, cut, embed, with ten looks for a template and one for a probe."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np

from recognition.adapters.analysis import Engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.enrolment_views import enrolment_vector
from recognition.adapters.pictures import PictureLimits, decode_picture
from recognition.core.errors import PictureRefused
from recognition.core.face import Box, Face, Image, Vector
from recognition.core.looking import probe_vectors
from recognition.core.quality import FaceQuality, QualityLimits, judge, measure
from recognition.evaluation.resume import Arrays, Memory

LAYOUT = "1"
"""Changes when an entry of the memory means something else."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenPicture:
    """What came of one picture: its face and vectors, or in `problem` the word for why there is none.

    `probe` is one plain look; `enrolled`, only where it was asked for, the mean of the pack's enrolment views.
    """

    sha256: str
    problem: str = ""
    face: Face | None = None
    quality: FaceQuality | None = None
    probe: Vector | None = None
    enrolled: Vector | None = None

    def refusals(self, limits: QualityLimits) -> tuple[str, ...]:
        """Return why enrolment at a hub would refuse the face; empty without a face."""
        return () if self.quality is None else tuple(refusal.reason for refusal in judge(self.quality, limits))


class Reference(Protocol):
    """Another way to a vector, for the same face of the same picture."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def key(self) -> str:
        """Changes with everything that decides what its vectors mean."""
        ...

    def vector(self, image: Image, face: Face) -> Vector | None:
        """Return a unit vector, or None where this way fails."""
        ...


class PictureReader:
    """Turns picture files into `SeenPicture`s, from memory where it can. One instance belongs to one thread."""

    def __init__(self, engine: Engine, memory: Memory, context: str) -> None:
        """`context` names everything beside the pack that decides the result (variant, detector, smallest face)."""
        self._engine = engine
        self._memory = memory
        measured = ",".join(field.name for field in fields(FaceQuality))
        self._context = ("picture", LAYOUT, engine.pack.pack_id, _geometry_key(engine), context, measured)

    def read(self, path: Path, *, enrolling: bool) -> SeenPicture:
        """Return what is seen in the picture at `path`. Pictures that cannot be used are a result, not an error."""
        try:
            content = read_limited(path)
        except OSError:
            return SeenPicture("", "missing")
        sha256 = hashlib.sha256(content).hexdigest()
        key = (*self._context, sha256, str(enrolling))
        known = self._memory.get(*key)
        if known is not None:
            return _from_arrays(sha256, known)
        seen = self._look(content, sha256, enrolling=enrolling)
        self._memory.put(_as_arrays(seen), *key)
        return seen

    def _look(self, content: bytes, sha256: str, *, enrolling: bool) -> SeenPicture:
        engine = self._engine
        try:
            image = decode_picture(content)
        except PictureRefused as exc:
            return SeenPicture(sha256, exc.reason)
        faces = engine.detector.detect(image)
        if not faces:
            return SeenPicture(sha256, "no_face")
        widest = max(faces, key=lambda face: face.box.width)
        try:
            chip = cut_chip(image, widest, engine.embedder.geometry)
            enrolled = enrolment_vector(image, widest, engine.embedder, engine.pack.views) if enrolling else None
        except ValueError:
            return SeenPicture(sha256, "no_landmarks")
        quality = measure(widest, chip, image.shape[1], image.shape[0])
        return SeenPicture(sha256, "", widest, quality, probe_vectors(engine.embedder, [chip])[0], enrolled)


def read_limited(path: Path) -> bytes:
    """Return a picture file's content, one byte more than is allowed at most: decoding refuses it then."""
    with path.open("rb") as stream:
        return stream.read(PictureLimits().max_bytes + 1)


def reference_vectors(
    pictures: Iterable[tuple[Path, SeenPicture]], reference: Reference, memory: Memory, step: Callable[[], None]
) -> list[Vector | None]:
    """Return the vectors that `reference` makes of the same faces, in order; None without a face."""
    vectors: list[Vector | None] = []
    for path, seen in pictures:
        vectors.append(_reference_vector(path, seen, reference, memory))
        step()
    return vectors


def _reference_vector(path: Path, seen: SeenPicture, reference: Reference, memory: Memory) -> Vector | None:
    if seen.face is None:
        return None
    box = ",".join(f"{number:.3f}" for number in astuple(seen.face.box))
    key = ("reference", LAYOUT, reference.key, seen.sha256, box)
    known = memory.get(*key)
    if known is None:
        vector = reference.vector(decode_picture(read_limited(path)), seen.face)
        known = {} if vector is None else {"vector": vector}
        memory.put(known or {"failed": np.ones(1)}, *key)
    return known.get("vector")


def _geometry_key(engine: Engine) -> str:
    geometry = engine.embedder.geometry
    return f"{geometry.size_px}:{hashlib.sha256(geometry.landmarks.tobytes()).hexdigest()[:16]}"


def _as_arrays(seen: SeenPicture) -> Arrays:
    arrays: dict[str, np.ndarray] = {"problem": np.array(seen.problem)}
    if seen.face is not None and seen.quality is not None and seen.probe is not None:
        arrays["box_xywh"] = np.array(astuple(seen.face.box), dtype=np.float64)
        arrays["landmarks"] = seen.face.landmarks
        arrays["confidence"] = np.array(seen.face.confidence)
        arrays["quality"] = np.array([getattr(seen.quality, field.name) for field in fields(FaceQuality)])
        arrays["probe"] = seen.probe
    if seen.enrolled is not None:
        arrays["enrolled"] = seen.enrolled
    return arrays


def _from_arrays(sha256: str, arrays: Arrays) -> SeenPicture:
    problem = str(arrays["problem"])
    if "probe" not in arrays:
        return SeenPicture(sha256, problem)
    box = Box(*(float(number) for number in arrays["box_xywh"]))
    face = Face(box, arrays["landmarks"], float(arrays["confidence"]))
    quality = FaceQuality(*(float(number) for number in arrays["quality"]))
    return SeenPicture(sha256, problem, face, quality, arrays["probe"], arrays.get("enrolled"))


def usable(seen: Sequence[SeenPicture]) -> list[Vector | None]:
    """Return the probe vectors of pictures, None where there is none."""
    return [picture.probe for picture in seen]
