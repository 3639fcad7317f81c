"""DeepFace as its users call it: `DeepFace.represent` on a whole frame."""

import time
from typing import Any

import numpy as np


class DeepFaceRival:
    """`represent` with one model and one detector, at DeepFace's own defaults otherwise."""

    def __init__(self, model: str, detector: str) -> None:
        from deepface import DeepFace

        self._represent = DeepFace.represent
        self._options = {"model_name": model, "detector_backend": detector, "enforce_detection": False}
        # Loads and warms both networks: start-up is not what is compared.
        self._represent(np.full((240, 320, 3), 128, np.uint8), **self._options)

    def frame(self, path: str, repeat: int) -> dict[str, Any]:
        """Time a frame; return milliseconds of each repetition and the number of faces found."""
        image = np.load(path)
        times, faces = [], 0
        for _ in range(repeat):
            began = time.perf_counter()
            found = self._represent(image, **self._options)
            times.append((time.perf_counter() - began) * 1000)
            # Without a face it represents the whole picture, with a confidence of 0.
            faces = sum(1 for face in found if face["face_confidence"] > 0)
        return {"ms": times, "faces": faces}

    def clip(self, path: str, step: int, start: int) -> dict[str, Any]:
        """Time every `step`-th frame of a clip (frames, height, width, 3) from `start`; milliseconds a frame."""
        frames = np.load(path, mmap_mode="r")
        times = []
        for index in range(start, len(frames), step):
            image = np.array(frames[index])
            began = time.perf_counter()
            self._represent(image, **self._options)
            times.append((time.perf_counter() - began) * 1000)
        return {"ms": times}


def open_rival(model: str, detector: str) -> DeepFaceRival:
    """Return it, warmed up."""
    return DeepFaceRival(model, detector)
