"""`EventStore` over the simulated database: what the SQL of the real one does, with the hub's own cores deciding.

A transaction may be refused, may commit and lose its reply, and the worker may die at either side of the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Literal

from hub.core.errors import Conflict, StoreUnavailable
from hub.core.ingest import Batch, EpochHeard, Known, Unusable, Verdict, advance, clone_suspected, judge, supersedes
from hub.core.ports import Greeting, Taken
from protocol.content import Applied
from protocol.delivery import Audit, AuditAnswer, Hello, RangeDigest, SeqRange, xor64
from protocol.status import Status
from tests.simulation.checker import Checker
from tests.simulation.database import OnRecordAbove, SimDatabase, StreamTable

Trouble = Literal["refused", "reply lost"]
_BOOTS_REMEMBERED = 8

if TYPE_CHECKING:
    from tests.simulation.galleries import SimGalleries


class SimEventStore:
    """Keeps the contract of `hub.core.ports.EventStore` for one worker."""

    def __init__(self, database: SimDatabase, checker: Checker, chance: Random) -> None:
        self.database = database
        self._checker = checker
        self._chance = chance.random
        self.galleries: SimGalleries | None = None
        self.failed = False
        """A transaction has failed since somebody looked."""
        self.refuses = 0.0
        """Share of transactions that a deadlock or a broken connection ends before they commit."""
        self.loses_replies = 0.0
        """Share of commits that succeed and report a failure."""
        self.crash: Callable[[str], None] | None = None
        self.trouble: Trouble | None = None
        """What happens to the next transaction, once."""

    # ---- transactions ----------------------------------------------------------------------------------------------

    def _begin(self, what: str) -> None:
        if self.crash is not None:
            self.crash(f"before {what}")
        if not self.database.up:
            self.failed = True
            raise StoreUnavailable("no database listens")
        if self.trouble == "refused" or (self.refuses and self._chance() < self.refuses):
            self.trouble, self.failed = None, True
            raise StoreUnavailable("deadlock found when trying to get lock")

    def _commit(self, what: str) -> None:
        self.database.commit()
        if self.crash is not None:
            self.crash(f"after {what}")
        if self.trouble == "reply lost" or (self.loses_replies and self._chance() < self.loses_replies):
            self.trouble, self.failed = None, True
            raise StoreUnavailable("lost connection during query")

    # ---- the port --------------------------------------------------------------------------------------------------

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        self._begin("take")
        try:
            taken = self._take(batches)
        except Conflict:
            # The core took for new what a unique key does not let in: the real store would judge again, in vain.
            self.database.roll_back()
            raise
        self._commit("take")
        return taken

    def _take(self, batches: Sequence[Batch]) -> list[Taken]:
        database = self.database
        served = [batch for batch in batches if batch.unit_id in database.units]
        tables = [database.stream(batch.unit_id, batch.epoch, batch.received_at) for batch in served]
        known = Known(database.on_record(row for batch in served for row in batch.rows))
        verdicts = [judge(batch, known) for batch in served]
        for verdict in verdicts:
            self._write(verdict)
        self.date(verdicts)
        highs = [self._advance(verdict, table) for verdict, table in zip(verdicts, tables, strict=True)]
        done = {
            id(verdict.batch): Taken(
                verdict.batch,
                verdict.receipt(high),
                conflicts=verdict.conflicts,
                refused=len(verdict.refused),
                misplaced=len(verdict.misplaced),
            )
            for verdict, high in zip(verdicts, highs, strict=True)
        }
        return [done.get(id(batch)) or Taken(batch, None) for batch in batches]

    def _write(self, verdict: Verdict) -> None:
        for row in verdict.new:
            self.database.insert(row, verdict.batch.received_at)
        for refused in verdict.refused:
            self.database.refuse(refused)
        seqs = [*(row.event.seq for row in verdict.new), *verdict.duplicate]
        self.database.resolve(verdict.batch.unit_id, verdict.batch.epoch, seqs)

    def date(self, verdicts: Sequence[Verdict]) -> None:
        """Date what came, and anew what it explains."""

    def _advance(self, verdict: Verdict, table: StreamTable) -> int:
        before = table.high_water
        # As the real store does it: over this batch, and then over what waited above a gap that is closed now.
        after = advance(advance(before, verdict.settled), OnRecordAbove(table))
        self._checker.moved(verdict.batch.unit_id, verdict.batch.epoch, before, after)
        self.database.raise_high(table, after)
        return after

    def greet(self, unit_id: str, hello: Hello, at: datetime) -> Greeting | None:
        self._begin("greet")
        if unit_id not in self.database.units:
            return None
        database = self.database
        mine = database.stream(unit_id, hello.epoch, at)
        mine.boot_id = hello.boot_id
        if self.galleries is not None:
            self.galleries.heard(unit_id, hello.gallery_revision)
        others = [
            EpochHeard(name, table.boot_id, table.first_heard_at, table.last_heard_at)
            for name in database.of_unit[unit_id][-_BOOTS_REMEMBERED:]
            if name != hello.epoch and (table := database.streams[unit_id, name])
        ]
        heard = EpochHeard(hello.epoch, mine.boot_id, mine.first_heard_at, mine.last_heard_at)
        greeting = Greeting(high_water=mine.high_water, clone_suspected=clone_suspected(heard, others, at))
        self._commit("greet")
        return greeting

    def keep_status(self, unit_id: str, status: Status, at: datetime) -> bool:  # noqa: ARG002 (the port's signature)
        self._begin("keep_status")
        if unit_id not in self.database.units:
            return False
        if supersedes(status, self.database.statuses.get(unit_id)):
            self.database.statuses[unit_id] = status
        return True

    def confirm_gallery(self, unit_id: str, applied: Applied, at: datetime) -> bool:  # noqa: ARG002
        self._begin("confirm_gallery")
        if unit_id not in self.database.units:
            return False
        if self.galleries is not None:
            self.galleries.confirm(unit_id, applied)
        return True

    def quarantine(self, unusable: Sequence[Unusable]) -> int:
        if unusable:
            self._begin("quarantine")
            self.database.unusable.extend(unusable)
        return len(unusable)

    def audit(self, unit_id: str, audit: Audit) -> AuditAnswer | None:
        self._begin("audit")
        if unit_id not in self.database.units:
            return None
        table = self.database.streams.get((unit_id, audit.epoch))
        differing = tuple(
            SeqRange(first=one.first, last=one.last) for one in audit.digests if one.count and _differs(one, table)
        )
        return AuditAnswer(epoch=audit.epoch, audit_id=audit.audit_id, differing=differing)


def _differs(told: RangeDigest, table: StreamTable | None) -> bool:
    rows = table.rows if table else {}
    held = [rows[seq].sha256 for seq in range(told.first, told.last + 1) if seq in rows]
    return (len(held), xor64(held)) != (told.count, told.xor64)
