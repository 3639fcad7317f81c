"""What the tests of this folder are made of: events, sealed pieces of a gallery, and waiting for a condition."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from deploy.own_process import wait_until
from edge.core.ports import StagedGallery
from protocol import sealing
from protocol.content import Head, HeadBody
from protocol.events import Left, Mark, Seen, Stamp

UNIT = "11111111-1111-4111-8111-111111111111"
BOOT = str(UUID(int=0xB007))
PACK = "dlib-1-000000000000"
MORNING = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SIGNING_KEY = bytes(range(32))


def ident(number: int) -> str:
    """Return the UUID with this number."""
    return str(UUID(int=number))


def stamp(seconds: float = 0.0, *, at: datetime = MORNING) -> Stamp:
    """Return a moment some seconds after the morning began."""
    return Stamp(
        at=at + timedelta(seconds=seconds),
        boot_id=BOOT,
        boottime_ns=1_000_000_000_000 + round(seconds * 1e9),
        clock="synced",
    )


def seen(number: int, student: int = 7, seconds: float = 0.0, *, at: datetime = MORNING) -> Seen:
    """Return an event of a student who comes into view; its interval has this number."""
    return Seen(
        **stamp(seconds, at=at).model_dump(),
        event_id=ident(number),
        seq=1,
        student_id=ident(student),
        score=0.9312,
        margin=0.4,
        samples=3,
        gallery_revision=1,
        pack_id=PACK,
    )


def left(number: int, interval: int, student: int = 7, seconds: float = 60.0) -> Left:
    """Return the event that closes an interval."""
    return Left(
        **stamp(seconds).model_dump(),
        event_id=ident(number),
        seq=1,
        interval_id=ident(interval),
        student_id=ident(student),
        dwell_s=seconds,
        cause="absence",
    )


def mark(number: int, student: int = 7) -> Mark:
    """Return an event of a person at the unit who marks a student."""
    return Mark(
        **stamp().model_dump(),
        event_id=ident(number),
        seq=1,
        student_id=ident(student),
        status="present",
        by="A. Person",
    )


def hash_of(content: bytes) -> str:
    """Return the name of a piece of content."""
    return hashlib.sha256(content).hexdigest()


def gallery(
    revision: int, manifest: bytes, templates: tuple[bytes, ...], timetable: bytes | None = None
) -> StagedGallery:
    """Return a gallery of pieces that need not mean anything: the store does not look into them."""
    body = HeadBody(
        site="school",
        unit_id=UNIT,
        revision=revision,
        manifest_hash=hash_of(manifest),
        manifest_bytes=len(manifest),
        pack_id=PACK,
        timetable_hash=hash_of(timetable) if timetable else None,
        timetable_bytes=len(timetable) if timetable else None,
    )
    text = body.model_dump_json(exclude_none=True)
    head = Head(body=text, signature=sealing.sign(SIGNING_KEY, text.encode()))
    return StagedGallery(body, head.to_bytes(), tuple(hash_of(piece) for piece in templates))


def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    """Ask until the condition holds; return False when it did not in time."""
    return wait_until(condition, timeout_s)
