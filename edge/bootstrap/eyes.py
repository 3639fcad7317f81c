"""Everything that looks at pixels: the models of a pack, opened and warmed up."""

import numpy as np

from edge.adapters.opencv_threads import hold_opencv_to_one_thread
from edge.core.identities import Eyes
from edge.settings import EdgeSettings
from recognition.adapters.analysis import Engine, open_engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.liveness_litert import LivenessLitert, liveness_networks
from recognition.core.liveness import LivenessCheck

_WEAK_CONFIDENCE = 0.6


def open_recognition(settings: EdgeSettings) -> Engine:
    """Return the models. Raises PackError."""
    wanted = settings.recognition
    hold_opencv_to_one_thread()
    return open_engine(
        wanted.pack_dir,
        smallest_face_px=settings.smallest_face_px,
        threads=wanted.threads,
        variant=wanted.variant,
        detector=wanted.detector,
        # What is not quite a face may continue a track: begin one it may not, see `Sight.sure_from`.
        lowest_confidence=_WEAK_CONFIDENCE,
    )


def open_liveness(settings: EdgeSettings, engine: Engine) -> LivenessCheck | None:
    """Return the liveness check if the settings want one. Raises PackMissing for a pack without its networks."""
    if settings.recognition.liveness == "off":
        return None
    return LivenessLitert(liveness_networks(engine.pack), settings.recognition.threads)


def open_eyes(settings: EdgeSettings) -> Eyes:
    """Return everything that looks at pixels, warmed up for pictures of the camera's size. Raises PackError."""
    engine = open_recognition(settings)
    eyes = Eyes(
        engine.detector,
        engine.embedder,
        cut_chip,
        engine.pack.same_person_floor,
        engine.pack.statistics,
        open_liveness(settings, engine),
    )
    # The first call of each model prepares its buffers: that is time at the start and not in the first student's frame.
    whole = np.zeros((settings.picture_height_px, settings.picture_width_px, 3), dtype=np.uint8)
    for picture in (whole, whole[: whole.shape[0] // 2, : whole.shape[1] // 2]):
        eyes.detector.detect(picture)
    size_px = eyes.embedder.geometry.size_px
    eyes.embedder.embed([np.zeros((size_px, size_px, 3), dtype=np.uint8)])
    return eyes
