"""What must hold, judged from outside: by a ledger of everything that any disk ever committed.

I1 nothing is held for delivered that the hub does not have. I2 nothing is at the hub twice, and nothing is there that
nobody wrote down. I3 once everything is quiet, whatever is written down is at the hub, or a dead letter on both sides.
H1 a high-water mark claims nothing that is not there. H2 a receipt confirms nothing that is not committed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from edge.core.greeting import NO_ANSWER
from protocol.delivery import Receipt
from tests.simulation.database import Record, SimDatabase, StreamTable
from tests.simulation.disk import DEAD, DELIVERED, WAITING, Disk, Row
from tests.simulation.facts import Fact

MOST_TOLD = 20


class Violation(AssertionError):
    """Something that must never happen has happened."""


@dataclass(slots=True)
class Checker:
    """Keeps the ledger. `strict` raises at the first violation, otherwise they are collected."""

    database: SimDatabase
    now_s: Callable[[], float]
    strict: bool = False
    ledger: dict[str, Fact] = field(default_factory=dict)
    """Everything ever committed to a unit's disk, by event id."""
    disowned: set[str] = field(default_factory=set)
    """Events that were only on a disk that is gone (an old copy was put back): they may be at the hub or not."""
    rolled_back: set[str] = field(default_factory=set)
    """Events that the hub's database has lost since it confirmed them; the audit has to find them."""
    restored: bool = False
    """The database was restored: a refusal that is on its way may be of a row that it has lost. Judged at rest."""
    violations: list[str] = field(default_factory=list)
    written_down: int = 0
    confirmed: int = 0

    def fail(self, what: str) -> None:
        """Note a violation."""
        text = f"at {self.now_s():.3f} s: {what}"
        if len(self.violations) < MOST_TOLD:
            self.violations.append(text)
        if self.strict:
            raise Violation(text)

    # ---- while it runs ---------------------------------------------------------------------------------------------

    def written(self, rows: Sequence[Row]) -> None:
        """A disk has committed new events."""
        self.written_down += len(rows)
        for row in rows:
            if row.fact.event_id in self.ledger:
                self.fail(f"event {row.fact.event_id} was written down twice")
            self.ledger[row.fact.event_id] = row.fact

    def settled(self, rows: Sequence[Row]) -> None:
        """A disk has committed that events are delivered or refused: now they must be at the hub (I1)."""
        self.confirmed += len(rows)
        by_id = self.database.by_id
        for row in rows:
            event_id = row.fact.event_id
            if row.state == DELIVERED:
                record = by_id.get(event_id)
                if record is None and event_id not in self.rolled_back:
                    self.fail(f"I1: {_name(row)} is held for delivered and is not at the hub")
                elif record is not None and row.hash64 and int(record.sha256[:16], 16) != row.hash64:
                    self.fail(f"I1: {_name(row)} is held for delivered, the hub has another content")
            elif row.state == DEAD and not (_put_aside(row) or self.restored or event_id in by_id):
                table = self._table_of(row)
                if table is None or row.seq not in table.quarantine:
                    self.fail(f"I3: {_name(row)} is a dead letter and is not in quarantine at the hub")

    def _table_of(self, row: Row) -> StreamTable | None:
        return next(
            (
                table
                for (_, epoch), table in self.database.streams.items()
                if epoch == row.epoch and row.seq in table.quarantine
            ),
            None,
        )

    def receipt(self, unit_id: str, receipt: Receipt) -> None:
        """A hub worker publishes a receipt: everything it confirms must be committed (H1, H2)."""
        table = self.database.streams.get((unit_id, receipt.epoch))
        if table is None:
            if receipt.accepted or receipt.duplicate or receipt.high_water:
                self.fail(f"H2: a receipt for a stream that is not on record, epoch {receipt.epoch}")
            return
        for one in (*receipt.accepted, *receipt.duplicate):
            missing = next((seq for seq in range(one.first, one.last + 1) if seq not in table.rows), None)
            if missing is not None:
                self.fail(f"H2: a receipt confirms seq {missing} of {receipt.epoch}, which is not committed")
        self.high_water(unit_id, receipt.epoch, receipt.high_water)

    def high_water(self, unit_id: str, epoch: str, claimed: int) -> None:
        """A mark is told to a unit: it must not be above what is on record (H1)."""
        table = self.database.streams.get((unit_id, epoch))
        if claimed > (table.high_water if table else 0):
            self.fail(f"H1: a high-water mark of {claimed} is told for {epoch}, the record says less")

    def moved(self, unit_id: str, epoch: str, before: int, after: int) -> None:
        """A transaction moves a mark from `before` to `after`."""
        table = self.database.streams[unit_id, epoch]
        for seq in range(before + 1, after + 1):
            if seq not in table.rows and seq not in table.quarantine:
                self.fail(f"H1: the high-water mark of {epoch} moves to {after}, and seq {seq} is not on record")
                return

    def lost_by_database(self, records: Iterable[Record]) -> None:
        """An old backup was put back at the hub."""
        self.restored = True
        self.rolled_back.update(record.event_id for record in records)

    def lost_by_disk(self, before: Disk, after: Disk, others: Iterable[Disk] = ()) -> None:
        """A disk was replaced by an old copy: what was only there is nobody's any more."""
        kept = {fact.event_id for disk in (after, *others) for fact in disk.facts()}
        self.disowned.update(fact.event_id for fact in before.facts() if fact.event_id not in kept)

    # ---- at the end ------------------------------------------------------------------------------------------------

    def at_rest(self, disks: Iterable[Disk]) -> None:
        """Everything is quiet: judge what is where (I1, I2, I3, H1)."""
        by_id = self.database.by_id
        seen: set[str] = set()
        for disk in disks:
            for stream in disk.streams.values():
                for row in stream.rows.values():
                    seen.add(row.fact.event_id)
                    self._at_rest(row, by_id)
        for event_id, fact in self.ledger.items():
            if event_id not in seen and event_id not in by_id and event_id not in self.disowned:
                self.fail(f"I3: {fact.kind} {event_id} was written down and is nowhere")
        for event_id in by_id:
            if event_id not in self.ledger:
                self.fail(f"I2: event {event_id} is at the hub and nobody wrote it down")
        for (unit_id, epoch), table in self.database.streams.items():
            self.moved(unit_id, epoch, 0, table.high_water)

    def _at_rest(self, row: Row, by_id: dict[str, Record]) -> None:
        event_id = row.fact.event_id
        if row.state == WAITING:
            self.fail(f"I3: {_name(row)} still waits")
        elif row.state == DELIVERED and event_id not in by_id:
            self.fail(f"I1: {_name(row)} is held for delivered and is not at the hub")
        elif row.state == DEAD and event_id not in by_id:
            table = self._table_of(row)
            if table is None:
                self.fail(f"I3: {_name(row)} is a dead letter on the unit only")

    def count_lost(self, disks: Iterable[Disk]) -> int:
        """Return how many events were written down, not disowned, and are neither at the hub nor a dead letter."""
        dead = {
            row.fact.event_id
            for disk in disks
            for stream in disk.streams.values()
            for row in stream.rows.values()
            if row.state == DEAD
        }
        gone = self.ledger.keys() - self.database.by_id.keys()
        return len(gone - self.disowned - dead)


def _put_aside(row: Row) -> bool:
    # By the unit alone, since the hub answers others and never this one: it comes again with the next audit.
    return row.rejection is not None and row.rejection.code == NO_ANSWER


def _name(row: Row) -> str:
    return f"{row.fact.kind} {row.fact.event_id} (seq {row.seq} of {row.epoch})"
