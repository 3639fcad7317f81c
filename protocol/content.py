"""What a unit fetches by hash: its gallery, its timetable, its model pack. The signed head says which.

Every piece of a gallery is sealed for one unit (`protocol.sealing`) and named by the SHA-256 of its sealed bytes. The
manifest is the truth: what it does not list is deleted, every step can be repeated. A pack holds nothing personal and
travels as it is, named by the SHA-256 of its list of files.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, model_validator

from protocol.base import (
    MAX_PART_BYTES,
    Envelope,
    Message,
    PackId,
    Sha256,
    Site,
    UnitId,
    UnknownReadAs,
    Utc,
    Uuid,
    Word,
    is_word,
)

MAX_PARTS = 2048
MAX_CONTENT_BYTES = MAX_PARTS * MAX_PART_BYTES
PACK_PARTS_AT_ONCE = 4
"""Parts of a pack that answer one want, and after which a unit asks for more: attendance and galleries share the line.
"""
ContentKind = Literal["manifest", "template", "timetable", "pack", "pack_file"]
"""`pack` is the list of a pack's files, `pack_file` one of them."""
Scope = Annotated[Literal["room", "wider"], UnknownReadAs("wider")]


class HeadBody(Message):
    """Which gallery and timetable a unit should have. Small, because it is retained by the broker."""

    site: Site
    unit_id: UnitId
    revision: Annotated[int, Field(ge=1)]
    manifest_hash: Sha256
    manifest_bytes: Annotated[int, Field(ge=1, le=MAX_CONTENT_BYTES)]
    pack_id: PackId
    operating_points: dict[str, Any] | None = None
    """As `recognition.core.calibration` writes and reads them: those of the room's students, and under "wider" those of
    the others (`ManifestEntry.scope`), when there are any."""
    timetable_hash: Sha256 | None = None
    timetable_bytes: Annotated[int, Field(ge=1, le=MAX_PART_BYTES)] | None = None
    generation: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Higher: the revisions were counted anew, because a person at the hub said so (`--reset`).

    Heads are ordered by generation, then revision, and a unit never goes back: so a reset cannot be replayed.
    """
    pack_hash: Sha256 | None = None
    """Names the list of files of `pack_id`, for a unit that has another pack or none."""
    pack_bytes: Annotated[int, Field(ge=1, le=MAX_PART_BYTES)] | None = None
    """Length of that list."""


class Head(Envelope):
    """The body as text with the hub's signature over exactly these bytes.

    Text and not an object: a reader that drops unknown fields could not check the signature of a newer writer.
    """

    body: Annotated[str, Field(max_length=MAX_PART_BYTES)]
    signature: Annotated[bytes, Field(min_length=64, max_length=64)]


class ManifestEntry(Message):
    """One student of a gallery."""

    student_id: Uuid
    display_name: Annotated[str, Field(max_length=200)]
    """`<serial>_<name>`, for the unit's CSV and for marks by hand."""
    template_hash: Sha256 | None = None
    """None: expected in the room without a template (no consent, or not enrolled): can be marked by a person only."""
    template_bytes: Annotated[int, Field(ge=1, le=MAX_PART_BYTES)] | None = None
    scope: Scope = "room"
    """`wider`: not expected in this room. Whoever looks like one of them is for a person to look at, never present."""
    extra_margin: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    """By how much more than the operating point's margin this student must lead the next one (a cosine), because people
    rejected sightings of them: below that a person is asked. None: no more than anybody. From minor version 1 on; a
    unit of before asks for no more than the operating point."""


class GalleryManifest(Message):
    """Everything a unit may know of its students, in one list."""

    unit_id: UnitId
    revision: Annotated[int, Field(ge=1)]
    pack_id: PackId
    entries: tuple[ManifestEntry, ...]
    look_alikes: tuple[tuple[Uuid, Uuid], ...] = ()

    @model_validator(mode="after")
    def _each_student_once(self) -> "GalleryManifest":
        if len({entry.student_id for entry in self.entries}) != len(self.entries):
            raise ValueError("a student is listed twice")
        return self


class TemplateBlob(Message):
    """One student's templates of one pack: `vectors` is float32 little-endian, `count` rows of `dimensions`."""

    student_id: Uuid
    pack_id: PackId
    dimensions: Annotated[int, Field(ge=1, le=4096)]
    count: Annotated[int, Field(ge=1, le=64)]
    vectors: bytes

    @model_validator(mode="after")
    def _size_fits(self) -> "TemplateBlob":
        if len(self.vectors) != self.count * self.dimensions * 4:
            raise ValueError("the vectors do not have the stated size")
        return self


class TimetableLesson(Message):
    """A lesson in the unit's room."""

    lesson_id: Uuid
    starts_at: Utc
    ends_at: Utc
    label: Annotated[str, Field(max_length=100)] = ""


class Timetable(Message):
    """The coming lessons of a unit's room."""

    unit_id: UnitId
    lessons: tuple[TimetableLesson, ...]


class PackFile(Message):
    """One file of a model pack."""

    path: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
    """A plain name: a pack is one folder, and no name can lead out of it."""
    sha256: Sha256
    bytes: Annotated[int, Field(ge=1, le=MAX_CONTENT_BYTES)]


class PackList(Message):
    """Every file of a model pack, its `manifest.json` included."""

    pack_id: PackId
    files: Annotated[tuple[PackFile, ...], Field(min_length=1, max_length=64)]

    @model_validator(mode="after")
    def _each_file_once(self) -> "PackList":
        if len({file.path for file in self.files}) != len(self.files):
            raise ValueError("a file is listed twice")
        return self


class Wanted(Message):
    """One piece of content, from part `from_part` on."""

    kind: ContentKind
    hash: Sha256
    from_part: Annotated[int, Field(ge=0, le=MAX_PARTS)] = 0


def _of_known_kinds(items: Any, info: ValidationInfo) -> Any:
    if info.mode != "json" or not isinstance(items, list):
        return items
    return [item for item in items if not (isinstance(item, dict) and _is_newer(item.get("kind")))]


def _is_newer(kind: object) -> bool:
    return is_word(kind) and kind not in get_args(ContentKind)


class Want(Envelope):
    """A unit asks for content it lacks. What is of a kind the hub does not know gets no answer; the rest does."""

    items: Annotated[tuple[Wanted, ...], Field(min_length=1, max_length=64), BeforeValidator(_of_known_kinds)]


class Part(Envelope):
    """A piece of content, or the news that the hub does not have it (`missing`: read the head again)."""

    kind: ContentKind
    hash: Sha256
    index: Annotated[int, Field(ge=0, lt=MAX_PARTS)] = 0
    count: Annotated[int, Field(ge=1, le=MAX_PARTS)] = 1
    data: Annotated[bytes, Field(max_length=MAX_PART_BYTES)] = b""
    missing: bool = False

    @model_validator(mode="after")
    def _index_in_count(self) -> "Part":
        if self.index >= self.count:
            raise ValueError("index is not below count")
        return self


class Applied(Envelope):
    """The unit's receipt for a gallery: what it has now and whom it erased for it."""

    revision: Annotated[int, Field(ge=0)]
    generation: Annotated[int, Field(ge=0, lt=2**31)] = 0
    manifest_hash: Sha256 | None = None
    students: Annotated[int, Field(ge=0)] = 0
    erased: Annotated[tuple[Uuid, ...], Field(max_length=2000)] = ()
    problem: Word | None = None
    """Why the revision named in the head was not applied; `revision` is then the one still in use."""
    detail: Annotated[str, Field(max_length=200)] = ""
    at: Utc
