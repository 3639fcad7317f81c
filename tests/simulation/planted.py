"""Parts with a defect each: what a checker that cannot fail would let pass."""

from collections.abc import Sequence
from dataclasses import replace

from edge.core import actions as act
from hub.core.ingest import Batch
from hub.core.ports import Taken
from protocol.base import Envelope
from protocol.delivery import Audit, AuditAnswer, EventBatch, Receipt, ranges
from protocol.events import Stamp
from tests.simulation.broker import Letter, address
from tests.simulation.checker import Violation
from tests.simulation.clocks import UnitClock
from tests.simulation.database import OnRecordAbove, StreamTable
from tests.simulation.disk import Disk
from tests.simulation.process import UnitProcess
from tests.simulation.store import SimEventStore
from tests.simulation.unit import SimUnit

__all__ = [
    "AcknowledgesBeforeCommit",
    "BelievesEveryReceipt",
    "BelievesPuback",
    "BuriesSilently",
    "DatesByWallClock",
    "ForgetsWhatWasInFlight",
    "HighWaterOverGaps",
    "IgnoresEpochs",
    "LosesCommitsOnPowerCut",
    "NeverAudits",
    "NeverSendsAgain",
    "Violation",
]


class AcknowledgesBeforeCommit(SimEventStore):
    """A hub that answers, and commits only then, which does not always succeed."""

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        taken = self._take(batches)
        if self._chance() < 0.02:
            self.database.roll_back()
        else:
            self.database.commit()
        return taken


class IgnoresEpochs(SimEventStore):
    """A hub that takes an event for known when the unit has sent one with that seq before, in whatever stream."""

    def take(self, batches: Sequence[Batch]) -> list[Taken]:
        known = [{row.event.seq for row in batch.rows if self._elsewhere(batch, row.event.seq)} for batch in batches]
        rest = [
            replace(batch, rows=tuple(row for row in batch.rows if row.event.seq not in seqs))
            for batch, seqs in zip(batches, known, strict=True)
        ]
        return [
            replace(taken, receipt=taken.receipt and _with_duplicates(taken.receipt, seqs))
            for taken, seqs in zip(super().take(rest), known, strict=True)
        ]

    def _elsewhere(self, batch: Batch, seq: int) -> bool:
        epochs = self.database.of_unit.get(batch.unit_id, ())
        return any(epoch != batch.epoch and seq in self.database.streams[batch.unit_id, epoch].rows for epoch in epochs)


def _with_duplicates(receipt: Receipt, seqs: set[int]) -> Receipt:
    return receipt.model_copy(update={"duplicate": (*receipt.duplicate, *ranges(tuple(seqs)))})


class HighWaterOverGaps(SimEventStore):
    """A hub whose high-water mark is the newest seq it has."""

    def _advance(self, verdict: object, table: StreamTable) -> int:
        highest = max(OnRecordAbove(table), default=0)
        before = table.high_water
        self.database.raise_high(table, max(highest, before))
        batch = verdict.batch  # type: ignore[attr-defined]
        self._checker.moved(batch.unit_id, batch.epoch, before, table.high_water)
        return table.high_water


class NeverAudits(SimEventStore):
    """A hub that finds nothing to complain of in any audit."""

    def audit(self, unit_id: str, audit: Audit) -> AuditAnswer | None:  # noqa: ARG002 (the port's signature)
        return AuditAnswer(epoch=audit.epoch, audit_id=audit.audit_id)


class BelievesPuback(UnitProcess):
    """A unit that takes for delivered what the broker has taken."""

    def _send(self, channel: str, message: Envelope, *, retain: bool) -> None:
        super()._send(channel, message, retain=retain)
        if isinstance(message, EventBatch):
            self.journal.delivered(message.epoch, ranges(tuple(event["seq"] for event in message.events)))


class BelievesEveryReceipt(UnitProcess):
    """A unit that takes any receipt for its stream for an answer to what it has sent itself."""

    def _on_letter(self, letter: Letter) -> None:
        message = self.unit.world.wire.decode(address(letter.topic), letter.payload)
        if isinstance(message, Receipt) and not self.dead:
            self.journal.delivered(message.epoch, message.accepted)
        super()._on_letter(letter)


class BuriesSilently(UnitProcess):
    """A unit that takes refused events for delivered, to be rid of them."""

    def _do(self, action: act.Action) -> None:
        if isinstance(action, act.Rejected):
            spans = ranges(tuple(one.seq for one in action.rejections))
            action = act.Delivered(action.epoch, spans)
        super()._do(action)


class ForgetsWhatWasInFlight(UnitProcess):
    """A unit that notes on disk up to where it has sent, and goes on from there after a restart."""

    def __init__(self, unit: SimUnit) -> None:
        super().__init__(unit)
        sent_up_to = int(unit.disk.extra.get("sent_up_to", 0))
        undelivered = self.journal.undelivered

        def after_what_was_sent(after: int, until: int | None, limit: int, max_bytes: int) -> object:
            found = undelivered(max(after, sent_up_to), until, limit, max_bytes)
            if found:
                unit.disk.extra["sent_up_to"] = max(found[-1].place, int(unit.disk.extra.get("sent_up_to", 0)))
            return found

        self.journal.undelivered = after_what_was_sent  # type: ignore[method-assign, assignment]


class NeverSendsAgain(UnitProcess):
    """A unit that sends each batch once and leaves the rest to the broker."""

    def _send(self, channel: str, message: Envelope, *, retain: bool) -> None:
        sent = self.unit.disk.extra.setdefault("sent", set())
        if isinstance(message, EventBatch):
            seqs = {(message.epoch, event["seq"]) for event in message.events}
            if seqs <= sent:
                return
            sent |= seqs
        super()._send(channel, message, retain=retain)


class LosesCommitsOnPowerCut(SimUnit):
    """A unit whose disk lies: the last commits before a power cut are gone (synchronous=NORMAL)."""

    _before: Disk | None = None
    _synced_s = 0.0

    def cover(self, watched_s: float) -> None:
        if self.scheduler.now_s - self._synced_s > 1800:
            self._before, self._synced_s = self.disk.copy(), self.scheduler.now_s
        super().cover(watched_s)

    def power_off(self) -> None:
        super().power_off()
        if self._before is not None:
            self.disk, self._before = self._before, None


class DatesByWallClock(UnitClock):
    """A unit that believes its wall clock, whatever it says, and derives the boot clock from it."""

    def boottime_ns(self) -> int:
        return max(0, self.wall_us() * 1000)

    def stamp(self) -> Stamp:
        return super().stamp()
