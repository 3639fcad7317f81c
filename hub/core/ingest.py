"""What becomes of a unit's messages: which events are new, known, or never to be taken. No database, no broker here.

The store (`hub.adapters.event_store`) asks `judge` inside its transaction, with what is on record read under a lock.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from protocol import codec, topics
from protocol.base import Envelope, canonical_bytes, sha256_hex
from protocol.delivery import EventBatch, Receipt, Rejection, ranges
from protocol.errors import BadEvent, ProtocolError, TooLarge, UnknownTopic, WrongVersion
from protocol.events import Anchor, Coverage, Event, Left, Mark, Seen, parse_event
from protocol.status import Status

CONFLICT = "conflict"
_MAX_DETAIL = 200
_MAX_BODY = 60_000
# A clock that was never set says 1970; MySQL's own times end in 9999 and begin in 1000.
_FIRST_YEAR, _LAST_YEAR = 1970, 2200
_MAX_BOOTTIME_NS = 2**61
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
        return Unusable(_code(exc), str(exc)[:_MAX_DETAIL], arrival, unit_id)
    except (ValueError, RecursionError) as exc:
        return Unusable("invalid", type(exc).__name__, arrival, unit_id)
    return Heard(unit_id, message, arrival.received_at, arrival.retained)


def _code(exc: ProtocolError) -> str:
    for kind, code in ((UnknownTopic, "foreign_topic"), (WrongVersion, "wrong_version"), (TooLarge, "too_large")):
        if isinstance(exc, kind):
            return code
    return "invalid"


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event that was understood, with the exact text that is kept."""

    unit_id: str
    epoch: str
    event: Event
    body: bytes
    sha256: str

    @property
    def place(self) -> tuple[str, str, int]:
        """Where it stands in the stream of its unit."""
        return self.unit_id, self.epoch, self.event.seq

    @property
    def student_id(self) -> str | None:
        """Whom it is about, if it is about one student."""
        return self.event.student_id if isinstance(self.event, Seen | Left | Mark) else None


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that will never be taken, kept in quarantine."""

    unit_id: str
    epoch: str
    seq: int
    code: str
    detail: str
    body: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch with its events sorted into understood and refused."""

    unit_id: str
    epoch: str
    batch_id: str
    rows: tuple[EventRow, ...]
    refused: tuple[Refused, ...]
    received_at: datetime


def sort_batch(unit_id: str, batch: EventBatch, received_at: datetime) -> Batch:
    """Return the batch with each event understood or refused: one poison event never holds back the others."""
    rows, refused = [], []
    for raw in batch.events:
        body = _body(raw)
        sha256 = sha256_hex(body)
        try:
            event = parse_event(raw)
            _check_storable(event, body)
        except BadEvent as exc:
            detail = str(exc)[:_MAX_DETAIL]
            refused.append(Refused(unit_id, batch.epoch, raw["seq"], exc.code, detail, body, sha256))
        else:
            rows.append(EventRow(unit_id, batch.epoch, event, body, sha256))
    return Batch(unit_id, batch.epoch, batch.batch_id, tuple(rows), tuple(refused), received_at)


def _body(raw: Mapping[str, Any]) -> bytes:
    try:
        return canonical_bytes(raw)
    except ValueError:
        # Infinities and half characters are no JSON. `parse_event` refuses them; quarantine keeps this form.
        return json.dumps(raw, sort_keys=True).encode()


def _check_storable(event: Event, body: bytes) -> None:
    """Raise BadEvent for what the protocol allows and the tables cannot hold: it would fail at every attempt."""
    if len(body) > _MAX_BODY:
        raise BadEvent("too_large", f"an event of {len(body)} bytes, at most {_MAX_BODY} are kept")
    moments = [event.at]
    if isinstance(event, Coverage):
        moments.append(event.since)
    if isinstance(event, Anchor):
        moments.append(event.utc)
    if not all(_FIRST_YEAR <= moment.year <= _LAST_YEAR for moment in moments) or event.boottime_ns >= _MAX_BOOTTIME_NS:
        raise BadEvent("invalid", "a time outside of what any clock says")


@dataclass(frozen=True, slots=True)
class OnRecord:
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

    def compare(self, row: EventRow) -> Literal["new", "same", "other"]:
        """Tell whether the event is new, on record as it is, or contradicts what is on record."""
        same_id, same_place = self._by_id.get(row.event.event_id), self._by_place.get(row.place)
        if same_id is None and same_place is None:
            return "new"
        return "same" if same_id is not None and same_id is same_place and same_id.sha256 == row.sha256 else "other"


@dataclass(slots=True)
class Verdict:
    """What to do with one batch."""

    batch: Batch
    new: list[EventRow] = field(default_factory=list)
    duplicate: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    @property
    def settled(self) -> set[int]:
        """Every seq that is on record or refused once this verdict is committed."""
        return {row.event.seq for row in self.new} | set(self.duplicate) | {event.seq for event in self.refused}

    def receipt(self, high_water: int) -> Receipt:
        """Return the receipt, to be sent after the commit and never before."""
        taken = {row.event.seq for row in self.new}
        repeated = set(self.duplicate) - taken
        # A seq that came twice in one batch, once usable, is on record: the unit must not bury it.
        poison = {event.seq: event for event in self.refused if event.seq not in taken | repeated}
        return Receipt(
            epoch=self.batch.epoch,
            batch_id=self.batch.batch_id,
            accepted=ranges(tuple(taken)),
            duplicate=ranges(tuple(repeated)),
            rejected=tuple(
                Rejection(seq=event.seq, code=event.code, detail=event.detail) for _, event in sorted(poison.items())
            ),
            high_water=high_water,
        )


def judge(batch: Batch, known: Known) -> Verdict:
    """Return what is new, what is a duplicate and what contradicts the record; `known` learns the new events."""
    verdict = Verdict(batch, refused=list(batch.refused))
    for row in batch.rows:
        match known.compare(row):
            case "new":
                verdict.new.append(row)
                known.add(OnRecord(row.event.event_id, row.place, row.sha256))
            case "same":
                verdict.duplicate.append(row.event.seq)
            case "other":
                verdict.refused.append(
                    Refused(
                        row.unit_id,
                        row.epoch,
                        row.event.seq,
                        CONFLICT,
                        "its id or seq is on record with another content",
                        row.body,
                        row.sha256,
                    )
                )
    return verdict


def advance(high_water: int, settled: Collection[int]) -> int:
    """Return the largest seq up to which every seq is at or below `high_water` or in `settled`."""
    while high_water + 1 in settled:
        high_water += 1
    return high_water


def busy(batch: Batch, retry_after_s: float) -> Receipt:
    """Return the receipt that says: nothing was taken, send again later."""
    return Receipt(epoch=batch.epoch, batch_id=batch.batch_id, result="busy", retry_after_s=retry_after_s)


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
