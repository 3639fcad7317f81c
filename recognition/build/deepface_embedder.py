"""The reference path: a model run by DeepFace itself, uncompiled, behind the same port as a compiled pack."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.adapters.litert_embedder import check_chips, to_unit
from recognition.adapters.pack_files import sha256_of
from recognition.build.chip_layouts import chip_geometry
from recognition.build.facenet_weights import FACENETS, deepface_home
from recognition.build.pinned_inputs import DLIB_NETWORK
from recognition.core.errors import PackAltered, PackInvalid, PackMissing
from recognition.core.face import ChipGeometry, Image

_RELEASES = "https://github.com/serengil/deepface_models/releases/download/v1.0"


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Where DeepFace looks for a model's weights, where they come from and, where it is known, their SHA-256."""

    name: str
    url: str
    sha256: str | None = None


WEIGHTS = {
    "ArcFace": WeightsFile("arcface_weights.h5", f"{_RELEASES}/arcface_weights.h5"),
    "DeepID": WeightsFile("deepid_keras_weights.h5", f"{_RELEASES}/deepid_keras_weights.h5"),
    "Dlib": WeightsFile(
        DLIB_NETWORK.name,
        f"https://dlib.net/files/{DLIB_NETWORK.name}.bz2 (unpacked; also in the PyPI package face_recognition_models)",
        DLIB_NETWORK.sha256,
    ),
    **{model.deepface_name: WeightsFile(model.file, model.url, model.sha256) for model in FACENETS.values()},
    "OpenFace": WeightsFile("openface_weights.h5", f"{_RELEASES}/openface_weights.h5"),
    "VGG-Face": WeightsFile("vgg_face_weights.h5", f"{_RELEASES}/vgg_face_weights.h5"),
}
"""The models that can be the reference. DeepFace publishes no checksums: a hub that has another one passes it."""


class DeepFaceEmbedder:
    """A FaceEmbedder over a DeepFace model whose weights are already on this machine. One instance, one thread."""

    def __init__(
        self, model_name: str = "Facenet", weights_home: Path | None = None, *, expected_sha256: str | None = None
    ) -> None:
        """Load a model from `weights_home`/.deepface/weights/ (default: where DeepFace looks). Never downloads.

        Raises ValueError for a model that is not in WEIGHTS, PackMissing without its file or a library it needs,
        PackAltered when the file has another checksum, PackInvalid when DeepFace cannot load it.
        """
        if model_name not in WEIGHTS:
            raise ValueError(f"DeepFace model {model_name} is not known; known are {', '.join(sorted(WEIGHTS))}")
        weights = WEIGHTS[model_name]
        home = weights_home or deepface_home()
        checksum = _verified(home / ".deepface" / "weights" / weights.name, weights, expected_sha256)
        self._model = _load(model_name, home, weights)
        self._pack_id = f"deepface-{model_name.lower()}-{checksum[:12]}"
        size_px = int(self._model.input_shape[0])
        # The layout of dlib's chips, scaled: close to the margin these models were trained with, and the same eyes.
        self._geometry = chip_geometry("mtcnn", size_px)

    @property
    def pack_id(self) -> str:
        """See FaceEmbedder; made from the model's name and the checksum of its weights."""
        return self._pack_id

    @property
    def dimensions(self) -> int:
        """See FaceEmbedder."""
        return int(self._model.output_shape)

    @property
    def geometry(self) -> ChipGeometry:
        """See FaceEmbedder."""
        return self._geometry

    def embed(self, chips: Sequence[Image]) -> NDArray[np.float32]:
        """See FaceEmbedder."""
        check_chips(chips, self._geometry.size_px)
        if not chips:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        # As DeepFace hands faces to its models: blue-green-red, 0 to 1. One at a time: two would take another path.
        rows = [self._model.forward(chip[np.newaxis].astype(np.float32) / 255.0) for chip in chips]
        return to_unit(np.array(rows, dtype=np.float32).reshape(len(chips), self.dimensions))


def _verified(path: Path, weights: WeightsFile, expected_sha256: str | None) -> str:
    """Return the file's SHA-256."""
    try:
        found = sha256_of(path)
    except OSError as exc:
        raise PackMissing(
            f"the weights {weights.name} are not at {path}: {exc.strerror}",
            hint=f"get them from {weights.url} and put them there; nothing is downloaded on its own",
        ) from exc
    expected = expected_sha256 or weights.sha256
    if expected and found != expected:
        raise PackAltered(
            f"{path} has SHA-256 {found}, expected {expected}", hint=f"delete it and get it again from {weights.url}"
        )
    return found


def _load(model_name: str, home: Path, weights: WeightsFile) -> Any:
    try:
        from deepface.modules import modeling

        with _deepface_home(home):
            # Not build_model, which would hand out a model cached from another home.
            return modeling.get_model_class(task="facial_recognition", model_name=model_name)()
    except ImportError as exc:
        raise PackMissing(f"a library that DeepFace needs is not installed: {exc}", hint="`models` extra") from exc
    except (ValueError, OSError, RuntimeError) as exc:
        raise PackInvalid(f"DeepFace cannot load {weights.name}: {exc}", hint=f"get it from {weights.url}") from exc


@contextmanager
def _deepface_home(home: Path) -> Iterator[None]:
    """DeepFace takes its folder from the environment and from nowhere else."""
    before = os.environ.get("DEEPFACE_HOME")  # noqa: TID251
    os.environ["DEEPFACE_HOME"] = str(home)  # noqa: TID251
    try:
        yield
    finally:
        if before is None:
            del os.environ["DEEPFACE_HOME"]  # noqa: TID251
        else:
            os.environ["DEEPFACE_HOME"] = before  # noqa: TID251
