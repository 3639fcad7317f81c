"""The `face_recognition` package as its users call it: `face_locations` (HOG) and `face_encodings`."""

import importlib
import time
from typing import Any

import numpy as np


class FaceRecognitionRival:
    """The package at its own defaults."""

    def __init__(self) -> None:
        # By name: the package is in an environment of its own, and nothing here may need it.
        self._package = importlib.import_module("face_recognition")
        self._package.face_encodings(np.full((150, 150, 3), 128, np.uint8), [(0, 150, 150, 0)])

    def frame(self, path: str, repeat: int) -> dict[str, Any]:
        """Time a frame; return milliseconds of each repetition and the number of faces found."""
        image = np.load(path)
        times, places = [], []
        for _ in range(repeat):
            began = time.perf_counter()
            rgb = np.ascontiguousarray(image[:, :, ::-1])
            places = self._package.face_locations(rgb)
            self._package.face_encodings(rgb, places)
            times.append((time.perf_counter() - began) * 1000)
        return {"ms": times, "faces": len(places)}


def open_rival() -> FaceRecognitionRival:
    """Return it, warmed up."""
    return FaceRecognitionRival()
