"""The hub's database as a model: tables, unique keys, transactions that commit or do not, and an old backup put back.

Verdicts, marks, dates and audits are decided by the hub's own cores; this holds what they read and write.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from hub.core.dating import micros
from hub.core.dating_stream import Reading
from hub.core.errors import Conflict
from hub.core.ingest import EventRow, OnRecord, Refused, Unusable
from protocol.content import Applied
from protocol.events import Anchor
from protocol.status import Status

Place = tuple[str, str, int]
Stream = tuple[str, str]
_REMEMBERED = 3000
"""Transactions that a rollback can take back."""


@dataclass(slots=True, eq=False)
class Record:
    """A row of `events`."""

    event_id: str
    place: Place
    sha256: str
    reading: Reading
    """What it says of time; the hub's own core dates it."""
    student_id: str | None


@dataclass(slots=True, eq=False)
class StreamTable:
    """What is on record of one stream: a row of `epochs`, and its rows of `events` and `quarantine` by seq."""

    first_heard_at: datetime
    last_heard_at: datetime
    boot_id: str | None = None
    high_water: int = 0
    rows: dict[int, Record] = field(default_factory=dict)
    quarantine: dict[int, Refused] = field(default_factory=dict)


class OnRecordAbove(Collection[int]):
    """Every seq of a stream that is on record or in quarantine."""

    def __init__(self, table: StreamTable) -> None:
        self._table = table

    def __contains__(self, seq: object) -> bool:
        return seq in self._table.rows or seq in self._table.quarantine

    def __iter__(self) -> Iterator[int]:
        return iter([*self._table.rows, *self._table.quarantine])

    def __len__(self) -> int:
        return len(self._table.rows) + len(self._table.quarantine)


@dataclass(slots=True)
class _Undo:
    """How to take one transaction back."""

    inserted: list[Record] = field(default_factory=list)
    steps: list[Callable[[], object]] = field(default_factory=list)


class SimDatabase:
    """The tables. One for all hub workers; every transaction is serial, as locks on streams make them."""

    def __init__(self, units: Iterable[str]) -> None:
        self.units = set(units)
        self.by_id: dict[str, Record] = {}
        self.streams: dict[Stream, StreamTable] = {}
        self.of_unit: dict[str, list[str]] = {}
        self.statuses: dict[str, Status] = {}
        self.applied: dict[str, Applied] = {}
        self.unusable: list[Unusable] = []
        self.up = True
        self.transactions = 0
        self.refused_inserts = 0
        self._undo: deque[_Undo] = deque(maxlen=_REMEMBERED)
        self._now = _Undo()

    def stream(self, unit_id: str, epoch: str, at: datetime) -> StreamTable:
        """Return the row of a stream, made now if it is new."""
        table = self.streams.get((unit_id, epoch))
        if table is None:
            table = self.streams[unit_id, epoch] = StreamTable(at, at)
            self.of_unit.setdefault(unit_id, []).append(epoch)
            self._now.steps.append(lambda: self._forget_stream(unit_id, epoch))
        table.last_heard_at = max(table.last_heard_at, at)
        return table

    def _forget_stream(self, unit_id: str, epoch: str) -> None:
        del self.streams[unit_id, epoch]
        self.of_unit[unit_id].remove(epoch)

    def on_record(self, rows: Iterable[EventRow]) -> list[OnRecord]:
        """Return what is on record under the ids and places of these events."""
        found = []
        for row in rows:
            same_id = self.by_id.get(row.event.event_id)
            table = self.streams.get((row.unit_id, row.epoch))
            same_place = table.rows.get(row.event.seq) if table else None
            if same_id is not None:
                found.append(OnRecord(same_id.event_id, same_id.place, same_id.sha256))
            if same_place is not None and same_place is not same_id:
                found.append(OnRecord(same_place.event_id, same_place.place, same_place.sha256))
        return found

    def insert(self, row: EventRow, received_at: datetime) -> Record:
        """Insert an event; the unique keys hold whatever a worker thinks."""
        table = self.streams[row.unit_id, row.epoch]
        if row.event.event_id in self.by_id or row.event.seq in table.rows:
            self.refused_inserts += 1
            raise Conflict("an event with this id or at this place is on record")
        record = Record(row.event.event_id, row.place, row.sha256, _reading(row, received_at), row.student_id)
        self.by_id[record.event_id] = table.rows[row.event.seq] = record
        self._now.inserted.append(record)
        return record

    def refuse(self, refused: Refused) -> None:
        """Keep a refused event."""
        table = self.streams[refused.unit_id, refused.epoch]
        if refused.seq not in table.quarantine:
            table.quarantine[refused.seq] = refused
            self._now.steps.append(lambda: table.quarantine.pop(refused.seq, None))

    def resolve(self, unit_id: str, epoch: str, seqs: Iterable[int]) -> None:
        """Take out of quarantine what has been accepted after all."""
        table = self.streams[unit_id, epoch]
        for seq in seqs:
            one = table.quarantine.pop(seq, None)
            if one is not None:
                self._now.steps.append(partial(table.quarantine.__setitem__, seq, one))

    def raise_high(self, table: StreamTable, high_water: int) -> None:
        """Move a stream's high-water mark."""
        before = table.high_water
        if high_water != before:
            table.high_water = high_water
            self._now.steps.append(lambda: setattr(table, "high_water", before))

    def commit(self) -> None:
        """End the transaction for good."""
        self._undo.append(self._now)
        self._now = _Undo()
        self.transactions += 1

    def roll_back(self) -> None:
        """End the transaction as if it had never begun."""
        self._take_back(self._now)
        self._now = _Undo()

    def restore(self, rows: int) -> list[Record]:
        """Lose the transactions that inserted the last `rows` events; return those events."""
        lost: list[Record] = []
        while len(lost) < rows and self._undo:
            undo = self._undo.pop()
            lost += undo.inserted
            self._take_back(undo)
        return lost

    def _take_back(self, undo: _Undo) -> None:
        for record in undo.inserted:
            unit_id, epoch, seq = record.place
            del self.by_id[record.event_id]
            del self.streams[unit_id, epoch].rows[seq]
        for step in reversed(undo.steps):
            step()


def _reading(row: EventRow, received_at: datetime) -> Reading:
    event = row.event
    return Reading(
        epoch=row.epoch,
        seq=event.seq,
        boot_id=event.boot_id,
        boottime_ns=event.boottime_ns,
        claimed_us=micros(event.at),
        clock=event.clock,
        received_us=micros(received_at),
        anchor_us=micros(event.utc) if isinstance(event, Anchor) else None,
        anchor_error_us=event.error_ms * 1000 if isinstance(event, Anchor) else 0,
    )
