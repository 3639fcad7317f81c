"""Times the parts of recognition on this machine, on a picture that was brought or on a made-up room without people."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edge.adapters.machine_load import MachineLoad
from edge.adapters.opencv_threads import hold_opencv_to_one_thread
from edge.core.advice import Measured
from edge.core.errors import SettingsWrong
from recognition.adapters.analysis import DetectorKind, Engine, open_engine
from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.litert_embedder import LiteRtEmbedder
from recognition.core.face import Box, ChipGeometry, Face, Image
from recognition.core.gallery import Gallery
from recognition.core.looking import probe_vectors

_LONGEST_S = 50.0
"""When this much time has passed, what is left is not measured: somebody waits for the answer."""
_A_FIGURE_S = 1.2
_MOST_RUNS, _LEAST_RUNS = 30, 3
_BATCHES = (1, 4)
_STUDENTS = (100, 1_000, 10_000)
_SMALLEST_PX = (40, 60, 100)
_LARGEST_PICTURE_BYTES = 40 * 1024 * 1024
_SEED = 12


@dataclass(frozen=True, slots=True)
class BenchWish:
    """What is measured."""

    pack_dir: Path
    detector: DetectorKind
    variant: str
    threads: int
    smallest_face_px: int
    min_face_px: int
    size_px: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; `note` says on what, where that is not obvious."""

    name: str
    value: float
    unit: str
    note: str = ""


@dataclass(slots=True)
class MachineBench:
    """One run. `steps` are run in their order by one thread; figures gather in `figures`."""

    wish: BenchWish
    picture: Image | None = None
    figures: list[Figure] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    before_c: float | None = None
    after_c: float | None = None
    pack_id: str = ""
    _engine: Engine | None = None
    _faces: list[Face] = field(default_factory=list)
    _embed_s: dict[tuple[str, int], float] = field(default_factory=dict)
    _detect_s: dict[int, float] = field(default_factory=dict)
    _align_s: float = 0.0

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Return what will be measured, by name."""
        return [
            ("start", self._start),
            ("detection", self._detection),
            ("alignment", self._alignment),
            ("a whole frame", self._whole_frame),
            ("embedding", self._embedding),
            ("matching", self._matching),
        ]

    def run(self) -> Iterator[str]:
        """Measure everything, giving the name of each part before it begins. Raises PackError."""
        machine = MachineLoad()
        self.before_c = machine.read().celsius
        began_s = time.monotonic()
        for name, step in self.steps():
            yield name
            if time.monotonic() - began_s > _LONGEST_S:
                self.left_out.append(name)
                continue
            step()
        self.after_c = machine.read().celsius

    def measured(self) -> Measured:
        """Return what suggestions rest on."""
        manifest = self._engine.pack.manifest if self._engine else None
        parity = {name.removeprefix("embedder-"): value for name, value in manifest.parity.items()} if manifest else {}
        return Measured(self._embed_s, self._detect_s, self._align_s, parity, self.wish.min_face_px)

    @property
    def faces(self) -> int:
        """How many faces are in the picture that was brought."""
        return len(self._faces)

    def _start(self) -> None:
        began_s = time.perf_counter()
        self._engine = self._opened(self.wish.smallest_face_px)
        # The first frame prepares buffers; a unit is not ready before it.
        self._engine.detector.detect(self._scene())
        self._engine.embedder.embed(_noise_chips(self._engine.embedder.geometry, 1))
        self.pack_id = self._engine.embedder.pack_id
        self._add("open and warm up the models", time.perf_counter() - began_s)
        self._add("start of the program to ready", _age_s())
        self.figures.append(Figure("memory", _resident_bytes() / 1e6, "MB"))

    def _detection(self) -> None:
        empty = empty_room(self.wish.size_px)
        width, height = self.wish.size_px
        for px in sorted({*_SMALLEST_PX, self.wish.smallest_face_px}):
            detector = self._opened(px).detector
            self._detect_s[px] = self._time(
                f"find faces from {px} px on, nobody there",
                lambda detector=detector: detector.detect(empty),  # type: ignore[misc]
                note=f"a made-up room, {width} x {height}",
            )
        if self.picture is None:
            return
        engine, picture = self._open_engine(), self.picture
        self._faces = engine.detector.detect(picture)
        height, width = picture.shape[:2]
        self._time(
            f"find {_counted(len(self._faces), 'face')}",
            lambda: engine.detector.detect(picture),
            note=f"your picture, {width} x {height}",
        )

    def _alignment(self) -> None:
        engine, scene, face = self._open_engine(), self._scene(), self._face()
        note = "" if self._faces else "where there is none"
        self._time("look where a face was", lambda: engine.detector.follow(scene, [face.box]), note=note)
        self._align_s = self._time(
            "cut out and turn upright, a face", lambda: cut_chip(scene, face, engine.embedder.geometry)
        )

    def _whole_frame(self) -> None:
        engine, scene = self._open_engine(), self._scene()
        gallery = _gallery(engine, _STUDENTS[0])

        def frame() -> None:
            faces = engine.detector.detect(scene)
            if faces:
                chips = [cut_chip(scene, face, engine.embedder.geometry) for face in faces]
                gallery.match(probe_vectors(engine.embedder, chips))

        note = _counted(self.faces, "face") if self.faces else "nobody in it: bring a --picture with faces"
        self._time("a whole frame: find, cut, embed, match", frame, note=note)
        self.figures.append(Figure("memory after it", _resident_bytes() / 1e6, "MB"))

    def _embedding(self) -> None:
        engine = self._open_engine()
        pack = engine.pack
        note = "faces of your picture" if self._faces else "noise instead of faces; the time is the same"
        for variant in sorted(pack.manifest.embedder.variants):
            for threads in sorted({1, min(2, os.cpu_count() or 1)}):
                embedder = LiteRtEmbedder(pack, variant, threads, self.wish.detector)
                for batch in _BATCHES:
                    chips = self._chips(batch)
                    each = self._time(
                        f"embed, {variant}, {_counted(threads, 'thread')}, {batch} at once, a face",
                        lambda embedder=embedder, chips=chips: embedder.embed(chips),  # type: ignore[misc]
                        share=batch,
                        note=note,
                    )
                    if batch == 1:
                        self._embed_s[variant, threads] = each

    def _matching(self) -> None:
        engine = self._open_engine()
        for count in _STUDENTS:
            gallery = _gallery(engine, count)
            probe = gallery.centroids[:1]
            self._time(f"match a face against {count:,} students", lambda: gallery.match(probe))  # noqa: B023 (run here)

    def _time(self, name: str, work: Callable[[], object], *, share: int = 1, note: str = "") -> float:
        """Add the median time of `work` divided by `share`; return it in seconds."""
        work()
        times: list[float] = []
        began_s = time.perf_counter()
        while len(times) < _LEAST_RUNS or (len(times) < _MOST_RUNS and time.perf_counter() - began_s < _A_FIGURE_S):
            one_s = time.perf_counter()
            work()
            times.append(time.perf_counter() - one_s)
        median_s = statistics.median(times) / share
        self._add(name, median_s, note)
        return median_s

    def _add(self, name: str, seconds: float, note: str = "") -> None:
        unit, value = ("s", seconds) if seconds >= 1 else ("ms", seconds * 1000)
        self.figures.append(Figure(name, value, unit, note))

    def _opened(self, smallest_face_px: int) -> Engine:
        hold_opencv_to_one_thread()
        return open_engine(
            self.wish.pack_dir,
            smallest_face_px=smallest_face_px,
            threads=self.wish.threads,
            variant=self.wish.variant,
            detector=self.wish.detector,
        )

    def _open_engine(self) -> Engine:
        if self._engine is None:
            self._engine = self._opened(self.wish.smallest_face_px)
        return self._engine

    def _scene(self) -> Image:
        return self.picture if self.picture is not None else empty_room(self.wish.size_px)

    def _face(self) -> Face:
        if self._faces:
            return self._faces[0]
        geometry = self._open_engine().embedder.geometry
        return Face(Box(0, 0, geometry.size_px, geometry.size_px), geometry.landmarks, 1.0)

    def _chips(self, count: int) -> list[Image]:
        geometry = self._open_engine().embedder.geometry
        if not self._faces:
            return _noise_chips(geometry, count)
        scene = self._scene()
        chips = [cut_chip(scene, face, geometry) for face in self._faces[:count]]
        return (chips * count)[:count]


def read_bench_picture(path: Path, widest_px: int) -> Image:
    """Return a picture as (height, width, 3) uint8 BGR, reduced to `widest_px`. Raises SettingsWrong."""
    hint = "a JPEG or PNG of the room as the camera sees it"
    try:
        size_bytes = path.stat().st_size
        data = np.fromfile(path, dtype=np.uint8) if 0 < size_bytes <= _LARGEST_PICTURE_BYTES else None
    except OSError as exc:
        raise SettingsWrong(f"{path} cannot be read: {exc.strerror}", hint=hint) from exc
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data is not None else None
    except cv2.error:
        image = None
    if image is None:
        raise SettingsWrong(f"{path} is no picture that can be read", hint=hint)
    shrink = min(1.0, widest_px / image.shape[1])
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.asarray(image, dtype=np.uint8)


def empty_room(size_px: tuple[int, int]) -> Image:
    """Return a made-up classroom without people: walls, a window, desks. The same size gives the same picture."""
    width, height = size_px
    rows = np.linspace(200, 120, height, dtype=np.float32)[:, None, None]
    room = np.broadcast_to(rows, (height, width, 3)).astype(np.uint8)
    random = np.random.default_rng(_SEED)
    for left, top, wide, high in random.uniform(0.02, 0.4, (24, 4)) * (2.2, 2.2, 0.5, 0.4):
        colour = tuple(int(value) for value in random.integers(40, 230, 3))
        corner = (int(left * width), int(top * height))
        cv2.rectangle(room, corner, (corner[0] + int(wide * width), corner[1] + int(high * height)), colour, -1)
    return room


def _noise_chips(geometry: ChipGeometry, count: int) -> list[Image]:
    random = np.random.default_rng(_SEED)
    return list(random.integers(0, 256, (count, geometry.size_px, geometry.size_px, 3), dtype=np.uint8))


def _gallery(engine: Engine, count: int) -> Gallery:
    """Return a gallery of made-up students; built directly, because 10,000 templates one by one take seconds."""
    vectors = np.random.default_rng(_SEED).standard_normal((count, engine.embedder.dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = tuple(f"{number:08d}" for number in range(count))
    return Gallery(engine.embedder.pack_id, engine.embedder.dimensions, ids, vectors)


def _age_s() -> float:
    """Return how long ago this process was started."""
    # After the name, which may hold spaces and brackets, the 20th field is the start in ticks since boot.
    ticks = int(Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
