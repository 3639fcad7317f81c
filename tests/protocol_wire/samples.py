"""One fixed message of every kind: what the golden files hold and what the other tests start from."""

from protocol.base import Envelope, Message
from protocol.content import Applied, Part, TemplateBlob, Timetable, Want, Wanted
from protocol.delivery import EventBatch, Hello, Limits, Receipt, Rejection, SeqRange, Welcome
from protocol.events import event_json
from protocol.status import Problem, Status
from protocol.topics import UP_CHANNELS, Address, down, up
from tests.builders import PACK, POINTS, SITE, UNIT, HubSide, face_of, lesson, one_of_each, stamp, student, uid
from tests.fakes import BOOT, EPOCH

GALLERY = HubSide().gallery(
    4, {1: [face_of(1)], 2: [face_of(2)]}, without_template=[3], lessons=[lesson(1, 0, 2700)], look_alikes=[(1, 2)]
)
WIDER = HubSide(points={**POINTS.to_dict(), "wider": POINTS.to_dict()}).gallery(
    5, {1: [face_of(1)], 9: [face_of(9)]}, wider=[9]
)
HASH = GALLERY.body.manifest_hash

HELLO = Hello(
    epoch=EPOCH,
    boot_id=BOOT,
    last_seq=120,
    delivered_seq=100,
    gallery_revision=4,
    pack_id=PACK,
    software="0.1.0",
    clock="holdover",
    at=stamp().at,
)
WELCOME = Welcome(epoch=EPOCH, high_water=100, server_time=stamp(0.25).at, limits=Limits(batch_events=50))
BATCH = EventBatch(epoch=EPOCH, batch_id=uid(100), events=tuple(event_json(event) for event in one_of_each()))
TAKEN = Receipt(
    epoch=EPOCH,
    batch_id=uid(100),
    accepted=(SeqRange(first=1, last=3), SeqRange(first=5, last=5)),
    duplicate=(SeqRange(first=6, last=6),),
    rejected=(Rejection(seq=4, code="invalid", detail="wrong or missing: mark.status"),),
    high_water=6,
)
BUSY = Receipt(epoch=EPOCH, batch_id=uid(101), result="busy", retry_after_s=30.0)
STATUS = Status(
    state="degraded",
    session=7,
    epoch=EPOCH,
    at=stamp().at,
    waiting_events=20,
    oldest_waiting_s=12.5,
    last_receipt_at=stamp(-10).at,
    dead_letters=1,
    gallery_revision=4,
    pack_id=PACK,
    students=2,
    frames_per_s=4.9,
    disk_free_bytes=12_000_000_000,
    clock="synced",
    software="0.1.0",
    problems=(Problem(code="camera_lost", text="the camera gives no frames: check its cable"),),
)
LOST = Status(state="lost", session=7, epoch=EPOCH)
WANT = Want(items=(Wanted(kind="manifest", hash=HASH), Wanted(kind="template", hash="ab" * 32, from_part=2)))
PART = Part(kind="manifest", hash=HASH, index=1, count=3, data=bytes(range(48)))
MISSING = Part(kind="template", hash="ab" * 32, missing=True)
APPLIED = Applied(revision=4, manifest_hash=HASH, students=2, erased=(student(9),), at=stamp().at)
REFUSED = Applied(
    revision=4, manifest_hash=HASH, problem="pack_mismatch", detail="made with another pack", at=stamp().at
)
BLOB: TemplateBlob = HubSide().blob(1, [face_of(1), face_of(2)])
TIMETABLE = Timetable(unit_id=UNIT, lessons=(lesson(1, 0, 2700), lesson(2, 3000, 5700)))

ENVELOPES: dict[str, tuple[str, Envelope]] = {
    "hello": ("hello", HELLO),
    "welcome": ("welcome", WELCOME),
    "events": ("events", BATCH),
    "receipt_taken": ("receipt", TAKEN),
    "receipt_busy": ("receipt", BUSY),
    "status": ("status", STATUS),
    "status_lost": ("status", LOST),
    "head": ("head", GALLERY.head),
    "want": ("want", WANT),
    "part": ("part", PART),
    "part_missing": ("part", MISSING),
    "applied": ("applied", APPLIED),
    "applied_refused": ("applied", REFUSED),
}
"""(channel, message) by name."""

CONTENT: dict[str, Message] = {
    "content_head_body": GALLERY.body,
    "content_manifest": GALLERY.manifest,
    "content_head_body_wider": WIDER.body,
    "content_manifest_wider": WIDER.manifest,
    "content_template": BLOB,
    "content_timetable": TIMETABLE,
}
"""What travels signed or sealed inside of other messages."""

EVENTS: dict[str, Message] = {f"event_{event.kind}": event for event in one_of_each()}

EVERYTHING: dict[str, Message] = {name: message for name, (_, message) in ENVELOPES.items()} | CONTENT | EVENTS


def address_of(channel: str) -> Address:
    """Return where messages of a channel travel."""
    return (up if channel in UP_CHANNELS else down)(SITE, UNIT, channel)
