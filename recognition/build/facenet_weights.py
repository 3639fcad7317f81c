"""DeepFace's two FaceNet models: where their weights come from and what they must hash to."""

import os
from dataclasses import dataclass
from pathlib import Path

from recognition.adapters.pack_files import sha256_of
from recognition.build.build_errors import stopped_by
from recognition.build.downloads import OnBytes, Patience, RemoteFile, fetch
from recognition.core.errors import PackAltered, PackMissing

_RELEASES = "https://github.com/serengil/deepface_models/releases/download/v1.0"
CHIP_PX = 160


@dataclass(frozen=True, slots=True)
class FacenetModel:
    """One of the models. `same_person_cosine` is DeepFace's own threshold for it, 1 minus its cosine distance."""

    name: str
    deepface_name: str
    dimensions: int
    file: str
    sha256: str
    size_bytes: int
    same_person_cosine: float

    @property
    def url(self) -> str:
        """The address DeepFace itself downloads from."""
        return f"{_RELEASES}/{self.file}"

    @property
    def origin(self) -> str:
        """Where the weights come from, for a person."""
        return f"{self.file}, weights that DeepFace 0.0.101 names for {self.deepface_name}, {self.url}"


FACENETS = {
    # DeepFace publishes no checksums. These stand, alike, in several projects that have nothing to do with one another
    # and that took them from the address above: as Git LFS pointers, in build files, in notes on provenance.
    model.name: model
    for model in (
        FacenetModel(
            name="facenet",
            deepface_name="Facenet",
            dimensions=128,
            file="facenet_weights.h5",
            sha256="90659cc97bfda5999120f95d8e122f4d262cca11715a21e59ba024bcce816d5c",
            size_bytes=92_190_816,
            same_person_cosine=0.60,
        ),
        FacenetModel(
            name="facenet512",
            deepface_name="Facenet512",
            dimensions=512,
            file="facenet512_weights.h5",
            sha256="3f76b5117a9ca574d536af8199e6720089eb4ad3dc7e93534496d88265de864f",
            size_bytes=94_955_648,
            same_person_cosine=0.70,
        ),
    )
}
LICENCE = (
    "MIT, as DeepFace (github.com/serengil/deepface_models) publishes them; trained on photographs collected from the "
    "Internet, whose own terms may be narrower"
)


def deepface_home() -> Path:
    """Return the folder above DeepFace's `.deepface/weights`: its own rule, because asking it starts TensorFlow."""
    return Path(os.getenv("DEEPFACE_HOME", Path.home()))  # noqa: TID251 - DeepFace's own variable


def find_weights(
    model: FacenetModel,
    folder: Path | None,
    downloads: Path,
    vouched: frozenset[str] = frozenset(),
    on_bytes: OnBytes = lambda _done, _total: None,
    patience: Patience | None = None,
) -> Path:
    """Return the model's weights, with a checksum that is pinned here or `vouched` for by the operator.

    From `folder` when it is given, and then nothing is downloaded; else from where DeepFace keeps its own, else from
    DeepFace's address into `downloads`. Raises PackMissing, PackAltered, DownloadFailed, BuildStopped.
    """
    accepted = vouched | {model.sha256}
    if folder is not None:
        return _in_folder(model, folder, accepted)
    own = deepface_home() / ".deepface" / "weights" / model.file
    if own.is_file() and own.stat().st_size and sha256_of(own) in accepted:
        return own
    source = RemoteFile(
        name=model.file,
        url=model.url,
        sha256=accepted,
        size_bytes=None if vouched else model.size_bytes,
        if_not="fetch it on another computer, bring it in a folder and name that with --weights",
    )
    return fetch(source, downloads, on_bytes, patience)


def _in_folder(model: FacenetModel, folder: Path, accepted: frozenset[str]) -> Path:
    path = folder / model.file
    wanted = " or ".join(sorted(accepted))
    hint = f"it comes from {model.url} and has SHA-256 {wanted}"
    if not path.is_file():
        raise PackMissing(f"there is no {model.file} in {folder}", hint=hint)
    try:
        found = sha256_of(path)
    except OSError as exc:
        raise stopped_by(exc, folder) from exc
    if found not in accepted:
        raise PackAltered(
            f"{path} has SHA-256 {found}, expected {wanted}",
            hint=f"it comes from {model.url}; if you know that yours is right, say so with --sha256 {found}",
        )
    return path
