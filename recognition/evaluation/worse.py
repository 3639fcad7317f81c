"""How many people are still found, and how many strangers pass, when faces are small, blurred or badly encoded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.chips_opencv import cut_chip
from recognition.adapters.pictures import decode_picture
from recognition.core.face import Face, Image
from recognition.core.looking import probe_vectors
from recognition.core.ports import FaceEmbedder
from recognition.evaluation.bounds import Interval
from recognition.evaluation.conditions import (
    BLUR_SIGMAS_PX,
    FACE_WIDTHS_PX,
    VIDEO_CODECS,
    VIDEO_RATES_KBPS,
    Scene,
    WorseFace,
    blurred,
    clip,
    clip_key,
    codec_is_there,
    faces_per_clip,
    resized,
    scene,
)
from recognition.evaluation.faces import LAYOUT, SeenPicture, read_limited
from recognition.evaluation.material import Pictures, Watcher
from recognition.evaluation.resampling import Weights, share_interval
from recognition.evaluation.resume import Memory
from recognition.evaluation.searching import Tracks, search

MOST_PICTURES = 600
"""Pictures of each kind (looked for, strangers) that are made worse: beyond that only the time grows."""
NEAR_BEST = 0.02
"""How much TPIR may fall below that of the widest faces before a face counts as too small."""


_RECIPES: tuple[tuple[str, float, Callable[[Image, Face], WorseFace]], ...] = (
    *(("face width", float(width), partial(resized, face_px=width)) for width in FACE_WIDTHS_PX),
    *(("blur", sigma, partial(blurred, sigma_px=sigma)) for sigma in BLUR_SIGMAS_PX),
)


@dataclass(frozen=True, slots=True)
class WorseRow:
    """TPIR and FPIR at the run's own threshold for one picture, each picture with a face made worse in one way."""

    condition: str
    level: float
    detail: str
    tpir: float
    interval: Interval
    fpir_found: float
    mated_searches: int
    non_mated_searches: int


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    path: Path
    seen: SeenPicture
    face: Face
    person: int


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    condition: str
    level: float
    detail: str
    vectors: Sequence[NDArray[np.float32] | None]


@dataclass(frozen=True, slots=True, eq=False)
class WorsePictures:
    """Makes the pictures of one run worse and looks at them again. One instance belongs to one thread."""

    pictures: Pictures
    embedder: FaceEmbedder
    memory: Memory
    watcher: Watcher
    context: str
    """Names everything beside the embedder that decides the vectors."""

    def rows(self, judge: "WorseJudge", generator: np.random.Generator) -> list[WorseRow]:
        """Return the table."""
        subjects = self._subjects(generator)
        levels = [_Level("as it is", 0.0, "", [subject.seen.probe for subject in subjects])]
        with self.watcher.stage("Smaller and blurred faces", len(subjects)) as step:
            made = [self._remade(subject, step) for subject in subjects]
        for column, (condition, level, _) in enumerate(_RECIPES):
            levels.append(_Level(condition, level, "", [vectors[column] for vectors in made]))
        levels += self._video_levels(subjects)
        person = np.array([subject.person for subject in subjects], dtype=np.int64)
        return [judge.row(level, person) for level in levels]

    def _subjects(self, generator: np.random.Generator) -> list[_Subject]:
        everybody = list(zip(self.pictures.data_set.everybody, self.pictures.probes, strict=True))
        all_of_them = [
            _Subject(path, seen, seen.face, number)
            for number, (person, probes) in enumerate(everybody)
            for path, seen in zip(person.probes, probes, strict=True)
            if seen.face is not None
        ]
        enrolled = len(self.pictures.data_set.enrolled)
        kinds = [s for s in all_of_them if s.person < enrolled], [s for s in all_of_them if s.person >= enrolled]
        return [subject for kind in kinds for subject in _at_most(kind, MOST_PICTURES, generator)]

    def _remade(self, subject: _Subject, step: Callable[[], None]) -> NDArray[np.float32]:
        """Return the vectors (recipes, d) of one picture after each recipe."""
        recipes = ",".join(f"{condition} {level}" for condition, level, _ in _RECIPES)
        key = ("worse", LAYOUT, self.embedder.pack_id, self.context, subject.seen.sha256, recipes)
        known = self.memory.get(*key)
        if known is None:
            image = decode_picture(read_limited(subject.path))
            worse = [make(image, subject.face) for _, _, make in _RECIPES]
            known = {"vectors": self._embedded([(each.image, each.face) for each in worse])}
            self.memory.put(known, *key)
        step()
        return np.asarray(known["vectors"], dtype=np.float32)

    def _video_levels(self, subjects: Sequence[_Subject]) -> list[_Level]:
        settings = [(codec, rate) for codec in VIDEO_CODECS if codec_is_there(codec) for rate in VIDEO_RATES_KBPS]
        groups = [subjects[at : at + faces_per_clip()] for at in range(0, len(subjects), faces_per_clip())]
        vectors: dict[tuple[str, int], list[NDArray[np.float32]]] = {setting: [] for setting in settings}
        rates: dict[tuple[str, int], list[float]] = {setting: [] for setting in settings}
        with self.watcher.stage("Video at low bit rates", len(settings) * len(groups)) as step:
            for group in groups:
                # Drawn when the first clip of this group is not remembered, and once for all of them.
                drawn = cache(partial(self._scene, group))
                for setting in settings:
                    found, rate_bps = self._clip(group, drawn, *setting)
                    vectors[setting] += found
                    rates[setting].append(rate_bps)
                    step()
        return [
            _Level(f"video, {codec}", rate, f"{np.mean(rates[codec, rate]) / 1000:.0f} kbit/s", vectors[codec, rate])
            for codec, rate in settings
            if groups
        ]

    def _scene(self, group: Sequence[_Subject]) -> Scene:
        return scene([(decode_picture(read_limited(subject.path)), subject.face) for subject in group])

    def _clip(
        self, group: Sequence[_Subject], drawn: Callable[[], Scene], codec: str, rate_kbps: int
    ) -> tuple[list[NDArray[np.float32]], float]:
        shown = clip_key([subject.seen.sha256 for subject in group])
        key = ("clip", LAYOUT, self.embedder.pack_id, self.context, shown, codec, str(rate_kbps))
        known = self.memory.get(*key)
        if known is None:
            made = clip(drawn(), codec, rate_kbps)
            vectors = self._embedded([(made.frame, face) for face in drawn().faces])
            known = {"vectors": vectors, "rate_bps": np.array(made.rate_bps)}
            self.memory.put(known, *key)
        return list(np.asarray(known["vectors"], dtype=np.float32)), float(known["rate_bps"])

    def _embedded(self, faces: Sequence[tuple[Image, Face]]) -> NDArray[np.float32]:
        # One by one, as the pictures that the threshold comes from were looked at.
        looks = [probe_vectors(self.embedder, [cut_chip(image, face, self.embedder.geometry)]) for image, face in faces]
        return np.concatenate(looks) if looks else np.zeros((0, self.embedder.dimensions), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class WorseJudge:
    """Searches for worse pictures in the gallery of everybody in `centroids` (people, d), at one threshold."""

    centroids: NDArray[np.float32]
    threshold: float
    weights: Weights

    def row(self, level: _Level, person: NDArray[np.int64]) -> WorseRow:
        """Return what is found: `person` (n,) are those whom the level's vectors show."""
        nothing = np.full(self.centroids.shape[1], np.nan, dtype=np.float32)
        vectors = [nothing if vector is None else vector for vector in level.vectors]
        tracks = Tracks(np.stack(vectors) if vectors else np.zeros((0, len(nothing)), dtype=np.float32), person)
        people = np.arange(len(self.centroids), dtype=np.int64)
        searches = search(self.centroids, [people], tracks, tracks, 1)
        hits = searches.mated.hits(self.threshold)
        passed = searches.non_mated.accepted(self.threshold)
        return WorseRow(
            condition=level.condition,
            level=level.level,
            detail=level.detail,
            tpir=float(hits.mean()) if len(hits) else 0.0,
            interval=share_interval(hits, searches.mated.person, self.weights),
            fpir_found=float(passed.mean()) if len(passed) else 0.0,
            mated_searches=len(hits),
            non_mated_searches=len(passed),
        )


def smallest_face_px(rows: Sequence[WorseRow]) -> int | None:
    """Return the smallest face width from which on TPIR stays within NEAR_BEST of that of the widest faces."""
    widths = sorted((row for row in rows if row.condition == "face width"), key=lambda row: -row.level)
    smallest = None
    for row in widths:
        if row.tpir < widths[0].tpir - NEAR_BEST:
            break
        smallest = round(row.level)
    return smallest


def _at_most(subjects: Sequence[_Subject], most: int, generator: np.random.Generator) -> list[_Subject]:
    if len(subjects) <= most:
        return list(subjects)
    return [subjects[index] for index in np.sort(generator.choice(len(subjects), size=most, replace=False))]
