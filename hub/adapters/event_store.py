"""Events in MySQL: several batches in one transaction, each event once, receipts only for what is committed."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, func, or_, select, tuple_, update
from sqlalchemy.dialects.mysql import insert

from hub.adapters import anchor_store, quarantine_store, unit_store
from hub.adapters.attendance_store import Watched, mark_covered, mark_dirty
from hub.adapters.database import Database
from hub.adapters.event_rows import insert_events
from hub.adapters.schema import epochs, events
from hub.core.errors import BadInput, Conflict
from hub.core.ingest import (
    CONFLICT,
    Batch,
    Known,
    OnRecord,
    Refused,
    Unusable,
    Verdict,
    advance,
    judge,
)
from hub.core.ports import Greeting, Taken
from protocol.content import Applied
from protocol.delivery import Hello
from protocol.events import Coverage
from protocol.status import Status

Stream = tuple[str, str]
Result = TypeVar("Result")
_CHUNK = 1000
_ATTEMPTS = 3


class MySqlEventStore:
    """Keeps the contract of `hub.core.ports.EventStore`. `zone` is the school's: it decides an event's local day."""

    def __init__(self, database: Database, zone: ZoneInfo) -> None:
        self._database = database
        self._zone = zone

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        """Commit the new events of several batches at once; return, in their order, what happened to each.

        Raises StoreUnavailable (nothing may be acknowledged) or StoreRefused.
        """
        try:
            return self._take_together(batches)
        except BadInput:
            # One event that the tables cannot hold must not hold back the others for ever.
            if len(batches) > 1:
                return [taken for batch in batches for taken in self.take([batch])]
            return self._take_together([self._without_unstorable(batches[0])])

    def _take_together(self, batches: Sequence[Batch]) -> list[Taken]:
        try:
            # Nearly always every event is new, and its keys say so at less cost than reading first.
            return self._database.run(lambda connection: self._take(connection, batches, reading=False))
        except Conflict:
            return self._until_settled(lambda connection: self._take(connection, batches, reading=True))

    def _until_settled(self, work: Callable[[Connection], Result]) -> Result:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._database.run(work)
            except Conflict:
                # Another process committed one of the events between our reading and our writing.
                continue
        return self._database.run(work)

    def _take(self, connection: Connection, batches: Sequence[Batch], *, reading: bool) -> list[Taken]:
        units = unit_store.serving(connection, {batch.unit_id for batch in batches})
        served = [batch for batch in batches if batch.unit_id in units]
        marks = _lock_streams(connection, served)
        known = Known(_on_record(connection, served) if reading else ())
        verdicts = [judge(batch, known) for batch in served]
        # A key that is taken fails the statement: then everything is judged again by reading.
        insert_events(connection, [(row, v.batch.received_at) for v in verdicts for row in v.new])
        quarantine_store.keep_refused(connection, [(one, v.batch.received_at) for v in verdicts for one in v.refused])
        self._mark_dirty(connection, verdicts)
        anchor_store.rewrite(connection, verdicts, self._zone)
        highs = self._advance_streams(connection, marks, verdicts)
        done = {id(verdict.batch): _taken(verdict, highs) for verdict in verdicts}
        return [done.get(id(batch), Taken(batch, None)) for batch in batches]

    def _mark_dirty(self, connection: Connection, verdicts: Sequence[Verdict]) -> None:
        days: dict[date, set[str]] = defaultdict(set)
        watched = []
        for verdict in verdicts:
            now = verdict.batch.received_at
            for row in verdict.new:
                if row.student_id is not None:
                    days[row.event.at.astimezone(self._zone).date()].add(row.student_id)
                elif isinstance(row.event, Coverage):
                    watched.append(Watched(row.unit_id, row.event.since, row.event.at, now))
        for day in sorted(days):
            mark_dirty(connection, days[day], [day])
        mark_covered(connection, watched, self._zone)

    def _advance_streams(
        self, connection: Connection, marks: dict[Stream, int], verdicts: Sequence[Verdict]
    ) -> dict[Stream, int]:
        settled: dict[Stream, set[int]] = defaultdict(set)
        for verdict in verdicts:
            settled[verdict.batch.unit_id, verdict.batch.epoch] |= verdict.settled
        highs = {stream: advance(before, settled[stream]) for stream, before in marks.items()}
        moved = _over_closed_gaps(connection, highs)
        for stream, after in moved.items():
            # What was watched in there counts only now: nothing that says otherwise is missing any more.
            received_at = max(v.batch.received_at for v in verdicts if v.batch.unit_id == stream[0])
            watched = _coverage_between(connection, stream, (highs[stream], after), received_at)
            mark_covered(connection, watched, self._zone)
        highs |= moved
        for stream, before in sorted(marks.items()):
            if highs[stream] != before:
                connection.execute(
                    update(epochs)
                    .where(epochs.c.unit_id == stream[0], epochs.c.epoch == stream[1])
                    .values(high_water=highs[stream])
                )
        return highs

    def _without_unstorable(self, batch: Batch) -> Batch:
        rows, refused = [], list(batch.refused)
        for row in batch.rows:
            try:
                self._take_together([replace(batch, rows=(row,), refused=())])
            except BadInput as exc:
                refused.append(
                    Refused(row.unit_id, row.epoch, row.event.seq, "unstorable", str(exc), row.body, row.sha256)
                )
            else:
                rows.append(row)
        return replace(batch, rows=tuple(rows), refused=tuple(refused))

    def greet(self, unit_id: str, hello: Hello, at: datetime) -> Greeting | None:
        """Note that a stream is alive; None for a unit that is unknown or revoked."""
        return self._database.run(lambda connection: unit_store.greet(connection, unit_id, hello, at))

    def keep_status(self, unit_id: str, status: Status, at: datetime) -> bool:
        """Keep a unit's status unless a newer one is on record; False for a unit that is unknown or revoked."""
        return self._database.run(lambda connection: unit_store.keep_status(connection, unit_id, status, at))

    def confirm_gallery(self, unit_id: str, applied: Applied, at: datetime) -> bool:
        """Note what a unit has applied and erased; False for a unit that is unknown or revoked."""
        return self._database.run(lambda connection: unit_store.confirm_gallery(connection, unit_id, applied, at))

    def quarantine(self, unusable: Sequence[Unusable]) -> int:
        """Keep messages that cannot be used, up to a bound; return how many were kept."""
        if not unusable:
            return 0
        return self._database.run(lambda connection: quarantine_store.keep_unusable(connection, unusable))


def _lock_streams(connection: Connection, batches: Iterable[Batch]) -> dict[Stream, int]:
    """Lock the streams of these batches and return their high-water marks: one process at a time writes a stream."""
    heard: dict[Stream, datetime] = {}
    for batch in batches:
        heard[batch.unit_id, batch.epoch] = batch.received_at
    if not heard:
        return {}
    statement = insert(epochs).values(high_water=0)
    connection.execute(
        statement.on_duplicate_key_update(last_heard_at=statement.inserted.last_heard_at),
        # In one order everywhere, so that two processes wait for each other instead of deadlocking.
        [
            {"unit_id": unit_id, "epoch": epoch, "first_heard_at": at, "last_heard_at": at}
            for (unit_id, epoch), at in sorted(heard.items())
        ],
    )
    found = connection.execute(
        select(epochs.c.unit_id, epochs.c.epoch, epochs.c.high_water).where(
            tuple_(epochs.c.unit_id, epochs.c.epoch).in_(list(heard))
        )
    )
    return {(row.unit_id, row.epoch): row.high_water for row in found}


def _on_record(connection: Connection, batches: Sequence[Batch]) -> list[OnRecord]:
    """Return what the store has under any id or place of these batches' events."""
    columns = select(events.c.event_id, events.c.unit_id, events.c.epoch, events.c.seq, events.c.payload_sha256)
    ids = sorted({row.event.event_id for batch in batches for row in batch.rows})
    queries = [columns.where(events.c.event_id.in_(ids[at : at + _CHUNK])) for at in range(0, len(ids), _CHUNK)]
    seqs: dict[Stream, set[int]] = defaultdict(set)
    for batch in batches:
        seqs[batch.unit_id, batch.epoch].update(row.event.seq for row in batch.rows)
    queries += [
        columns.where(events.c.unit_id == unit_id, events.c.epoch == epoch, events.c.seq.in_(sorted(wanted)))
        for (unit_id, epoch), wanted in seqs.items()
        if wanted
    ]
    return [
        OnRecord(row.event_id, (row.unit_id, row.epoch, row.seq), row.payload_sha256.hex())
        for query in queries
        for row in connection.execute(query)
    ]


def _over_closed_gaps(connection: Connection, highs: dict[Stream, int]) -> dict[Stream, int]:
    """Return the marks that move on over what earlier transactions settled above a gap that is closed now."""
    moved = {}
    waiting = _next_settled(connection, highs)
    for stream, high_water in highs.items():
        if waiting.get(stream) == high_water + 1:
            moved[stream] = _beyond(connection, stream, high_water)
    return moved


def _next_settled(connection: Connection, highs: dict[Stream, int]) -> dict[Stream, int]:
    """Return, for each stream, the lowest seq on record above its mark: one question for all of them."""
    found: dict[Stream, int] = {}
    for table in (events, quarantine_store.TABLE):
        above = [
            and_(table.c.unit_id == unit_id, table.c.epoch == epoch, table.c.seq > high_water)
            for (unit_id, epoch), high_water in sorted(highs.items())
        ]
        if above:
            query = select(table.c.unit_id, table.c.epoch, func.min(table.c.seq).label("seq"))
            for row in connection.execute(query.where(or_(*above)).group_by(table.c.unit_id, table.c.epoch)):
                stream = (row.unit_id, row.epoch)
                found[stream] = min(row.seq, found.get(stream, row.seq))
    return found


def _beyond(connection: Connection, stream: Stream, high_water: int) -> int:
    while True:
        waiting: set[int] = set()
        for table in (events, quarantine_store.TABLE):
            waiting.update(
                connection.execute(
                    select(table.c.seq)
                    .where(table.c.unit_id == stream[0], table.c.epoch == stream[1], table.c.seq > high_water)
                    .order_by(table.c.seq)
                    .limit(_CHUNK)
                ).scalars()
            )
        after = advance(high_water, waiting)
        if after == high_water:
            return high_water
        high_water = after


def _coverage_between(connection: Connection, stream: Stream, span: tuple[int, int], now: datetime) -> list[Watched]:
    rows = connection.execute(
        select(events.c.body, events.c.at_claimed, events.c.at_corrected).where(
            events.c.unit_id == stream[0],
            events.c.epoch == stream[1],
            events.c.seq > span[0],
            events.c.seq <= span[1],
            events.c.kind == "coverage",
        )
    )
    return [
        Watched(
            stream[0],
            Coverage.model_validate_json(row.body).since + (row.at_corrected - row.at_claimed),
            row.at_corrected,
            now,
        )
        for row in rows
    ]


def _taken(verdict: Verdict, highs: dict[Stream, int]) -> Taken:
    conflicts = sum(1 for event in verdict.refused if event.code == CONFLICT)
    receipt = verdict.receipt(highs[verdict.batch.unit_id, verdict.batch.epoch])
    return Taken(verdict.batch, receipt, conflicts=conflicts, refused=len(verdict.refused))
