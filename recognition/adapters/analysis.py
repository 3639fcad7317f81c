"""From a pack's folder to a working engine, and from a photograph to the one good face in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.enrolment_views import enrolment_vector
from recognition.adapters.litert_embedder import LiteRtEmbedder
from recognition.adapters.mtcnn_litert import MtcnnDetector, MtcnnThresholds
from recognition.adapters.pack_files import Pack, read_pack
from recognition.adapters.yunet_opencv import YUNET_SCORE, YunetDetector
from recognition.core.errors import PictureRefused
from recognition.core.face import Box, Face, Image, Vector
from recognition.core.ports import FaceDetector, FaceEmbedder
from recognition.core.quality import FaceQuality, QualityLimits, describe, judge, measure

DetectorKind = Literal["mtcnn", "yunet"]

RIVAL_SHARE = 0.4
"""A second face counts from this share of the largest one's width: smaller ones stand in the background, and nobody
who poses for a portrait beside another person is that much smaller."""


@dataclass(frozen=True, slots=True, eq=False)
class EnrolledFace:
    """The one face of a photograph: its vector (dimensions,) of unit length, how good it is and where it was."""

    vector: Vector
    quality: FaceQuality
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """A pack ready to run. Detector and embedder belong to the thread that uses them: open one engine per thread."""

    pack: Pack
    detector: FaceDetector
    embedder: FaceEmbedder


def open_engine(
    pack_folder: Path,
    *,
    smallest_face_px: int = 40,
    threads: int = 2,
    variant: str = "f32",
    detector: DetectorKind = "mtcnn",
    lowest_confidence: float | None = None,
) -> Engine:
    """Verify the pack in `pack_folder` and open it: the one way both programs come to their models.

    `smallest_face_px` is the width of the smallest face to find, `lowest_confidence` that of the least certain one
    (None: the detector's own choice, right for pictures that stand alone); `threads` are LiteRT's. A program that calls
    this must have set OPENBLAS_NUM_THREADS=1 before numpy was first imported: otherwise BLAS and LiteRT fight for the
    same cores, and a frame takes half as long again. Nothing can be set from here: by now numpy is loaded.

    Raises PackMissing, PackAltered or PackInvalid.
    """
    pack = read_pack(pack_folder, variant)
    faces: FaceDetector
    if detector == "mtcnn":
        thresholds = MtcnnThresholds() if lowest_confidence is None else MtcnnThresholds(place=lowest_confidence)
        faces = MtcnnDetector(pack, smallest_face_px, threads, thresholds)
    else:
        score = YUNET_SCORE if lowest_confidence is None else lowest_confidence
        faces = YunetDetector(pack.detector_file("yunet", "detect"), smallest_face_px, score)
    return Engine(pack, faces, LiteRtEmbedder(pack, variant, threads, detector))


class FaceAnalyser:
    """Turns enrolment photographs into vectors. One instance belongs to one thread."""

    def __init__(self, engine: Engine, limits: QualityLimits | None = None) -> None:
        self._detector = engine.detector
        self._embedder = engine.embedder
        self._views = engine.pack.views
        self._limits = limits or QualityLimits()

    def one_good_face(self, image: Image) -> EnrolledFace:
        """Return the face of `image` (height, width, 3) uint8 BGR.

        Raises PictureRefused with reason "no_face", "several_faces", "no_vector", or the first reason of
        `recognition.core.quality` against the face; the message names them all.
        """
        face = self._only_face(self._detector.detect(image))
        try:
            chip = cut_chip(image, face, self._embedder.geometry)
        except ValueError as exc:
            raise PictureRefused("no_face", "the eyes, nose and mouth of the face were not found", hint=_POSE) from exc
        height, width = image.shape[:2]
        quality = measure(face, chip, width, height)
        refusals = judge(quality, self._limits)
        if refusals:
            raise PictureRefused(refusals[0].reason, "; ".join(describe(refusal) for refusal in refusals))
        try:
            vector = enrolment_vector(image, face, self._embedder, self._views)
        except ValueError as exc:
            raise PictureRefused(
                "no_vector",
                "the models gave nothing usable for this picture",
                hint="take another one; if it happens with every picture, run `rollcall-hub pack verify`",
            ) from exc
        return EnrolledFace(vector, quality, face.box)

    def _only_face(self, faces: list[Face]) -> Face:
        if not faces:
            raise PictureRefused("no_face", "no face was found in the picture", hint=_POSE)
        by_width = sorted(faces, key=lambda face: face.box.width, reverse=True)
        rivals = [face for face in by_width if face.box.width >= RIVAL_SHARE * by_width[0].box.width]
        if len(rivals) > 1:
            raise PictureRefused(
                "several_faces",
                f"{len(rivals)} faces are in the picture, and it is not certain whose it is",
                hint="cut the picture so that only one person is in it",
            )
        return by_width[0]


_POSE = "use an upright portrait in which the whole face is seen from the front"
