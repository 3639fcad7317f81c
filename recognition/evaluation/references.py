"""Other ways to a vector, measured in the same run: dlib's own network on its own chips, and models run by DeepFace."""

from pathlib import Path
from typing import Literal

from recognition.adapters.chips_opencv import cut_chip
from recognition.core.face import Face, Image, Vector
from recognition.core.ports import FaceEmbedder
from recognition.evaluation.faces import Reference

ReferenceName = Literal["dlib", "deepface"]
REFERENCES: tuple[ReferenceName, ...] = ("dlib", "deepface")


class DlibReference:
    """dlib itself: landmarks, chip and network are its own; only the box comes from our detector."""

    name = "dlib"

    def __init__(self) -> None:
        """Raises PackMissing or another PackError when dlib or its files are not there."""
        from recognition.build.dlib_embedder import DlibEmbedder

        self._embedder = DlibEmbedder()

    @property
    def key(self) -> str:
        """See Reference."""
        return f"{self._embedder.pack_id}:own-chips"

    def vector(self, image: Image, face: Face) -> Vector | None:
        """See Reference."""
        try:
            chip = self._embedder.own_chips(image, face.box)
        except ValueError:
            return None
        vector: Vector = self._embedder.embed([chip])[0]
        return vector


class AlignedReference:
    """An uncompiled embedder on our own aligned chips."""

    def __init__(self, name: str, embedder: FaceEmbedder) -> None:
        self.name = name
        self._embedder = embedder

    @property
    def key(self) -> str:
        """See Reference."""
        return f"{self._embedder.pack_id}:{self._embedder.geometry.size_px}"

    def vector(self, image: Image, face: Face) -> Vector | None:
        """See Reference."""
        try:
            chip = cut_chip(image, face, self._embedder.geometry)
        except ValueError:
            return None
        vector: Vector = self._embedder.embed([chip])[0]
        return vector


def open_reference(name: ReferenceName, pack_name: str, weights_home: Path | None = None) -> Reference:
    """Open a reference for a pack called `pack_name`: DeepFace's model of the same name, or dlib.

    Raises PackError with a hint when its library or weights are not on this machine.
    """
    if name == "dlib":
        return DlibReference()
    from recognition.build.deepface_embedder import DeepFaceEmbedder

    model = {"facenet": "Facenet", "facenet512": "Facenet512"}.get(pack_name, "Dlib")
    return AlignedReference(f"deepface-{model.lower()}", DeepFaceEmbedder(model, weights_home))
