"""How a unit's events travel: the greeting, the batch, the receipt, the audit."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from protocol.base import MAX_BATCH_EVENTS, Envelope, Epoch, Message, PackId, Seq, UnknownReadAs, Utc, Uuid, Word
from protocol.events import ClockQuality

MAX_AUDIT_RANGES = 500


class Limits(Message):
    """What the hub allows one unit to send."""

    batch_events: Annotated[int, Field(ge=1, le=MAX_BATCH_EVENTS)] = MAX_BATCH_EVENTS
    batches_in_flight: Annotated[int, Field(ge=1, le=64)] = 8
    """Unanswered batches of what happens now."""
    backlog_in_flight: Annotated[int, Field(ge=1, le=64)] = 2
    """Unanswered batches of what waited longer; few, so that a fleet that comes back does not bury the hub."""


class Hello(Envelope):
    """A unit introduces itself after each connect."""

    epoch: Epoch
    boot_id: Uuid
    last_seq: Annotated[int, Field(ge=0)]
    """Newest event on the unit's disk."""
    delivered_seq: Annotated[int, Field(ge=0)]
    """Every event up to here has a receipt."""
    gallery_revision: Annotated[int, Field(ge=0)]
    pack_id: PackId
    software: Annotated[str, Field(max_length=40)]
    clock: ClockQuality
    at: Utc
    hello_id: Uuid | None = None
    """Comes back in the welcome, so that the unit knows how long the answer took and how old its time is."""
    kept_seq: Annotated[int, Field(ge=1)] | None = None
    """Oldest event of the epoch that the unit could send again."""


class Welcome(Envelope):
    """The hub's answer to a hello."""

    epoch: Epoch
    """The epoch of the hello this answers."""
    high_water: Annotated[int, Field(ge=0)]
    """Every event of the epoch up to here is committed or was rejected.

    Lower than what the unit holds receipts for: the database was restored from a backup, and the unit sends again what
    is lacking. Higher than the unit's newest event: the unit's own file is an old copy, and it begins a new epoch.
    """
    server_time: Utc
    limits: Limits = Limits()
    hello_id: Uuid | None = None


class EventBatch(Envelope):
    """Up to 100 events of one epoch, in order of seq.

    The events stay JSON objects here: one that cannot be read must not hold back the others
    (`protocol.events.parse_event` reads each).
    """

    epoch: Epoch
    batch_id: Uuid
    events: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=MAX_BATCH_EVENTS)]

    @model_validator(mode="after")
    def _every_event_has_a_seq(self) -> "EventBatch":
        for event in self.events:
            seq = event.get("seq")
            if not isinstance(seq, int) or isinstance(seq, bool) or not 1 <= seq < 2**62:
                raise ValueError("an event without a usable seq cannot be answered")
        return self


class SeqRange(Message):
    """Events from `first` to `last`, both included."""

    first: Seq
    last: Seq

    @model_validator(mode="after")
    def _in_order(self) -> "SeqRange":
        if self.last < self.first:
            raise ValueError("last comes before first")
        return self


class Rejection(Message):
    """An event the hub will not take; the unit keeps it as a dead letter.

    Except with the code `seq_taken`: another event stands at its place, so the unit's file is an old copy. The event is
    good, and the unit sends it again under a new epoch. With `moved` nothing is lost either: the event is on record in
    another stream of this unit, and this was a late copy.
    """

    seq: Seq
    code: Word
    detail: Annotated[str, Field(max_length=200)] = ""


class Receipt(Envelope):
    """The hub's word that events are committed to its database (or never will be). PUBACK says nothing of the kind."""

    epoch: Epoch
    batch_id: Uuid
    result: Annotated[Literal["taken", "busy"], UnknownReadAs("busy")] = "taken"
    accepted: tuple[SeqRange, ...] = ()
    duplicate: tuple[SeqRange, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    high_water: Annotated[int, Field(ge=0)] = 0
    retry_after_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """With `busy`: nothing was taken, send again after this long."""


class RangeDigest(Message):
    """What a unit has of one range of seqs, in a form in which two sides can compare thousands of events at once."""

    first: Seq
    last: Seq
    count: Annotated[int, Field(ge=0)]
    """Events on record from `first` to `last`, both included; dead letters are none."""
    xor64: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
    """The first 64 bits of every event's SHA-256 (`protocol.events.event_sha256`), combined by exclusive or.

    Any order gives the same, and a database computes it from an index. It finds losses, not lies: a unit could only
    deceive about its own events.
    """

    @model_validator(mode="after")
    def _in_order(self) -> "RangeDigest":
        if self.last < self.first:
            raise ValueError("last comes before first")
        return self


class Audit(Envelope):
    """Once a day a unit says what it holds receipts for; the hub compares."""

    epoch: Epoch
    audit_id: Uuid
    digests: Annotated[tuple[RangeDigest, ...], Field(min_length=1, max_length=MAX_AUDIT_RANGES)]


class AuditAnswer(Envelope):
    """The ranges in which the hub has something else than the unit: their events are sent again."""

    epoch: Epoch
    audit_id: Uuid
    differing: Annotated[tuple[SeqRange, ...], Field(max_length=MAX_AUDIT_RANGES)] = ()


def xor64(sha256s: Iterable[str]) -> str:
    """Return the combination of hashes in lower-case hexadecimal that `RangeDigest.xor64` holds."""
    combined = 0
    for sha256 in sha256s:
        combined ^= int(sha256[:16], 16)
    return f"{combined:016x}"


def ranges(seqs: "list[int] | tuple[int, ...]") -> tuple[SeqRange, ...]:
    """Return the shortest list of ranges that holds exactly these seqs (any order, duplicates allowed)."""
    found: list[SeqRange] = []
    for seq in sorted(set(seqs)):
        if found and found[-1].last == seq - 1:
            found[-1] = SeqRange(first=found[-1].first, last=seq)
        else:
            found.append(SeqRange(first=seq, last=seq))
    return tuple(found)
