"""Events in MySQL: several batches in one transaction, each event once, receipts only for what is committed."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from mysql.connector import Error as ConnectorError
from mysql.connector.connection_cext import MySQLInterfaceError  # type: ignore[attr-defined]
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from hub.adapters import (
    anchor_store,
    audit_store,
    erased_notes,
    quarantine_room,
    quarantine_store,
    stream_marks,
    unit_store,
)
from hub.adapters.attendance_store import LocalDays, Watched, covered, mark_caused
from hub.adapters.database import Database
from hub.adapters.event_rows import insert_events
from hub.adapters.mysql_errors import errno_of
from hub.adapters.schema import events
from hub.adapters.sql_literals import uuid_text, word_text
from hub.adapters.stream_marks import Mark, Stream
from hub.core.dating import watched_since
from hub.core.errors import BadInput, Conflict, StoreBusy
from hub.core.ingest import Batch, Known, OnRecord, Refused, Unusable, Verdict, busy, judge
from hub.core.ports import Greeting, Taken
from protocol.content import Applied
from protocol.delivery import Audit, AuditAnswer, Hello, RangeDigest, SeqRange, ranges
from protocol.events import Coverage
from protocol.status import Status

Result = TypeVar("Result")
_CHUNK = 1000
_PLACES = 200
_TOO_MANY_RETRY_S = 900.0
_ATTEMPTS = 3
_ON_RECORD = f"select event_id, unit_id, epoch, seq, payload_sha256 from {events.name} where "  # noqa: S608 (constant)


class MySqlEventStore:
    """Keeps the contract of `hub.core.ports.EventStore`. `zone` is the school's: it decides an event's local day.

    `replayed_at` is given when somebody has old messages taken after all.
    """

    def __init__(self, database: Database, zone: ZoneInfo, *, replayed_at: datetime | None = None) -> None:
        self._database = database
        self._replayed_at = replayed_at
        self._zone = zone
        self._days = LocalDays(zone)

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
            return self._run(lambda connection: self._take(connection, batches, reading=False))
        except Conflict:
            return self._until_settled(lambda connection: self._take(connection, batches, reading=True))

    def _until_settled(self, work: Callable[[Connection], Result]) -> Result:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._run(work)
            except Conflict:
                # Another process committed one of the events between our reading and our writing.
                continue
        return self._run(work)

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a transaction. Raises as `Database.run`, and StoreBusy for what nobody expected.

        Which is for whoever sent it alone to wait for: it must not end the hub, which would meet it again at once. So
        is a lock that another transaction holds: the others wait meanwhile.
        """
        try:
            return self._database.run(work, attempts=_ATTEMPTS, patient=False)
        except (DBAPIError, ConnectorError, MySQLInterfaceError) as exc:
            # Without its cause, which holds the statement and with it what a message said.
            number = errno_of(exc) or type(exc).__name__
            raise StoreBusy(f"the database finds something wrong that nobody expected: {number}") from None

    def _take(self, connection: Connection, batches: Sequence[Batch], *, reading: bool) -> list[Taken]:
        units = unit_store.serving(connection, {batch.unit_id for batch in batches})
        stream_marks.lock_units(connection, units)
        ours = [batch for batch in batches if batch.unit_id in units]
        heard = {(one.unit_id, one.epoch): one.received_at for one in ours}
        marks = stream_marks.lock(connection, heard, self._replayed_at)
        served = [batch for batch in ours if (batch.unit_id, batch.epoch) in marks]
        known = Known(_on_record(connection, served) if reading else ())
        verdicts = [judge(batch, known) for batch in served]
        erased_notes.drop_from_new(connection, verdicts)
        # A key that is taken fails the statement: then everything is judged again by reading.
        insert_events(connection, ((row, v.batch.received_at) for v in verdicts for row in v.new))
        self._settle_quarantine(connection, verdicts)
        causes = dict.fromkeys(self._concerned(connection, verdicts), "event")
        redated = anchor_store.rewrite(connection, verdicts, self._zone)
        highs, passed = self._advance_streams(connection, marks, verdicts)
        # Last, all at once and in one order: two transactions that mark the same students wait and do not deadlock.
        mark_caused(connection, causes | dict.fromkeys(passed, "event") | dict.fromkeys(redated, "redated"))
        done = {id(batch): Taken(batch, busy(batch, _TOO_MANY_RETRY_S), too_many_streams=True) for batch in ours}
        done |= {id(verdict.batch): _taken(verdict, highs) for verdict in verdicts}
        return [done.get(id(batch), Taken(batch, None)) for batch in batches]

    def _settle_quarantine(self, connection: Connection, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            if verdict.duplicate:
                seqs = verdict.duplicate
                quarantine_store.confirmed_by_unit(connection, verdict.batch.unit_id, verdict.batch.epoch, seqs)
        waiting = quarantine_store.waiting(connection, {verdict.batch.unit_id for verdict in verdicts})
        for verdict in verdicts:
            if verdict.batch.unit_id in waiting:
                quarantine_store.resolve(connection, verdict)
        for verdict in verdicts:
            verdict.refused = erased_notes.drop_from_refused(connection, verdict.refused)
        quarantine_store.keep_refused(connection, [(one, v.batch.received_at) for v in verdicts for one in v.refused])

    def _concerned(self, connection: Connection, verdicts: Sequence[Verdict]) -> set[tuple[str, date]]:
        """Return whose register of which days is to be derived again for the new events."""
        pairs: set[tuple[str, date]] = set()
        watched = []
        for verdict in verdicts:
            now = verdict.batch.received_at
            for row in verdict.new:
                student_id = row.student_id
                if student_id is not None:
                    pairs.add((student_id, self._days.of(row.event.at)))
                elif row.event.kind == "coverage":
                    event = row.event
                    since = watched_since(event.since, event.at, event.watched_s, event.at)
                    watched.append(Watched(row.unit_id, since, event.at, now))
                elif row.event.kind == "review":
                    # Whoever it may have been is not called Not seen before somebody has decided.
                    day = self._days.of(row.event.at)
                    pairs.update((one.student_id, day) for one in row.event.candidates)
        return pairs | covered(connection, watched, self._zone)

    def _advance_streams(
        self, connection: Connection, marks: Mapping[Stream, Mark], verdicts: Sequence[Verdict]
    ) -> tuple[dict[Stream, int], set[tuple[str, date]]]:
        """Return how far each stream is on record now, and what is to be derived again because gaps were closed."""
        settled: dict[Stream, set[int]] = defaultdict(set)
        for verdict in verdicts:
            settled[verdict.batch.unit_id, verdict.batch.epoch] |= verdict.settled
        moved = stream_marks.move(connection, marks, settled)
        with_refused = {(v.batch.unit_id, v.batch.epoch) for v in verdicts if v.refused} | {*moved.passed}
        quarantine_room.forget_places(connection, {one: moved.high_water[one] for one in with_refused})
        watched = []
        for stream, before in moved.passed.items():
            # What was watched in there counts only now: nothing that says otherwise is missing any more.
            span = (before, moved.high_water[stream])
            watched += _coverage_between(connection, stream, span, marks[stream].heard_at)
        return moved.high_water, covered(connection, watched, self._zone)

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
        return self._run(lambda connection: unit_store.greet(connection, unit_id, hello, at))

    def keep_status(self, unit_id: str, status: Status, at: datetime) -> bool:
        """Keep a unit's status unless a newer one is on record; False for a unit that is unknown or revoked."""
        return self._run(lambda connection: unit_store.keep_status(connection, unit_id, status, at))

    def confirm_gallery(self, unit_id: str, applied: Applied, at: datetime) -> bool:
        """Note what a unit has applied and erased; False for a unit that is unknown or revoked."""
        return self._run(lambda connection: unit_store.confirm_gallery(connection, unit_id, applied, at))

    def audit(self, unit_id: str, audit: Audit) -> AuditAnswer | None:
        """Return in which ranges the record differs from the unit's; None for a unit that is unknown or revoked."""
        differing: list[SeqRange] = []
        # A transaction each: nothing that is compared holds anything up, and whoever is revoked meanwhile is not told.
        for some in audit_store.slices(audit) or [[]]:
            found = self._run(partial(_differing, unit_id=unit_id, epoch=audit.epoch, digests=some))
            if found is None:
                return None
            differing += found
        return AuditAnswer(epoch=audit.epoch, audit_id=audit.audit_id, differing=tuple(differing))

    def quarantine(self, unusable: Sequence[Unusable]) -> int:
        """Keep messages that cannot be used, up to a bound and of no unit that is not ours; return how many."""
        if not unusable:
            return 0
        return self._run(lambda connection: _keep_unusable(connection, unusable))


def _keep_unusable(connection: Connection, unusable: Sequence[Unusable]) -> int:
    named = {one.unit_id for one in unusable if one.unit_id is not None}
    ours = unit_store.serving(connection, named) if named else set()
    kept = [one for one in unusable if one.unit_id is None or one.unit_id in ours]
    return quarantine_store.keep_unusable(connection, kept)


def _differing(
    connection: Connection, unit_id: str, epoch: str, digests: Sequence[RangeDigest]
) -> tuple[SeqRange, ...] | None:
    if not unit_store.serving(connection, [unit_id]):
        return None
    return audit_store.differing(connection, unit_id, epoch, digests) if digests else ()


def _on_record(connection: Connection, batches: Sequence[Batch]) -> list[OnRecord]:
    """Return what the store has under any id or place of these batches' events."""
    ids = sorted({row.event.event_id for batch in batches for row in batch.rows})
    wanted = [
        f"event_id in ({','.join(uuid_text(one) for one in ids[at : at + _CHUNK])})"
        for at in range(0, len(ids), _CHUNK)
    ]
    seqs: dict[Stream, set[int]] = defaultdict(set)
    for batch in batches:
        seqs[batch.unit_id, batch.epoch].update(row.event.seq for row in batch.rows)
    places = [
        f"(unit_id={uuid_text(unit_id)} and epoch={word_text(epoch)} and seq between {one.first:d} and {one.last:d})"
        for (unit_id, epoch), theirs in seqs.items()
        for one in ranges(tuple(theirs))
    ]
    # Many together: a unit may leave a gap after every event.
    wanted += [" or ".join(places[at : at + _PLACES]) for at in range(0, len(places), _PLACES)]
    return [
        OnRecord(_uuid(row[0]), (_uuid(row[1]), str(row[2]), row[3]), bytes(row[4]).hex())
        for where in wanted
        for row in connection.exec_driver_sql(_ON_RECORD + where)
    ]


def _uuid(value: bytes) -> str:
    return str(UUID(bytes=bytes(value)))


def _coverage_between(connection: Connection, stream: Stream, span: tuple[int, int], now: datetime) -> list[Watched]:
    rows = connection.execute(
        select(events.c.body, events.c.at_corrected).where(
            events.c.unit_id == stream[0],
            events.c.epoch == stream[1],
            events.c.seq > span[0],
            events.c.seq <= span[1],
            events.c.kind == "coverage",
        )
    )
    watched = []
    for row in rows:
        body = Coverage.model_validate_json(row.body)
        since = watched_since(body.since, body.at, body.watched_s, row.at_corrected)
        watched.append(Watched(stream[0], since, row.at_corrected, now))
    return watched


def _taken(verdict: Verdict, highs: Mapping[Stream, int]) -> Taken:
    return Taken(
        verdict.batch,
        verdict.receipt(highs[verdict.batch.unit_id, verdict.batch.epoch]),
        conflicts=verdict.conflicts,
        refused=len(verdict.refused) - verdict.moved,
        misplaced=len(verdict.misplaced),
        moved=verdict.moved,
    )
