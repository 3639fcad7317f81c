"""Rollcall in the field: the same parts, put together in the same way, as the unit uses them."""

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.bench.known_people import people_for
from deploy.bench.unit_vision import open_record, open_vision, stamp_at
from deploy.bench.visits import Visits
from edge.adapters.opencv_threads import hold_opencv_to_one_thread
from edge.core.frame import Frame
from recognition.adapters.analysis import DetectorKind, open_engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.core.evidence import Decision, Scope, TrackEvidence
from recognition.core.face import Image
from recognition.core.looking import probe_vectors

SMALLEST_FACE_PX, THREADS = 40, 2


class OurRival:
    """An engine with a gallery of 1,000 templates."""

    def __init__(self, pack: Path, detector: DetectorKind, variant: str, threads: int) -> None:
        self._pack, self._detector = pack, detector
        # As the unit does before it opens its models.
        hold_opencv_to_one_thread()
        self._engine = open_engine(
            pack, smallest_face_px=SMALLEST_FACE_PX, threads=threads, variant=variant, detector=detector
        )
        self._known = people_for(self._engine)

    def frame(self, path: str, repeat: int) -> dict[str, Any]:
        """Time a frame from detection to decisions, nothing known of it before; milliseconds and faces found."""
        image: Image = np.load(path)
        times, decisions = [], list[Decision]()
        for _ in range(repeat):
            began = time.perf_counter()
            decisions = self._decide(image)
            times.append((time.perf_counter() - began) * 1000)
        return {"ms": times, "faces": len(decisions)}

    def _decide(self, image: Image) -> list[Decision]:
        faces = self._engine.detector.detect(image)
        geometry = self._engine.embedder.geometry
        room = Scope(self._known.gallery, self._known.points)
        decisions = []
        for vector in probe_vectors(self._engine.embedder, [cut_chip(image, face, geometry) for face in faces]):
            evidence = TrackEvidence(self._engine.pack.same_person_floor)
            evidence.add(vector, 0.0)
            decisions.append(evidence.decide(room))
        return decisions

    def chips(self, path: str, into: str) -> dict[str, Any]:
        """Cut the chips of a frame's faces and save them (chips, height, width, 3)."""
        image: Image = np.load(path)
        geometry = self._engine.embedder.geometry
        chips = [cut_chip(image, face, geometry) for face in self._engine.detector.detect(image)]
        np.save(into, np.stack(chips))
        return {"chips": len(chips)}

    def embed(self, path: str, repeat: int, batch: int) -> dict[str, Any]:
        """Time the embedding of chips, `batch` at once; milliseconds a chip."""
        chips: NDArray[np.uint8] = np.load(path)
        times = []
        for _ in range(repeat):
            for start in range(0, len(chips) - batch + 1, batch):
                together = list(chips[start : start + batch])
                began = time.perf_counter()
                self._engine.embedder.embed(together)
                times.append((time.perf_counter() - began) * 1000 / batch)
        return {"ms": times}

    def clip(self, path: str, step: int, start: int, frames_per_s: float) -> dict[str, Any]:
        """Time every `step`-th frame of a clip (frames, height, width, 3) through the unit's vision, tracks and all.

        Return milliseconds a frame, and what the unit saw.
        """
        frames: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        vision = open_vision(self._engine)
        times = []
        for index in range(start, len(frames), step):
            frame = Frame(np.array(frames[index]), stamp_at(index / frames_per_s))
            began = time.perf_counter()
            vision.process(frame, self._known)
            times.append((time.perf_counter() - began) * 1000)
        vision.finish(stamp_at(len(frames) / frames_per_s), self._known)
        totals = vision.totals
        return {"ms": times, "tracks": totals.tracks, "faces": totals.faces, "embedded": totals.embedded}

    def commits(self, empty: str, faces: str, folder: str, count: int) -> dict[str, Any]:
        """Let the same student come `count` times; time the frame with which each arrival reaches the disk.

        `empty` and `faces` are clips (frames, height, width, 3) of the room without and with the student. Return
        milliseconds from the frame at hand to the commit, and the seconds of looking before it, of those that were
        recorded.
        """
        shutil.rmtree(folder, ignore_errors=True)
        record = open_record(Path(folder))
        try:
            visits = Visits(open_vision(self._engine), record.recorder, self._known)
            arrivals = visits.repeat(np.load(empty, mmap_mode="r"), np.load(faces, mmap_mode="r"), count)
        finally:
            record.file.close()
        return {"ms": arrivals.commit_ms, "looked_s": arrivals.looked_s}

    def detect(self, paths: list[str], smallest_face_px: int) -> list[list[list[float]]]:
        """Return the boxes (left, top, width, height) found in each picture."""
        engine = open_engine(self._pack, smallest_face_px=smallest_face_px, threads=THREADS, detector=self._detector)
        found = [engine.detector.detect(np.load(path)) for path in paths]
        return [[[face.box.x, face.box.y, face.box.width, face.box.height] for face in faces] for faces in found]


def open_rival(pack: str, detector: str, variant: str, threads: str) -> OurRival:
    """Return it, warmed up."""
    kind: DetectorKind = "yunet" if detector == "yunet" else "mtcnn"
    return OurRival(Path(pack), kind, variant, int(threads))
