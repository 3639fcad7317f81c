"""What a unit is given: a manifest, one blob per student, a timetable, and the signed head that names them.

Equal facts give equal bytes: a unit that has a blob does not fetch it again, and content can be made anew on demand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from hub.core.student_margins import MarginRise
from protocol.base import MAX_PART_BYTES, sha256_hex
from protocol.codec import encode
from protocol.content import (
    GalleryManifest,
    Head,
    HeadBody,
    ManifestEntry,
    Scope,
    TemplateBlob,
    Timetable,
    TimetableLesson,
)
from protocol.sealing import OVERHEAD_BYTES, manifest_context, seal, sign, template_context, timetable_context

LESSONS_BEFORE = timedelta(days=14)
LESSONS_AHEAD = timedelta(days=120)
"""A student belongs to a room with a lesson there from 14 days ago to 120 days ahead: about this term."""

WrongRoomScope = Literal["none", "section", "school"]
"""Who else a unit may notice: nobody, the room's sections of other terms, or the whole school."""

TIMETABLE_AHEAD = timedelta(days=14)
_MAX_NAME = 200
_MAX_MEMBERS = 64
_FLOAT_BYTES = 4
_BLOB_ENVELOPE_BYTES = 400


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A student whose consent is in force, and who is expected in the room unless `scope` says otherwise."""

    student_id: str
    serial_number: str
    name: str
    dimensions: int = 0
    vectors: tuple[bytes, ...] = ()
    """Little-endian float32, newest first; none for a student without templates of the pack."""
    scope: Scope = "room"
    """`wider`: not expected in the room; given to the unit so that it can tell who is in the wrong room."""
    rejections: int = 0
    """How often people rejected sightings of them without naming anybody (`hub.core.student_margins`)."""


@dataclass(frozen=True, slots=True, eq=False)
class GalleryFacts:
    """What one unit's gallery is made of, all as of one moment."""

    site: str
    unit_id: str
    revision: int
    pack_id: str
    members: tuple[Member, ...]
    look_alikes: frozenset[tuple[str, str]]
    lessons: tuple[TimetableLesson, ...]
    generation: int = 0
    """See `protocol.content.HeadBody.generation`."""
    pack_list: bytes | None = None
    """The list of the pack's files, if they are offered to units that have another one."""
    rises: Mapping[Scope, MarginRise] = field(default_factory=dict)
    """What a rejection adds to the margin of a student of each scope; nothing for a scope that is not there."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitKeys:
    """The unit's data key, which seals, and the hub's private key, which signs."""

    data_key: bytes
    signing_key: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """A unit's gallery as it travels."""

    revision: int
    manifest: bytes
    timetable: bytes
    head: bytes
    blobs: dict[str, bytes]
    """Sealed templates by their hash."""
    listed: frozenset[str]
    recognisable: frozenset[str]
    """Students whose template is in it."""

    @property
    def manifest_hash(self) -> str:
        """The name of the sealed manifest."""
        return sha256_hex(self.manifest)

    @property
    def timetable_hash(self) -> str:
        """The name of the sealed timetable."""
        return sha256_hex(self.timetable)


def sizes(members: Iterable[Member]) -> tuple[int, ...]:
    """Return how many students with a template the room has and, if there are others, how many there are in all."""
    scopes = [member.scope for member in members if member.vectors]
    room = scopes.count("room")
    return (room,) if room == len(scopes) else (room, len(scopes))


def display_name(serial_number: str, name: str) -> str:
    """Return how a unit names a student in its CSV."""
    return f"{serial_number}_{name}"[:_MAX_NAME]


def build(facts: GalleryFacts, keys: UnitKeys, operating_points: dict[str, Any]) -> Gallery:
    """Return the sealed and signed gallery. `operating_points` are for the `sizes` of its members."""
    sealed = {one.student_id: _sealed_blob(facts, one, keys.data_key) for one in facts.members if one.vectors}
    manifest = _manifest(facts, sealed)
    sealed_manifest = seal(keys.data_key, manifest.to_bytes(), *manifest_context(facts.unit_id))
    timetable = _sealed_timetable(facts, keys.data_key)
    body = HeadBody(
        site=facts.site,
        unit_id=facts.unit_id,
        revision=facts.revision,
        manifest_hash=sha256_hex(sealed_manifest),
        manifest_bytes=len(sealed_manifest),
        pack_id=facts.pack_id,
        operating_points=operating_points,
        timetable_hash=sha256_hex(timetable),
        timetable_bytes=len(timetable),
        generation=facts.generation,
        pack_hash=None if facts.pack_list is None else sha256_hex(facts.pack_list),
        pack_bytes=None if facts.pack_list is None else len(facts.pack_list),
    ).to_bytes()
    return Gallery(
        revision=facts.revision,
        manifest=sealed_manifest,
        timetable=timetable,
        head=encode(Head(body=body.decode(), signature=sign(keys.signing_key, body))),
        blobs={sha256_hex(blob): blob for blob in sealed.values()},
        listed=frozenset(one.student_id for one in facts.members),
        recognisable=frozenset(sealed),
    )


def _sealed_blob(facts: GalleryFacts, member: Member, data_key: bytes) -> bytes:
    vectors = member.vectors[: _most_vectors(member.dimensions)]
    blob = TemplateBlob(
        student_id=member.student_id,
        pack_id=facts.pack_id,
        dimensions=member.dimensions,
        count=len(vectors),
        vectors=b"".join(vectors),
    )
    context = template_context(facts.unit_id, member.student_id, facts.pack_id)
    return seal(data_key, blob.to_bytes(), *context)


def _most_vectors(dimensions: int) -> int:
    """Return how many vectors fit into one part; the newest are kept, since faces change."""
    room = (MAX_PART_BYTES - OVERHEAD_BYTES - _BLOB_ENVELOPE_BYTES) * 3 // 4
    return max(1, min(_MAX_MEMBERS, room // (dimensions * _FLOAT_BYTES)))


def _manifest(facts: GalleryFacts, sealed: dict[str, bytes]) -> GalleryManifest:
    entries = []
    for member in sorted(facts.members, key=lambda one: one.student_id):
        blob = sealed.get(member.student_id)
        entries.append(
            ManifestEntry(
                student_id=member.student_id,
                display_name=display_name(member.serial_number, member.name),
                template_hash=None if blob is None else sha256_hex(blob),
                template_bytes=None if blob is None else len(blob),
                scope=member.scope,
                extra_margin=_extra_margin(facts, member) if blob is not None else None,
            )
        )
    pairs = sorted(pair for pair in facts.look_alikes if pair[0] in sealed and pair[1] in sealed)
    return GalleryManifest(
        unit_id=facts.unit_id,
        revision=facts.revision,
        pack_id=facts.pack_id,
        entries=tuple(entries),
        look_alikes=tuple(pairs),
    )


def _extra_margin(facts: GalleryFacts, member: Member) -> float | None:
    """Return what rejections add to a student's margin; None for nothing, which is not written down."""
    return facts.rises.get(member.scope, MarginRise()).after(member.rejections) or None


def _sealed_timetable(facts: GalleryFacts, data_key: bytes) -> bytes:
    lessons = sorted(facts.lessons, key=lambda one: (one.starts_at, one.lesson_id))
    while True:
        content = Timetable(unit_id=facts.unit_id, lessons=tuple(lessons)).to_bytes()
        if len(content) + OVERHEAD_BYTES <= MAX_PART_BYTES:
            return seal(data_key, content, *timetable_context(facts.unit_id))
        # A room with hundreds of lessons in two weeks: the near ones matter, and a new timetable comes before long.
        lessons = lessons[: len(lessons) * 9 // 10]


def parts(content: bytes, size: int = MAX_PART_BYTES) -> Sequence[bytes]:
    """Return the content cut into parts of at most `size` bytes, at least one."""
    return [content[at : at + size] for at in range(0, max(1, len(content)), size)]


def dropped(before: Iterable[str], now: Iterable[str]) -> list[str]:
    """Return who was in a gallery and is not any more, in a fixed order."""
    return sorted(set(before) - set(now))
