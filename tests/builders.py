"""Data for tests: stamps, events, lessons, and galleries as a hub would seal and sign them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from edge.core.frame import NS_PER_S
from edge.core.gallery_pieces import UnitIdentity
from protocol import sealing
from protocol.base import MAX_PART_BYTES, sha256_hex
from protocol.content import (
    PACK_PARTS_AT_ONCE,
    ContentKind,
    GalleryManifest,
    Head,
    HeadBody,
    ManifestEntry,
    PackFile,
    PackList,
    Part,
    Scope,
    TemplateBlob,
    Timetable,
    TimetableLesson,
    Want,
)
from protocol.events import Anchor, Candidate, ClockQuality, Coverage, Event, Left, Mark, Review, Seen, Stamp
from recognition.core.calibration import OperatingPoint, OperatingPoints
from tests.fakes import BOOT, MORNING

SITE = "hill-school"
UNIT = str(UUID(int=0x0117))
OTHER_UNIT = str(UUID(int=0x0118))
PACK = "painted-1"
DIMENSIONS = 16
POINTS = OperatingPoints(100, 0.01, ((1, OperatingPoint(threshold=0.6, margin=0.1)),))


def student(number: int) -> str:
    """Return the surrogate id of a made-up student."""
    return str(UUID(int=0x5000 + number))


def uid(number: int) -> str:
    """Return any other identifier."""
    return str(UUID(int=0xE000_0000 + number))


def stamp(at_s: float = 0.0, *, clock: ClockQuality = "synced", boot_id: str = BOOT) -> Stamp:
    """Return the moment `at_s` seconds after the morning began, on both clocks."""
    return Stamp(
        at=MORNING + timedelta(seconds=at_s),
        boot_id=boot_id,
        boottime_ns=1_000 * NS_PER_S + round(at_s * NS_PER_S),
        clock=clock,
    )


def lesson(number: int, starts_s: float, ends_s: float) -> TimetableLesson:
    """Return a lesson by its distance from the morning's beginning."""
    return TimetableLesson(
        lesson_id=str(UUID(int=0x1E5500 + number)),
        starts_at=MORNING + timedelta(seconds=starts_s),
        ends_at=MORNING + timedelta(seconds=ends_s),
        label=f"lesson {number}",
    )


def seen(number: int = 1, at_s: float = 0.0, *, event: int = 1, seq: int = 1) -> Seen:
    """Return the opening of a presence interval."""
    return Seen(
        **stamp(at_s).model_dump(),
        event_id=uid(event),
        seq=seq,
        student_id=student(number),
        score=0.75,
        margin=0.25,
        samples=3,
        gallery_revision=4,
        pack_id=PACK,
    )


def left(number: int = 1, at_s: float = 60.0, *, event: int = 2, interval: int = 1, seq: int = 2) -> Left:
    """Return the closing of a presence interval."""
    return Left(
        **stamp(at_s).model_dump(),
        event_id=uid(event),
        seq=seq,
        interval_id=uid(interval),
        student_id=student(number),
        dwell_s=60.0,
        cause="absence",
    )


def review(at_s: float = 0.0, *, event: int = 3, seq: int = 3) -> Review:
    """Return a question to a person."""
    return Review(
        **stamp(at_s).model_dump(),
        event_id=uid(event),
        seq=seq,
        candidates=(Candidate(student_id=student(1), score=0.7), Candidate(student_id=student(2), score=0.69)),
        reason="look_alike",
        samples=2,
        gallery_revision=4,
        pack_id=PACK,
    )


def mark(at_s: float = 0.0, *, event: int = 4, seq: int = 4) -> Mark:
    """Return a mark by a person at the unit."""
    return Mark(
        **stamp(at_s).model_dump(),
        event_id=uid(event),
        seq=seq,
        student_id=student(2),
        status="late",
        lesson_id=lesson(1, 0, 60).lesson_id,
        by="Zoë Ångström",
        note="Bus",
    )


def coverage(at_s: float = 60.0, *, event: int = 5, seq: int = 5) -> Coverage:
    """Return what a unit watched in a minute."""
    return Coverage(
        **stamp(at_s).model_dump(),
        event_id=uid(event),
        seq=seq,
        since=stamp(at_s - 60.0).at,
        watched_s=58.5,
        mode="door",
        gallery_revision=4,
        pack_id=PACK,
        students=25,
        tracks=7,
        unknown_faces=1,
        unusable_faces=2,
    )


def anchor(at_s: float = 0.0, *, event: int = 6, seq: int = 6) -> Anchor:
    """Return what a unit learned about the time."""
    return Anchor(
        **stamp(at_s, clock="unsynced").model_dump(),
        event_id=uid(event),
        seq=seq,
        utc=stamp(at_s + 3_600.0).at,
        source="welcome",
        error_ms=1000,
    )


def one_of_each() -> list[Event]:
    """Return an event of every kind, numbered 1 to 6."""
    return [seen(), left(), review(), mark(), coverage(), anchor()]


def unit_vector(*weights: float) -> NDArray[np.float32]:
    """Return the unit vector in the direction of these first components."""
    vector = np.zeros(DIMENSIONS, dtype=np.float64)
    vector[: len(weights)] = weights
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def face_of(number: int) -> NDArray[np.float32]:
    """Return the vector of a made-up person; those of two people are at right angles."""
    return unit_vector(*([0.0] * (number % DIMENSIONS)), 1.0)


@dataclass(frozen=True)
class PackOffer:
    """A model pack as a hub offers it: its files' bytes by their names."""

    pack_id: str
    files: Mapping[str, bytes]

    @property
    def listed(self) -> PackList:
        """The list of its files."""
        return PackList(
            pack_id=self.pack_id,
            files=tuple(
                PackFile(path=path, sha256=sha256_hex(data), bytes=len(data)) for path, data in self.files.items()
            ),
        )

    @property
    def list_bytes(self) -> bytes:
        """The list as it travels."""
        return self.listed.to_bytes()

    @property
    def list_hash(self) -> str:
        """What the head calls the list."""
        return sha256_hex(self.list_bytes)

    @property
    def content(self) -> dict[str, tuple[ContentKind, bytes]]:
        """(kind, bytes) by hash."""
        listed: dict[str, tuple[ContentKind, bytes]] = {self.list_hash: ("pack", self.list_bytes)}
        return listed | {sha256_hex(data): ("pack_file", data) for data in self.files.values()}


@dataclass(frozen=True)
class SealedGallery:
    """A gallery on the hub, ready to be fetched by one unit."""

    head: Head
    body: HeadBody
    manifest: GalleryManifest
    content: Mapping[str, tuple[ContentKind, bytes]]
    """(kind, sealed bytes) by hash."""

    def parts(self, want: Want, *, size: int = MAX_PART_BYTES) -> Iterator[Part]:
        """Return what a hub answers: every wanted piece from the wanted part on, or that it is missing.

        Of a pack's file only some parts, each of the usual size.
        """
        for item in want.items:
            kind, sealed = self.content.get(item.hash, (item.kind, b""))
            if not sealed:
                yield Part(kind=item.kind, hash=item.hash, missing=True)
                continue
            of_pack = kind in ("pack", "pack_file")
            length = MAX_PART_BYTES if of_pack else size
            pieces = [sealed[start : start + length] for start in range(0, len(sealed), length)]
            last = item.from_part + PACK_PARTS_AT_ONCE if of_pack else len(pieces)
            for index in range(item.from_part, min(last, len(pieces))):
                yield Part(kind=item.kind, hash=item.hash, index=index, count=len(pieces), data=pieces[index])


@dataclass(frozen=True)
class HubSide:
    """The hub's half of a gallery transfer: keys, seals and signatures."""

    site: str = SITE
    unit_id: str = UNIT
    pack_id: str = PACK
    data_key: bytes = b"d" * 32
    private_key: bytes = b"p" * 32
    points: Mapping[str, Any] | None = field(default_factory=POINTS.to_dict)

    @property
    def unit(self) -> UnitIdentity:
        """The unit that trusts this hub."""
        public_key = sealing.public_key_of(self.private_key)
        return UnitIdentity(self.site, self.unit_id, self.pack_id, self.data_key, public_key)

    def gallery(
        self,
        revision: int,
        faces: Mapping[int, Sequence[NDArray[np.float32]]],
        *,
        without_template: Sequence[int] = (),
        wider: Sequence[int] = (),
        extra_margins: Mapping[int, float] | None = None,
        lessons: Sequence[TimetableLesson] | None = None,
        look_alikes: Sequence[tuple[int, int]] = (),
        generation: int = 0,
        pack: PackOffer | None = None,
    ) -> SealedGallery:
        """Seal templates, list and timetable for the unit, and sign the head."""
        content: dict[str, tuple[ContentKind, bytes]] = {}

        def keep(kind: ContentKind, plain: bytes, context: tuple[str, ...]) -> tuple[str, int]:
            sealed = sealing.seal(self.data_key, plain, *context)
            content[sha256_hex(sealed)] = kind, sealed
            return sha256_hex(sealed), len(sealed)

        entries = [self._entry(number, None) for number in without_template]
        for number, vectors in faces.items():
            blob = self.blob(number, vectors)
            context = sealing.template_context(self.unit_id, student(number), self.pack_id)
            scope: Scope = "wider" if number in wider else "room"
            entry = self._entry(number, keep("template", blob.to_bytes(), context), scope)
            entries.append(entry.model_copy(update={"extra_margin": (extra_margins or {}).get(number)}))
        manifest = GalleryManifest(
            unit_id=self.unit_id,
            revision=revision,
            pack_id=self.pack_id,
            entries=tuple(entries),
            look_alikes=tuple((student(one), student(other)) for one, other in look_alikes),
        )
        manifest_hash, size = keep("manifest", manifest.to_bytes(), sealing.manifest_context(self.unit_id))
        timetable: tuple[str, int] | tuple[None, None] = None, None
        if lessons is not None:
            plain = Timetable(unit_id=self.unit_id, lessons=tuple(lessons)).to_bytes()
            timetable = keep("timetable", plain, sealing.timetable_context(self.unit_id))
        body = HeadBody(
            site=self.site,
            unit_id=self.unit_id,
            revision=revision,
            manifest_hash=manifest_hash,
            manifest_bytes=size,
            pack_id=self.pack_id,
            operating_points=dict(self.points) if self.points is not None else None,
            timetable_hash=timetable[0],
            timetable_bytes=timetable[1],
            generation=generation,
            pack_hash=pack.list_hash if pack else None,
            pack_bytes=len(pack.list_bytes) if pack else None,
        )
        return SealedGallery(self.sign(body), body, manifest, content | (pack.content if pack else {}))

    def sign(self, body: HeadBody) -> Head:
        """Return the signed head."""
        text = body.to_bytes().decode()
        return Head(body=text, signature=sealing.sign(self.private_key, text.encode()))

    def blob(self, number: int, vectors: Sequence[NDArray[np.float32]]) -> TemplateBlob:
        """Return one student's templates, not sealed."""
        rows = np.stack(list(vectors)).astype("<f4")
        return TemplateBlob(
            student_id=student(number),
            pack_id=self.pack_id,
            dimensions=rows.shape[1],
            count=rows.shape[0],
            vectors=rows.tobytes(),
        )

    @staticmethod
    def _entry(number: int, kept: tuple[str, int] | None, scope: Scope = "room") -> ManifestEntry:
        return ManifestEntry(
            student_id=student(number),
            display_name=f"{number:04d}_Student {number}",
            template_hash=kept[0] if kept else None,
            template_bytes=kept[1] if kept else None,
            scope=scope,
        )
