"""The events of a unit's stream: immutable, gapless by seq within an epoch, and without a status (except `mark`)."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from protocol.base import (
    Epoch,
    Message,
    PackId,
    Seq,
    ShortWord,
    UnknownReadAs,
    Utc,
    Uuid,
    Word,
    canonical_bytes,
    sha256_hex,
)
from protocol.errors import BadEvent

ClockQuality = Annotated[Literal["synced", "holdover", "unsynced"], UnknownReadAs("unsynced")]
"""synced: disciplined now; holdover: was, this boot; unsynced: never since this boot."""

MarkStatus = Literal["present", "late", "excused", "absent"]
"""A person's word. One that a reader does not know is refused and never guessed: such a mark waits in quarantine."""
Score = Annotated[float, Field(ge=-1.0, le=1.0)]


class Stamp(Message):
    """When something was seen: the moment of the frame, never of the commit."""

    at: Utc
    """What the unit's clock said."""
    boot_id: Uuid
    boottime_ns: Annotated[int, Field(ge=0)]
    """CLOCK_BOOTTIME: runs through suspend and is never set, so it tells true distances within a boot."""
    clock: ClockQuality


class _EventBase(Stamp):
    event_id: Uuid
    seq: Seq


class Candidate(Message):
    """A student an undecided sighting may show, with the score."""

    student_id: Uuid
    score: Score


class Seen(_EventBase):
    """A student's presence interval opens; its `event_id` names the interval."""

    kind: Literal["seen"] = "seen"
    student_id: Uuid
    lesson_id: Uuid | None = None
    """A hint only: the hub assigns the lesson from room and corrected time."""
    score: Score
    margin: Annotated[float, Field(ge=-1.0, le=2.0)]
    samples: Annotated[int, Field(ge=1, le=1000)]
    """How many different frames were fused into the score."""
    gallery_revision: Annotated[int, Field(ge=0)]
    pack_id: PackId


class Left(_EventBase):
    """A presence interval closes: `at` is when the student was last seen."""

    kind: Literal["left"] = "left"
    interval_id: Uuid
    student_id: Uuid
    dwell_s: Annotated[float, Field(ge=0)]
    cause: Literal["absence", "lesson_end", "restart", "stop"] | ShortWord


class Review(_EventBase):
    """A person has to decide: the unit saw someone and must not say who."""

    kind: Literal["review"] = "review"
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1, max_length=5)]
    reason: Word
    lesson_id: Uuid | None = None
    samples: Annotated[int, Field(ge=1, le=1000)]
    gallery_revision: Annotated[int, Field(ge=0)]
    pack_id: PackId


class Mark(_EventBase):
    """A person at the unit marked a student."""

    kind: Literal["mark"] = "mark"
    student_id: Uuid
    status: MarkStatus
    lesson_id: Uuid | None = None
    by: Annotated[str, Field(min_length=1, max_length=100)]
    note: Annotated[str, Field(max_length=500)] = ""


class Coverage(_EventBase):
    """What the unit watched since `since`, until `at`, and with what; the basis of Not seen and Not observed."""

    kind: Literal["coverage"] = "coverage"
    since: Utc
    watched_s: Annotated[float, Field(ge=0)]
    mode: Annotated[Literal["door", "sweep"], UnknownReadAs("sweep")]
    """Of `sweep` nobody concludes that a student was absent, and so it stands for every mode a reader does not know."""
    gallery_revision: Annotated[int, Field(ge=0)]
    pack_id: PackId
    students: Annotated[int, Field(ge=0)]
    """How many students were in the gallery."""
    tracks: Annotated[int, Field(ge=0)]
    unknown_faces: Annotated[int, Field(ge=0)]
    """Tracks of sufficient quality that matched nobody."""
    unusable_faces: Annotated[int, Field(ge=0)]
    """Tracks that never had a face good enough to compare."""


class Anchor(_EventBase):
    """The unit learned what time it is: ties `boottime_ns` to `utc` for the rest of this boot."""

    kind: Literal["anchor"] = "anchor"
    utc: Utc
    source: Annotated[Literal["ntp", "welcome"], UnknownReadAs("welcome")]
    error_ms: Annotated[int, Field(ge=0)]


Event = Seen | Left | Review | Mark | Coverage | Anchor
EVENT_KINDS: tuple[str, ...] = ("seen", "left", "review", "mark", "coverage", "anchor")

_EVENT: TypeAdapter[Event] = TypeAdapter(
    Annotated[Event, Field(discriminator="kind")], config=ConfigDict(hide_input_in_errors=True)
)


def event_json(event: Event) -> dict[str, Any]:
    """Return the event as the JSON object that is stored, hashed and sent."""
    value: dict[str, Any] = json.loads(event.to_bytes())
    return value


def event_sha256(raw: Mapping[str, Any]) -> str:
    """Return the hash that tells whether two events with one id are the same event."""
    return sha256_hex(canonical_bytes(raw))


def parse_event(raw: Mapping[str, Any]) -> Event:
    """Return the event in a JSON object.

    Raises BadEvent with code `unsupported_kind` for a kind of a newer unit, `invalid` for anything else. The
    message names fields only, never their content: it may hold personal data and ends up in logs.
    """
    kind = raw.get("kind")
    if not isinstance(kind, str):
        raise BadEvent("invalid", "wrong or missing: kind")
    if kind not in EVENT_KINDS:
        raise BadEvent("unsupported_kind", "the kind of this event is not known here: update the hub")
    try:
        return _EVENT.validate_json(canonical_bytes(raw))
    except ValidationError as exc:
        fields = sorted({".".join(str(part) for part in error["loc"]) or "event" for error in exc.errors()})
        raise BadEvent("invalid", "wrong or missing: " + ", ".join(fields)[:200]) from exc
    except ValueError as exc:
        raise BadEvent("invalid", "not expressible in JSON") from exc


__all__ = [
    "EVENT_KINDS",
    "Anchor",
    "Candidate",
    "ClockQuality",
    "Coverage",
    "Epoch",
    "Event",
    "Left",
    "Mark",
    "MarkStatus",
    "Review",
    "Score",
    "Seen",
    "Stamp",
    "event_json",
    "event_sha256",
    "parse_event",
]
