"""One fixed message of every kind: what the golden files hold and what the other tests start from.

They are one conversation: the head signs the hash of the part, and the part holds the sealed manifest.
"""

from protocol.base import Envelope, Message
from protocol.content import (
    Applied,
    GalleryManifest,
    HeadBody,
    PackFile,
    PackList,
    Part,
    TemplateBlob,
    Timetable,
    Want,
    Wanted,
)
from protocol.delivery import (
    Audit,
    AuditAnswer,
    EventBatch,
    Hello,
    Limits,
    RangeDigest,
    Receipt,
    Rejection,
    SeqRange,
    Welcome,
    xor64,
)
from protocol.events import Event, event_json, event_sha256
from protocol.status import Problem, Status
from protocol.topics import Address, Direction
from tests.builders import PACK, POINTS, SITE, UNIT, HubSide, face_of, lesson, one_of_each, stamp, student, uid
from tests.fakes import BOOT, EPOCH

HUB = HubSide()
GALLERY = HUB.gallery(
    4, {1: [face_of(1)], 2: [face_of(2)]}, without_template=[3], lessons=[lesson(1, 0, 2700)], look_alikes=[(1, 2)]
)
WIDER = HubSide(points={**POINTS.to_dict(), "wider": POINTS.to_dict()}).gallery(
    5, {1: [face_of(1)], 9: [face_of(9)]}, wider=[9]
)
MARGIN = HUB.gallery(6, {1: [face_of(1)], 2: [face_of(2)]}, extra_margins={2: 0.005028})
HASH = GALLERY.body.manifest_hash
PACK_HASH = "cd" * 32
FULL_HEAD = GALLERY.body.model_copy(update={"generation": 1, "pack_hash": PACK_HASH, "pack_bytes": 420})

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
    hello_id=uid(200),
    kept_seq=3,
)
WELCOME = Welcome(
    epoch=EPOCH,
    high_water=100,
    server_time=stamp(0.25).at,
    limits=Limits(batch_events=50, batches_in_flight=4, backlog_in_flight=1),
    hello_id=uid(200),
)
BATCH = EventBatch(epoch=EPOCH, batch_id=uid(100), events=tuple(event_json(event) for event in one_of_each()))
BACKLOG = EventBatch(epoch="00000000000000aa", batch_id=uid(102), events=(event_json(one_of_each()[0]),))
TAKEN = Receipt(
    epoch=EPOCH,
    batch_id=uid(100),
    accepted=(SeqRange(first=1, last=3), SeqRange(first=5, last=5)),
    duplicate=(SeqRange(first=6, last=6),),
    rejected=(Rejection(seq=4, code="invalid", detail="wrong or missing: mark.status"),),
    high_water=6,
)
BUSY = Receipt(epoch=EPOCH, batch_id=uid(101), result="busy", retry_after_s=30.0)
SEQ_TAKEN = Receipt(
    epoch=EPOCH,
    batch_id=uid(102),
    rejected=(Rejection(seq=1, code="seq_taken", detail="another event stands at its place"),),
    high_water=120,
)
AUDIT = Audit(
    epoch=EPOCH,
    audit_id=uid(300),
    digests=(
        RangeDigest(first=1, last=1000, count=998, xor64="0123456789abcdef"),
        RangeDigest(first=1001, last=1006, count=6, xor64=xor64(event_sha256(raw) for raw in BATCH.events)),
    ),
)
AUDIT_ANSWER = AuditAnswer(epoch=EPOCH, audit_id=uid(300), differing=(SeqRange(first=1, last=1000),))
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
    disk="low",
    held_events=3,
    progress_s=11.5,
    temperature_c=71.5,
    throttled=("under_voltage", "too_hot"),
    boot_id=BOOT,
    up_s=86_400.5,
    clock="synced",
    software="0.1.0",
    problems=(Problem(code="camera_lost", text="the camera gives no frames: check its cable"),),
)
LOST = Status(state="lost", session=7, epoch=EPOCH)
WANT = Want(
    items=(
        Wanted(kind="manifest", hash=HASH),
        Wanted(kind="template", hash="ab" * 32),
        Wanted(kind="timetable", hash="ac" * 32),
        Wanted(kind="pack", hash=PACK_HASH),
        Wanted(kind="pack_file", hash="ad" * 32, from_part=2),
    )
)
PART = Part(kind="manifest", hash=HASH, data=GALLERY.content[HASH][1])
PART_OF_MANY = Part(kind="pack_file", hash="ad" * 32, index=2, count=3, data=bytes(range(256)))
MISSING = Part(kind="template", hash="ab" * 32, missing=True)
APPLIED = Applied(revision=4, generation=1, manifest_hash=HASH, students=2, erased=(student(9),), at=stamp().at)
REFUSED = Applied(
    revision=4, manifest_hash=HASH, problem="pack_mismatch", detail="made with another pack", at=stamp().at
)
BLOB: TemplateBlob = HUB.blob(1, [face_of(1), face_of(2)])
TIMETABLE = Timetable(unit_id=UNIT, lessons=(lesson(1, 0, 2700), lesson(2, 3000, 5700)))
PACK_LIST = PackList(
    pack_id=PACK,
    files=(
        PackFile(path="manifest.json", sha256="ae" * 32, bytes=4_096),
        PackFile(path="embedder.tflite", sha256="ad" * 32, bytes=23_000_000),
    ),
)

ENVELOPES: dict[str, Envelope] = {
    "up_hello": HELLO,
    "up_events": BATCH,
    "up_backlog": BACKLOG,
    "up_status": STATUS,
    "up_status.lost": LOST,
    "up_want": WANT,
    "up_applied": APPLIED,
    "up_applied.refused": REFUSED,
    "up_audit": AUDIT,
    "down_welcome": WELCOME,
    "down_receipt": TAKEN,
    "down_receipt.busy": BUSY,
    "down_receipt.seq_taken": SEQ_TAKEN,
    "down_head": HUB.sign(FULL_HEAD),
    "down_part": PART,
    "down_part.of_many": PART_OF_MANY,
    "down_part.missing": MISSING,
    "down_audit": AUDIT_ANSWER,
}
"""By name: direction, channel, and after a dot what is special about the message."""

CONTENT: dict[str, Message] = {
    "content_head_body": FULL_HEAD,
    "content_head_body.wider": WIDER.body,
    "content_manifest": GALLERY.manifest,
    "content_manifest.wider": WIDER.manifest,
    "content_manifest.margin": MARGIN.manifest,
    "content_template": BLOB,
    "content_timetable": TIMETABLE,
    "content_pack": PACK_LIST,
}
"""What travels signed or sealed inside of other messages, or as content by hash."""

CONTENT_MODELS: dict[str, type[Message]] = {
    "head_body": HeadBody,
    "manifest": GalleryManifest,
    "template": TemplateBlob,
    "timetable": Timetable,
    "pack": PackList,
}

EVENTS: dict[str, Event] = {f"event_{event.kind}": event for event in one_of_each()}

EVERYTHING: dict[str, Message] = {**ENVELOPES, **CONTENT, **EVENTS}


def address_of(name: str) -> Address:
    """Return where a message of this name travels (`up_status.lost`: on the channel `status`, upwards)."""
    direction: Direction = "up" if name.startswith("up_") else "down"
    return Address(SITE, direction, UNIT, name.partition("_")[2].partition(".")[0])
