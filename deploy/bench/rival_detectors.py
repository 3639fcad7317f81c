"""Other detectors, for recall: the mtcnn package, OpenCV's Haar cascade with DeepFace's settings, dlib's HOG."""

from collections.abc import Callable
from pathlib import Path

import cv2
import dlib
import numpy as np

from recognition.core.face import Image

Rows = list[list[float]]


class Detectors:
    """Each is opened when it is first asked for."""

    def __init__(self) -> None:
        self._opened: dict[str, Callable[[Image], Rows]] = {}

    def detect(self, which: str, paths: list[str]) -> list[Rows]:
        """Return the boxes (left, top, width, height) found in each picture."""
        if which not in self._opened:
            self._opened[which] = _OPEN[which]()
        return [self._opened[which](np.load(path)) for path in paths]


def _mtcnn() -> Callable[[Image], Rows]:
    from mtcnn import MTCNN

    network = MTCNN()

    def find(image: Image) -> Rows:
        found = network.detect_faces(np.ascontiguousarray(image[:, :, ::-1]), min_face_size=20)
        return [[float(number) for number in face["box"]] for face in found or []]

    return find


def _haar() -> Callable[[Image], Rows]:
    folder = Path(cv2.__file__).parent / "data"
    cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_default.xml"))

    def find(image: Image) -> Rows:
        boxes, _, _ = cascade.detectMultiScale3(image, 1.1, 10, outputRejectLevels=True)
        return [[float(number) for number in box] for box in boxes]

    return find


def _hog() -> Callable[[Image], Rows]:
    detector = dlib.get_frontal_face_detector()

    def find(image: Image) -> Rows:
        # Enlarged once, as face_recognition does by default.
        boxes = detector(np.ascontiguousarray(image[:, :, ::-1]), 1)
        return [[float(box.left()), float(box.top()), float(box.width()), float(box.height())] for box in boxes]

    return find


_OPEN = {"mtcnn": _mtcnn, "haar": _haar, "hog": _hog}


def open_rival() -> Detectors:
    """Return them, none opened yet."""
    return Detectors()
