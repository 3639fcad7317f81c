"""One evaluation from pictures to figures: what `rollcall-hub evaluate` runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recognition.adapters.analysis import Engine
from recognition.core.quality import QualityLimits
from recognition.evaluation.calibration_check import CalibrationRow
from recognition.evaluation.dataset import DataSet
from recognition.evaluation.distances import Reach, reach
from recognition.evaluation.faces import PictureReader, Reference
from recognition.evaluation.figures import (
    Band,
    Choices,
    calibration,
    looks_of,
    open_set,
    quality_bands,
    searches_of,
    verification,
)
from recognition.evaluation.identification import OpenSetRow, rank_rates, sweep, threshold_at
from recognition.evaluation.material import (
    Captures,
    Material,
    Pictures,
    Watcher,
    captures_of,
    look_at_everybody,
    material_of,
    reference_material,
)
from recognition.evaluation.operating import GroupRow, OperatingRow, group_rows, operating_row
from recognition.evaluation.original import OriginalRow, RawVectors, is_applicable, original_rows
from recognition.evaluation.resampling import Weights, draw_weights
from recognition.evaluation.resume import Memory
from recognition.evaluation.tracks import templates
from recognition.evaluation.verification import VerificationResult
from recognition.evaluation.worse import WorseJudge, WorsePictures, WorseRow, smallest_face_px

RANKS = (1, 2, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class RankRow:
    """Share of searches in the largest gallery found within a rank; at the run's threshold, or without any."""

    k: int
    rank: int
    tpir: float
    without_threshold: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """TPIR and FPIR over all thresholds in the gallery of everybody: (threshold, TPIR, FPIR)."""

    k: int
    points: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """What another way to vectors reaches with the same faces in the same run."""

    name: str
    open_set: tuple[OpenSetRow, ...]
    verification: dict[str, VerificationResult]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of a run. Holds no names, vectors or pictures."""

    pack_id: str
    people: int
    strangers: int
    images: int
    choices: Choices
    captures: Captures
    open_set: tuple[OpenSetRow, ...]
    one_image: tuple[OpenSetRow, ...]
    ranks: tuple[RankRow, ...]
    sweeps: tuple[Sweep, ...]
    verification: dict[str, VerificationResult]
    bands: tuple[Band, ...]
    operating: tuple[OperatingRow, ...]
    groups: tuple[GroupRow, ...]
    calibration: tuple[CalibrationRow, ...]
    peers: tuple[PeerFigures, ...]
    original: tuple[OriginalRow, ...] | None
    worse: tuple[WorseRow, ...]
    smallest_face_px: int | None
    reaches: tuple[Reach, ...]

    @property
    def failing_groups(self) -> tuple[GroupRow, ...]:
        """The groups whose strangers are surely taken for somebody more often than promised."""
        return tuple(row for row in self.groups if row.fails)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What an evaluation works with.

    `context` names everything beside the embedder that decides what is seen: variant, detector and its files, version.
    """

    engine: Engine
    memory: Memory
    watcher: Watcher
    choices: Choices
    context: str
    references: Sequence[Reference] = ()


def evaluate(data_set: DataSet, run: Run) -> Evaluation:
    """Compute everything. What takes long (pictures) is remembered as it goes; figures are computed at the end.

    Raises EvaluationRefused when the pictures do not allow any figure, PackError from references.
    """
    choices, limits = run.choices, QualityLimits()
    pictures, copies = look_at_everybody(data_set, PictureReader(run.engine, run.memory, run.context), run.watcher)
    weights = draw_weights(choices.generator(0), pictures.strata)
    material = material_of(pictures, run.engine.embedder.dimensions)
    peers = [_peer(pictures, reference, run, weights) for reference in run.references]
    original = _original(pictures, run)
    with run.watcher.stage("Computing the figures", 4) as step:
        rows = open_set(material, choices, choices.images, weights)
        step()
        single = open_set(material, choices, 1, weights)
        step()
        verified = {
            kind: result for kind, (_, result) in verification(material, choices, choices.images, weights).items()
        }
        step()
        checked = calibration(material, choices, _margin(run.engine))
        step()
    searches = searches_of(material, len(data_set.enrolled), 1, choices.images, choices)
    threshold = threshold_at(searches.non_mated.best, choices.target_fpir)
    worse = _worse(pictures, material, run, threshold, weights) if choices.worse_pictures else []
    smallest = smallest_face_px(worse)
    widths = sorted({round(row.level) for row in worse if row.condition == "face width"})
    return Evaluation(
        pack_id=run.engine.pack.pack_id,
        people=len(data_set.enrolled),
        strangers=len(data_set.strangers),
        images=min(choices.images, max(len(person.enrol) for person in data_set.enrolled)),
        choices=choices,
        captures=captures_of(pictures, copies, limits),
        open_set=tuple(rows),
        one_image=tuple(single),
        ranks=_ranks(material, choices),
        sweeps=_sweeps(material, choices),
        verification=verified,
        bands=tuple(quality_bands(pictures, searches, threshold, limits, weights)),
        operating=tuple(_operating(material, run, weights)),
        groups=tuple(_groups(pictures, material, run, weights)),
        calibration=tuple(checked),
        peers=tuple(peers),
        original=original,
        worse=tuple(worse),
        smallest_face_px=smallest,
        reaches=tuple(reach(width) for width in widths),
    )


def _peer(pictures: Pictures, reference: Reference, run: Run, weights: Weights) -> PeerFigures:
    material = reference_material(pictures, reference, run.memory, run.watcher)
    found = verification(material, run.choices, run.choices.images, weights)
    return PeerFigures(
        reference.name,
        tuple(open_set(material, run.choices, run.choices.images, weights)),
        {kind: result for kind, (_, result) in found.items()},
    )


def _original(pictures: Pictures, run: Run) -> tuple[OriginalRow, ...] | None:
    pack = run.engine.pack
    if not is_applicable(pack.manifest.name):
        return None
    raw = RawVectors(pack, run.engine.embedder.geometry)
    return tuple(original_rows(reference_material(pictures, raw, run.memory, run.watcher)))


def _margin(engine: Engine) -> float:
    statistics = engine.pack.statistics
    return 0.0 if statistics is None else min(row.margin for row in statistics.strangers)


def _worse(pictures: Pictures, material: Material, run: Run, threshold: float, weights: Weights) -> list[WorseRow]:
    centroids = templates(material.enrolled, run.choices.images, material.dimensions)
    maker = WorsePictures(pictures, run.engine.embedder, run.memory, run.watcher, run.context)
    return maker.rows(WorseJudge(centroids, threshold, weights), run.choices.generator(9))


def _ranks(material: Material, choices: Choices) -> tuple[RankRow, ...]:
    rows: list[RankRow] = []
    people = len(material.enrolled)
    for samples in choices.samples:
        searches = searches_of(material, people, samples, choices.images, choices)
        if len(searches.mated.person) and len(searches.non_mated.person):
            threshold = threshold_at(searches.non_mated.best, choices.target_fpir)
            above = rank_rates(searches.mated, threshold, RANKS)
            without = rank_rates(searches.mated, -np.inf, RANKS)
            pairs = zip(above, without, strict=True)
            rows += [RankRow(samples, rank, tpir, freely) for (rank, tpir), (_, freely) in pairs if rank <= people]
    return tuple(rows)


def _sweeps(material: Material, choices: Choices) -> tuple[Sweep, ...]:
    people = len(material.enrolled)
    found = [searches_of(material, people, samples, choices.images, choices) for samples in choices.samples]
    return tuple(
        Sweep(each.samples, tuple(sweep(each)))
        for each in found
        if len(each.mated.person) and len(each.non_mated.person)
    )


def _operating(material: Material, run: Run, weights: Weights) -> list[OperatingRow]:
    if run.engine.pack.statistics is None:
        return []
    rows = []
    for looks in run.choices.samples:
        tracks = looks_of(material, looks, run.choices.images)
        if tracks is not None:
            for fpir in run.choices.fpirs:
                points = run.engine.pack.operating_points(len(material.enrolled), fpir)
                rows.append(operating_row(tracks, points, weights))
    return rows


def _groups(pictures: Pictures, material: Material, run: Run, weights: Weights) -> list[GroupRow]:
    groups = [person.group for person in pictures.data_set.everybody]
    tracks = looks_of(material, 1, run.choices.images)
    if tracks is None or run.engine.pack.statistics is None or not any(groups):
        return []
    points = run.engine.pack.operating_points(len(material.enrolled), run.choices.target_fpir)
    return group_rows(tracks, points, groups, weights)
