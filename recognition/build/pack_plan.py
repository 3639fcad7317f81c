"""What a pack is to be, known before anything is compiled: enough to say whether one that is there still is it."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from recognition.adapters.pack_files import EmbedderPart, PublishedPart, StatisticsPart, ViewPart
from recognition.build.chip_layouts import scaled_landmarks
from recognition.build.litert_convert import Precision
from recognition.build.reference_faces import ReferenceVectors
from recognition.core.calibration import ScoreStatistics
from recognition.core.face import View

VARIANTS: tuple[Precision, ...] = ("f32", "f16", "int8")

VIEWS = tuple(
    replace(view, mirrored=mirrored)
    # As it is, a little larger, and moved a little: what a detector does to the same face from picture to picture.
    for view in (View(), View(zoom=1.06), View(right_px=4), View(right_px=-4), View(down_px=4))
    for mirrored in (False, True)
)


@dataclass(frozen=True, slots=True)
class PackPlan:
    """The parts of a manifest that do not depend on the compiler."""

    name: str
    description: str
    origin: str
    """Of the embedder's weights, for a person."""
    licence: str
    weights_sha256: str
    dimensions: int
    chip_px: int
    inputs: tuple[tuple[str, str], ...]
    statistics: StatisticsPart | None
    published: PublishedPart | None = None
    remarks: tuple[str, ...] = ()

    @property
    def variants(self) -> dict[str, str]:
        """The embedder's files by precision."""
        return {variant: f"embedder-{variant}.tflite" for variant in VARIANTS}

    def embedder_part(self) -> EmbedderPart:
        """Return the manifest's part about the embedder."""
        return EmbedderPart(
            variants=self.variants,
            dimensions=self.dimensions,
            chip_px=self.chip_px,
            weights_sha256=self.weights_sha256,
            views=[ViewPart.model_validate(asdict(view)) for view in VIEWS],
            metric="cosine",
            landmarks=scaled_landmarks(self.chip_px),
        )


@dataclass(frozen=True, slots=True, eq=False)
class EmbedderSource:
    """A plan with what is compiled: a Keras model (n, chip_px, chip_px, 3) float32 BGR 0..255 -> (n, dimensions).

    `reference` holds what the model's makers' own code gives for the reference faces.
    """

    plan: PackPlan
    model: Any
    reference: ReferenceVectors


def statistics_part(statistics: ScoreStatistics) -> StatisticsPart:
    """Return measured statistics as the manifest holds them."""
    # Lists, as JSON has them: the manifest's parts take no tuples.
    strangers, genuine = ([asdict(row) for row in rows] for rows in (statistics.strangers, statistics.genuine))
    return StatisticsPart.model_validate({**asdict(statistics), "strangers": strangers, "genuine": genuine})
