"""Measures recognition on this machine: prints a table and writes `build/bench.json`.

The sample portraits are put side by side in a 1280 x 720 picture, so that nothing has to be downloaded.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Protocol

import cv2
import numpy as np

from deploy.clip import SAMPLES
from deploy.environment import PROJECT
from recognition.adapters.analysis import open_engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.core.face import Image
from recognition.core.ports import FaceDetector, FaceEmbedder

PACK = PROJECT / "build" / "packs" / "dlib"
RESULT = PROJECT / "build" / "bench.json"
PORTRAITS = ("obama", "biden", "astronaut", "obama3")
WARM_UP, RUNS = 3, 20
BATCH = 8


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; `against` names what it is compared with and `ratio` how many times better it is."""

    name: str
    value: float
    unit: str
    against: float | None = None
    ratio: float | None = None


class Engine(Protocol):
    """A detector and the embedder that goes with it."""

    @property
    def detector(self) -> FaceDetector:
        """Finds faces."""
        ...

    @property
    def embedder(self) -> FaceEmbedder:
        """Embeds their chips."""
        ...


def main() -> int:
    """Measure, print, write; return the exit code."""
    if not (PACK / "manifest.json").is_file():
        print(f"there is no model pack at {PACK}; run: make setup", file=sys.stderr)
        return 1
    figures = measure(open_engine(PACK, smallest_face_px=40, threads=2))
    for figure in figures:
        print(f"{figure.name:<44} {figure.value:>10.2f} {figure.unit}")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULT}")
    return 0


def measure(engine: Engine) -> list[Figure]:
    """Time detection and embedding, alone and together."""
    frame, empty = group_frame(), np.full((720, 1280, 3), 128, np.uint8)
    faces = engine.detector.detect(frame)
    if not faces:
        raise RuntimeError("the detector found no face in the sample portraits; the model pack is not usable")
    chips = [cut_chip(frame, face, engine.embedder.geometry) for face in faces]
    batch = (chips * BATCH)[:BATCH]

    def whole_frame() -> None:
        found = engine.detector.detect(frame)
        engine.embedder.embed([cut_chip(frame, face, engine.embedder.geometry) for face in found])

    return [
        Figure("faces found in the frame", float(len(faces)), f"of {len(PORTRAITS)}"),
        Figure("detect, 1280x720, nobody", _median_ms(lambda: engine.detector.detect(empty)), "ms"),
        Figure(f"detect, 1280x720, {len(faces)} faces", _median_ms(lambda: engine.detector.detect(frame)), "ms"),
        Figure("embed, one face", _median_ms(lambda: engine.embedder.embed(chips[:1])), "ms"),
        Figure(f"embed, a face in a batch of {BATCH}", _median_ms(lambda: engine.embedder.embed(batch)) / BATCH, "ms"),
        Figure(f"detect, cut and embed, {len(faces)} faces", _median_ms(whole_frame), "ms"),
    ]


def group_frame() -> Image:
    """Return the portraits side by side, 1280 x 720, each as high as fits its column."""
    frame = np.full((720, 1280, 3), 128, np.uint8)
    column = 1280 // len(PORTRAITS)
    for place, name in enumerate(PORTRAITS):
        portrait = cv2.imread(str(SAMPLES / f"{name}.jpg"))
        if portrait is None:
            raise FileNotFoundError(f"{SAMPLES / name}.jpg is one of the project's samples and is not there")
        scale = min(column / portrait.shape[1], 720 / portrait.shape[0])
        small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        frame[: small.shape[0], place * column : place * column + small.shape[1]] = small
    return frame


def _median_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(WARM_UP + RUNS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[WARM_UP:])


if __name__ == "__main__":
    sys.exit(main())
