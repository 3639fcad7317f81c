"""Who takes part in a run, and what every part of it works with."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.bench.figures import Report
from deploy.bench.homes import deepface_home, models_file, pack_with_yunet, peers_python
from deploy.bench.rivals import Field, RivalLost, RivalPlan
from deploy.environment import PROJECT

DLIB_OPENCV = "DeepFace Dlib + opencv"
FACENET_OPENCV = "DeepFace Facenet + opencv"
DLIB_MTCNN = "DeepFace Dlib + mtcnn"
FACE_RECOGNITION = "face_recognition (HOG)"
DLIB = "dlib itself"
OTHER_DETECTORS = "other detectors"
DEEPFACE = {DLIB_OPENCV: ("Dlib", "opencv"), FACENET_OPENCV: ("Facenet", "opencv"), DLIB_MTCNN: ("Dlib", "mtcnn")}
PEERS = (*DEEPFACE, FACE_RECOGNITION)

OURS_F32 = "Rollcall MTCNN f32"
OURS_INT8 = "Rollcall MTCNN int8"
OURS_YUNET_F32 = "Rollcall YuNet f32"
OURS_YUNET_INT8 = "Rollcall YuNet int8"
OURS = {
    OURS_F32: ("mtcnn", "f32"),
    OURS_INT8: ("mtcnn", "int8"),
    OURS_YUNET_F32: ("yunet", "f32"),
    OURS_YUNET_INT8: ("yunet", "int8"),
}
THREADS = "2"

_LIKE_A_UNIT = {"OPENBLAS_NUM_THREADS": "1"}
"""What `rollcall-edge` sets for itself before NumPy is imported. The others run as their users run them."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How often things are measured."""

    rounds_720: int = 4
    rounds: int = 2
    own_repeats: int = 3
    clip_passes_720: int = 3
    clip_passes: int = 2
    peers_every: int = 16
    """The slow ones see every so manieth frame of a clip, another one in each pass."""
    arrivals: int = 200
    starts: int = 5
    memory_s: float = 12.0
    chips_repeats: int = 4
    ingest_events: int = 300_000
    """Committed to find a rate."""
    backlog_batches: int = 10
    """Batches of 100 events that each unit of a fleet had waiting."""
    fleet_units: int = 1000
    edge_commits: int = 2000
    register_students: int = 1200
    register_days: int = 60
    """School days of a term, each of six lessons."""
    register_repeats: int = 20


QUICK = Effort(
    rounds_720=1,
    rounds=1,
    own_repeats=1,
    clip_passes_720=1,
    clip_passes=1,
    peers_every=52,
    arrivals=5,
    starts=1,
    memory_s=4.0,
    chips_repeats=1,
    ingest_events=4_000,
    backlog_batches=2,
    fleet_units=40,
    edge_commits=50,
    register_students=60,
    register_days=2,
    register_repeats=3,
)


@dataclass(slots=True)
class Contest:
    """One run: who takes part, what is known so far, where things lie."""

    pack: Path
    shared: Path
    effort: Effort
    report: Report
    say: Callable[[str], None]
    scratch: Path
    """The folder of this run's frames and clips; whoever starts the run empties it."""
    home: Path = PROJECT / "build" / "bench"
    field: Field = field(default_factory=Field)
    facenet_is_random: bool = False

    def bring(self, names: Sequence[str]) -> None:
        """Start these rivals, as far as they are not running and can run."""
        plans = []
        for name in names:
            if self.field.named(name) or name in self.field.absent:
                continue
            try:
                plans.append(self._plan(name))
            except RivalLost as exc:
                self.field.absent[name] = str(exc)
        if plans:
            self.say(f"starting {', '.join(plan.name for plan in plans)}")
            self.field.bring(plans, self.home / "logs")

    def own_names(self) -> list[str]:
        """Return which of our variants are present."""
        return [name for name in OURS if self.field.named(name)]

    def _plan(self, name: str) -> RivalPlan:
        if name in OURS:
            return self._own_plan(name)
        if name in DEEPFACE:
            home, self.facenet_is_random = deepface_home(self.home / "deepface", self.say)
            variables = {"DEEPFACE_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
            return RivalPlan(name, "deploy.bench.rival_deepface", DEEPFACE[name], variables=variables)
        if name == FACE_RECOGNITION:
            python = peers_python(PROJECT / "build" / "peers-venv", self.say)
            return RivalPlan(name, "deploy.bench.rival_face_recognition", python=python)
        if name == DLIB:
            weights = str(models_file("dlib_face_recognition_resnet_model_v1.dat"))
            return RivalPlan(name, "deploy.bench.rival_dlib", (weights,))
        return RivalPlan(name, "deploy.bench.rival_detectors", variables={"TF_CPP_MIN_LOG_LEVEL": "3"})

    def _own_plan(self, name: str) -> RivalPlan:
        detector, variant = OURS[name]
        pack = (
            self.pack if detector == "mtcnn" else pack_with_yunet(self.pack, self.shared, self.scratch / "pack-yunet")
        )
        arguments = (str(pack), detector, variant, THREADS)
        return RivalPlan(name, "deploy.bench.rival_ours", arguments, variables=_LIKE_A_UNIT)


@contextmanager
def file_in(folder: Path, name: str) -> Iterator[Path]:
    """Give a path in `folder` and delete what lies there afterwards: frames are large."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
