"""Builders of events and batches: only what a test is about is named."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hub.core.ingest import Batch, sort_batch
from protocol.delivery import EventBatch
from protocol.identifiers import uuid7

START = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
UNIT = "11111111-1111-4111-8111-111111111111"
EPOCH = "00000000000000aa"
BOOT = "22222222-2222-4222-8222-222222222222"
PACK = "dlib-1-0123456789ab"


def an_id(number: int) -> str:
    """A UUID that is always the same for a number."""
    return str(UUID(int=number + (4 << 76) + (2 << 62)))


def a_student(number: int) -> str:
    """A student's id."""
    return an_id(1_000_000 + number)


def an_event(seq: int, *, unit: int = 0, **changed: Any) -> dict[str, Any]:
    """A `seen` event as JSON, or another kind when `changed` says so."""
    at = START + timedelta(seconds=seq)
    event: dict[str, Any] = {
        "kind": "seen",
        "event_id": str(uuid7(int(at.timestamp() * 1000), bytes([0, unit]) + seq.to_bytes(8))),
        "seq": seq,
        "at": at,
        "boot_id": BOOT,
        "boottime_ns": seq * 10**9,
        "clock": "synced",
        "student_id": a_student(seq % 30),
        "score": 0.9,
        "margin": 0.2,
        "samples": 3,
        "gallery_revision": 1,
        "pack_id": PACK,
    }
    event.update(changed)
    return {name: _plain(value) for name, value in event.items() if value is not None}


_SEEN_ONLY = ("score", "margin", "samples", "gallery_revision", "pack_id")


def a_left(seq: int, interval_id: str, student_id: str, at: datetime, **changed: Any) -> dict[str, Any]:
    """A `left` event."""
    nothing: dict[str, Any] = dict.fromkeys(_SEEN_ONLY)
    return an_event(
        seq,
        **(
            nothing
            | {
                "kind": "left",
                "interval_id": interval_id,
                "student_id": student_id,
                "at": at,
                "dwell_s": 1.0,
                "cause": "absence",
            }
            | changed
        ),
    )


def a_coverage(seq: int, since: datetime, until: datetime, **changed: Any) -> dict[str, Any]:
    """A `coverage` event of a unit that watched all the time."""
    nothing: dict[str, Any] = dict.fromkeys(("score", "margin", "samples", "student_id"))
    values = {
        "kind": "coverage",
        "since": since,
        "at": until,
        "watched_s": (until - since).total_seconds(),
        "mode": "door",
        "students": 1,
        "tracks": 0,
        "unknown_faces": 0,
        "unusable_faces": 0,
    }
    return an_event(seq, **(nothing | values | changed))


def an_anchor(seq: int, utc: datetime, boottime_ns: int, **changed: Any) -> dict[str, Any]:
    """An `anchor` event."""
    nothing: dict[str, Any] = dict.fromkeys((*_SEEN_ONLY, "student_id"))
    values = {"kind": "anchor", "utc": utc, "boottime_ns": boottime_ns, "source": "ntp", "error_ms": 5}
    return an_event(seq, **(nothing | values | changed))


def a_mark(seq: int, student_id: str, status: str, at: datetime, **changed: Any) -> dict[str, Any]:
    """A `mark` event."""
    nothing: dict[str, Any] = dict.fromkeys(_SEEN_ONLY)
    values = {"kind": "mark", "student_id": student_id, "status": status, "at": at, "by": "Teacher"}
    return an_event(seq, **(nothing | values | changed))


def a_message(events: list[dict[str, Any]], *, epoch: str = EPOCH, number: int = 1) -> EventBatch:
    """A batch as a unit sends it."""
    return EventBatch(epoch=epoch, batch_id=an_id(number), events=tuple(events))


def a_batch(
    events: list[dict[str, Any]], *, unit_id: str = UNIT, epoch: str = EPOCH, number: int = 1, at: datetime = START
) -> Batch:
    """A batch that the hub has sorted."""
    return sort_batch(unit_id, a_message(events, epoch=epoch, number=number), at)


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
