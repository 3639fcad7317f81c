"""The hub's model pack, opened when the first picture has to be looked at."""

from pathlib import Path

from hub.core.enrolment_faces import FoundFace
from hub.core.enrolment_gallery import Limits
from recognition.adapters.analysis import FaceAnalyser, open_engine
from recognition.adapters.pack_files import Pack, read_pack
from recognition.adapters.pictures import PictureLimits, decode_picture
from recognition.core.calibration import point_once
from recognition.core.quality import QualityLimits

OWN_PICTURES_FAR = 0.01
"""One stranger in a hundred may pass for another picture of the student. It only has to catch a wrong file, and a
stricter limit would refuse pictures taken years apart."""


class PackFaces:
    """A `FaceSource` over a model pack. One instance belongs to one thread."""

    def __init__(self, pack_folder: Path, *, smallest_face_px: int, fpir: float, threads: int = 2) -> None:
        self._folder = pack_folder
        self._smallest_face_px = smallest_face_px
        self._fpir = fpir
        self._threads = threads
        self._pictures = PictureLimits()
        self._pack: Pack | None = None
        self._analyser: FaceAnalyser | None = None

    @property
    def pack_id(self) -> str:
        """See FaceSource. Raises PackError."""
        return self._read().pack_id

    @property
    def dimensions(self) -> int:
        """See FaceSource. Raises PackError."""
        return self._read().dimensions

    def limits(self, gallery_size: int) -> Limits:
        """See FaceSource: the pack's own statistics for the school's rate of wrong identifications.

        For a pack without statistics, what its makers publish: a warning that may come too often, and no record.
        """
        statistics = self._read().statistics
        if statistics is None:
            return Limits(anybody=self._read().same_person_floor, own=self._read().same_person_floor)
        anybody = point_once(statistics, gallery_size, self._fpir).threshold
        own = point_once(statistics, 1, OWN_PICTURES_FAR).threshold
        return Limits(anybody=anybody, own=own)

    @property
    def max_picture_bytes(self) -> int:
        """See FaceSource."""
        return self._pictures.max_bytes

    def face_of(self, content: bytes, name: str) -> FoundFace:
        """See FaceSource."""
        face = self._open().one_good_face(decode_picture(content, self._pictures, name=name))
        return FoundFace(face.vector, face.quality.face_px)

    def _read(self) -> Pack:
        if self._pack is None:
            self._pack = read_pack(self._folder)
        return self._pack

    def _open(self) -> FaceAnalyser:
        if self._analyser is None:
            engine = open_engine(self._folder, smallest_face_px=self._smallest_face_px, threads=self._threads)
            limits = QualityLimits(min_face_px=float(self._smallest_face_px))
            self._analyser = FaceAnalyser(engine, limits)
        return self._analyser
