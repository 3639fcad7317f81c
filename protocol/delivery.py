"""How a unit's events travel: the greeting, the batch, the receipt."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from protocol.base import MAX_BATCH_EVENTS, Envelope, Epoch, Message, PackId, Seq, Utc, Uuid, Word
from protocol.events import ClockQuality


class Limits(Message):
    """What the hub allows one unit to send."""

    batch_events: Annotated[int, Field(ge=1, le=MAX_BATCH_EVENTS)] = MAX_BATCH_EVENTS
    batches_in_flight: Annotated[int, Field(ge=1, le=64)] = 8


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


class Welcome(Envelope):
    """The hub's answer to a hello."""

    epoch: Epoch
    """The epoch of the hello this answers."""
    high_water: Annotated[int, Field(ge=0)]
    """Every event of the epoch up to here is committed or was rejected."""
    server_time: Utc
    limits: Limits = Limits()


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
    """An event the hub will never take; the unit keeps it as a dead letter."""

    seq: Seq
    code: Word
    detail: Annotated[str, Field(max_length=200)] = ""


class Receipt(Envelope):
    """The hub's word that events are committed to its database (or never will be). PUBACK says nothing of the kind."""

    epoch: Epoch
    batch_id: Uuid
    result: Literal["taken", "busy"] = "taken"
    accepted: tuple[SeqRange, ...] = ()
    duplicate: tuple[SeqRange, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    high_water: Annotated[int, Field(ge=0)] = 0
    retry_after_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    """With `busy`: nothing was taken, send again after this long."""


def ranges(seqs: "list[int] | tuple[int, ...]") -> tuple[SeqRange, ...]:
    """Return the shortest list of ranges that holds exactly these seqs (any order, duplicates allowed)."""
    found: list[SeqRange] = []
    for seq in sorted(set(seqs)):
        if found and found[-1].last == seq - 1:
            found[-1] = SeqRange(first=found[-1].first, last=seq)
        else:
            found.append(SeqRange(first=seq, last=seq))
    return tuple(found)
