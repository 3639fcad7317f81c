"""The files a pack is built from: where installed packages keep them and what they must hash to."""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from recognition.core.errors import PackAltered, PackMissing


@dataclass(frozen=True, slots=True)
class PinnedInput:
    """A file inside an installed package."""

    package: str
    distribution: str
    path: str
    sha256: str
    licence: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]

    @property
    def origin(self) -> str:
        """Where it comes from, for a person."""
        return f"{self.distribution} on PyPI, {self.package}/{self.path}"


DLIB_NETWORK = PinnedInput(
    package="face_recognition_models",
    distribution="face-recognition-models 0.3.0",
    path="models/dlib_face_recognition_resnet_model_v1.dat",
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    licence="CC0-1.0 (Davis King, github.com/davisking/dlib-models)",
)


DLIB_LANDMARKS = PinnedInput(
    package="face_recognition_models",
    distribution="face-recognition-models 0.3.0",
    path="models/shape_predictor_5_face_landmarks.dat",
    sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    licence="CC0-1.0 (Davis King, github.com/davisking/dlib-models)",
)
"""Only for the reference: dlib's own five points, from which dlib cuts its own chips."""


def _mtcnn(file: str, sha256: str) -> PinnedInput:
    return PinnedInput(
        package="mtcnn",
        distribution="mtcnn 1.0.0",
        path=f"assets/weights/{file}",
        sha256=sha256,
        licence="MIT (Ivan de Paz Centeno, github.com/ipazc/mtcnn)",
    )


MTCNN_NETWORKS = {
    "propose": _mtcnn("pnet.lz4", "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5"),
    "refine": _mtcnn("rnet.lz4", "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee"),
    "place": _mtcnn("onet.lz4", "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3"),
}


def read_input(source: PinnedInput) -> bytes:
    """Return the verified content. Raises PackMissing when it is not installed, PackAltered when it is another file."""
    return _read(source)[1]


def verified_path(source: PinnedInput) -> Path:
    """Return where the file is, for a library that opens its files itself. Raises as `read_input` does."""
    return _read(source)[0]


def _read(source: PinnedInput) -> tuple[Path, bytes]:
    # Located, never imported: face_recognition_models needs pkg_resources to import, which Python 3.12 does not bring.
    spec = find_spec(source.package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    hint = f"it comes from {source.origin}; install the project's `models` extra"
    if not folders:
        raise PackMissing(f"the package {source.package}, which carries {source.name}, is not installed", hint=hint)
    path = Path(folders[0]) / source.path
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise PackMissing(f"{path} cannot be read: {exc.strerror}", hint=hint) from exc
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise PackAltered(f"{path} has SHA-256 {found}, expected {source.sha256}", hint=hint)
    return path, content
