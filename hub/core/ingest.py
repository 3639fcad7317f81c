"""What becomes of a unit's messages: which events are new, known, or never to be taken. No database, no broker here.

The store (`hub.adapters.event_store`) asks `judge` inside its transaction, with what is on record read under a lock.
"""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from hub.core.batches import MAX_DETAIL, Batch, EventRow, Refused, sort_batch
from protocol import codec, topics
from protocol.base import Envelope, canonical_bytes, sha256_hex
from protocol.delivery import EventBatch, Limits, Receipt, Rejection, SeqRange, ranges
from protocol.errors import ProtocolError, TooLarge, UnknownTopic, WrongVersion
from protocol.status import Status

CONFLICT = "conflict"
SEQ_TAKEN = "seq_taken"
MOVED = "moved"
_EVENT_CHANNELS = ("events", "backlog")
_HEAD_BYTES = 400
_BATCH_ID = re.compile(rb'"batch_id":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')
_EPOCH = re.compile(rb'"epoch":"([0-9a-f]{16})"')
# Batches of what waited that a whole school may have under way: what one hub commits in a few seconds.
_SCHOOLS_BACKLOG = 256
_MOST_BACKLOG = 8
_PRESSED = 0.5
_CLONE_WINDOW = timedelta(minutes=5)
# A unit that was given a new card may still be heard with the old one for as long as its messages travel.
_CLONE_GRACE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it came from the broker."""

    topic: str
    payload: bytes
    received_at: datetime
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that was understood, and who sent it."""

    unit_id: str
    message: Envelope
    received_at: datetime
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Unusable:
    """A message that was not understood; `detail` names fields, never content."""

    code: str
    detail: str
    arrival: Arrival
    unit_id: str | None = None


def read(arrival: Arrival, site: str) -> Heard | Unusable:
    """Return what a message says, or why it cannot be used. Never raises for any bytes."""
    unit_id = None
    try:
        address = topics.parse(arrival.topic)
        if address.site != site or address.direction != "up":
            return Unusable("foreign_topic", "not a message to this hub", arrival)
        unit_id = address.unit_id
        message = codec.decode(address, arrival.payload)
    except ProtocolError as exc:
        return Unusable(_code(exc), str(exc)[:MAX_DETAIL], arrival, unit_id)
    except (ValueError, RecursionError) as exc:
        return Unusable("invalid", type(exc).__name__, arrival, unit_id)
    return Heard(unit_id, message, arrival.received_at, arrival.retained)


def _code(exc: ProtocolError) -> str:
    for kind, code in ((UnknownTopic, "foreign_topic"), (WrongVersion, "wrong_version"), (TooLarge, "too_large")):
        if isinstance(exc, kind):
            return code
    return "invalid"


class OnRecord(NamedTuple):
    """An event that the store has: where it stands and the hash of its body."""

    event_id: str
    place: tuple[str, str, int]
    sha256: str


class Known:
    """What is on record among the events of some batches, by id and by place; grows as batches are judged."""

    def __init__(self, events: Iterable[OnRecord] = ()) -> None:
        self._by_id: dict[str, OnRecord] = {}
        self._by_place: dict[tuple[str, str, int], OnRecord] = {}
        for event in events:
            self.add(event)

    def add(self, event: OnRecord) -> None:
        """Remember an event."""
        self._by_id[event.event_id] = event
        self._by_place[event.place] = event

    def compare(self, row: EventRow) -> Literal["new", "same", "other", "taken", "moved"]:
        """Tell what the record says of an event: new, on record as it is, contradicted, or its place is another's.

        `taken` means that nothing is wrong with the event: its unit counts on from an old copy of its file. `moved`
        neither: its unit has numbered it anew since, and this is a late copy from the stream in which it stood before.
        """
        same_id = self._by_id.get(row.event.event_id)
        if same_id is None:
            return "taken" if row.place in self._by_place else "new"
        if same_id.place == row.place:
            return "same" if same_id.sha256 == row.sha256 else "other"
        return "moved" if _is_moved(row, same_id) else "other"


def _is_moved(row: EventRow, known: OnRecord) -> bool:
    """Tell whether an event is on record in another stream of its unit, the same but for its number."""
    unit_id, epoch, seq = known.place
    if unit_id != row.unit_id or epoch == row.epoch:
        return False
    return sha256_hex(canonical_bytes(json.loads(row.body) | {"seq": seq})) == known.sha256


@dataclass(slots=True)
class Verdict:
    """What to do with one batch."""

    batch: Batch
    new: list[EventRow] = field(default_factory=list)
    duplicate: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    misplaced: list[int] = field(default_factory=list)
    """Seqs at which another event stands: nothing of these is kept, their unit sends them under a new epoch."""

    @property
    def settled(self) -> set[int]:
        """Every seq that is on record or refused once this verdict is committed."""
        return {row.event.seq for row in self.new} | set(self.duplicate) | {event.seq for event in self.refused}

    @property
    def conflicts(self) -> int:
        """How many events contradict the record."""
        return sum(1 for event in self.refused if event.code == CONFLICT)

    @property
    def moved(self) -> int:
        """How many events are late copies of what is on record in another stream of their unit."""
        return sum(1 for event in self.refused if event.code == MOVED)

    def receipt(self, high_water: int) -> Receipt:
        """Return the receipt, to be sent after the commit and never before."""
        taken = {row.event.seq for row in self.new}
        if len(taken) == len(self.batch.rows) and not self.refused:
            return Receipt(
                epoch=self.batch.epoch,
                batch_id=self.batch.batch_id,
                accepted=_ranges(taken),
                high_water=high_water,
            )
        repeated = set(self.duplicate) - taken
        # A seq that came twice in one batch, once usable, is on record: the unit must not bury it.
        poison = {
            event.seq: Rejection(seq=event.seq, code=event.code, detail=event.detail)
            for event in self.refused
            if event.seq not in taken | repeated
        }
        misplaced = {
            seq: Rejection(seq=seq, code=SEQ_TAKEN, detail="another event stands at this place")
            for seq in self.misplaced
            if seq not in taken | repeated
        }
        return Receipt(
            epoch=self.batch.epoch,
            batch_id=self.batch.batch_id,
            accepted=_ranges(taken),
            duplicate=_ranges(repeated),
            # Of two events at one seq the good one decides: `seq_taken` loses nothing.
            rejected=tuple(one for _, one in sorted((poison | misplaced).items())),
            high_water=high_water,
        )


def _ranges(seqs: set[int]) -> tuple[SeqRange, ...]:
    """Return `protocol.delivery.ranges`, at once where there is one range only, as nearly always."""
    if seqs and max(seqs) - min(seqs) == len(seqs) - 1:
        return (SeqRange(first=min(seqs), last=max(seqs)),)
    return ranges(tuple(seqs))


def judge(batch: Batch, known: Known) -> Verdict:
    """Return what is new, a duplicate, misplaced, moved, or contradicts the record; `known` learns the new events."""
    verdict = Verdict(batch, refused=list(batch.refused))
    for row in batch.rows:
        match known.compare(row):
            case "new":
                verdict.new.append(row)
                known.add(OnRecord(row.event.event_id, row.place, row.sha256))
            case "same":
                verdict.duplicate.append(row.event.seq)
            case "taken":
                verdict.misplaced.append(row.event.seq)
            case "moved":
                detail = "this very event is on record in another stream of this unit; nothing is lost"
                verdict.refused.append(
                    Refused(row.unit_id, row.epoch, row.event.seq, MOVED, detail, row.body, row.sha256)
                )
            case "other":
                detail = "its id is on record with another content or at another place"
                verdict.refused.append(
                    Refused(row.unit_id, row.epoch, row.event.seq, CONFLICT, detail, row.body, row.sha256)
                )
    return verdict


def advance(high_water: int, settled: Collection[int]) -> int:
    """Return the largest seq up to which every seq is at or below `high_water` or in `settled`."""
    while high_water + 1 in settled:
        high_water += 1
    return high_water


def busy(batch: Batch | EventBatch, retry_after_s: float) -> Receipt:
    """Return the receipt that says: nothing was taken, send again later."""
    return Receipt(epoch=batch.epoch, batch_id=batch.batch_id, result="busy", retry_after_s=retry_after_s)


def busy_unread(arrival: Arrival, site: str, retry_after_s: float) -> tuple[str, Receipt] | None:
    """Return the unit and the receipt that says `busy` for a batch whose beginning alone is at hand.

    None for anything but a batch, and for one that does not begin as ours do: its unit waits and sends it again.
    """
    try:
        address = topics.parse(arrival.topic)
    except ProtocolError:
        return None
    head = arrival.payload[:_HEAD_BYTES].partition(b'"events"')[0]
    batch_id, epoch = _BATCH_ID.search(head), _EPOCH.search(head)
    if address.site != site or address.direction != "up" or address.channel not in _EVENT_CHANNELS:
        return None
    if batch_id is None or epoch is None:
        return None
    receipt = Receipt(
        epoch=epoch[1].decode(), batch_id=batch_id[1].decode(), result="busy", retry_after_s=retry_after_s
    )
    return address.unit_id, receipt


def limits(units_heard: int, pressure: float) -> Limits:
    """Return what a unit may send, given how many units speak and how full the inbox is (0 to 1).

    A fleet that comes back after days is many units with much to say: each may have little under way then, so that
    what they send is committed long before they would send it again.
    """
    window = min(_MOST_BACKLOG, max(1, _SCHOOLS_BACKLOG // max(1, units_heard)))
    return Limits(backlog_in_flight=max(1, window // 2) if pressure > _PRESSED else window)


@dataclass(frozen=True, slots=True)
class EpochHeard:
    """When a stream of a unit was heard, and in which boot it said hello."""

    epoch: str
    boot_id: str | None
    first_heard_at: datetime
    last_heard_at: datetime


def clone_suspected(mine: EpochHeard, others: Iterable[EpochHeard], now: datetime) -> bool:
    """Tell whether a stream speaks again although a newer one of the same unit is alive: two cards with one identity.

    A replaced card also begins a newer stream, but then the older one stays silent.
    """
    return any(
        other.first_heard_at > mine.first_heard_at
        and now - other.first_heard_at > _CLONE_GRACE
        and now - other.last_heard_at < _CLONE_WINDOW
        and other.boot_id != mine.boot_id
        for other in others
    )


def supersedes(new: Status, old: Status | None) -> bool:
    """Tell whether a status replaces the one on record; a will of an older connection or stream does not."""
    if old is None:
        return True
    if new.epoch != old.epoch:
        # A stream begins with a status of its own, so a will of another stream is of one that ended.
        return new.state != "lost"
    return new.session >= old.session


__all__ = [
    "CONFLICT",
    "MOVED",
    "SEQ_TAKEN",
    "Arrival",
    "Batch",
    "EpochHeard",
    "EventRow",
    "Heard",
    "Known",
    "OnRecord",
    "Refused",
    "Unusable",
    "Verdict",
    "advance",
    "busy",
    "busy_unread",
    "clone_suspected",
    "judge",
    "limits",
    "read",
    "sort_batch",
    "supersedes",
]
