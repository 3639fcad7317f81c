"""The `Journal` on a simulated card: every call is one transaction; a crash leaves the card as before or as after it.

A test can let the program die at either side of a commit, and fill or break the card.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice

from edge.core.errors import StorageFailed, StorageFull
from edge.core.ports import DeadLetter, OpenInterval, Queued, Waiting
from protocol.delivery import RangeDigest, Rejection, SeqRange
from protocol.events import Event
from tests.simulation.clocks import UnitClock, as_utc
from tests.simulation.digests import digests_of
from tests.simulation.disk import DEAD, DELIVERED, WAITING, Disk, Row, Stream
from tests.simulation.facts import Fact, Prepared, fact_of


class DiskJournal:
    """`edge.core.ports.Journal` on a `Disk`, for as long as one process lives.

    `watch` is told of every row that is taken for delivered; `crash` is asked at both sides of every commit.
    """

    def __init__(
        self,
        disk: Disk,
        clock: UnitClock,
        true_us: Callable[[], int],
        watch: Callable[[Sequence[Row]], None],
        written: Callable[[Sequence[Row]], None],
        prepared: dict[str, Prepared] | None = None,
    ) -> None:
        self.disk = disk
        self._clock = clock
        self._true_us = true_us
        self._watch = watch
        self._written = written
        self.crash: Callable[[str], None] | None = None
        self.dead = False
        """The process that had this journal was killed."""
        self._prepared = {} if prepared is None else prepared
        """Events as they are sent, by id: whoever reads them elsewhere need not parse them."""

    # ---- transactions ----------------------------------------------------------------------------------------------

    def _begin(self, what: str) -> Disk:
        disk = self.disk
        if self.dead:
            raise AssertionError(f"a process that was killed calls {what}")
        if self.crash is not None:
            self.crash(f"before {what}")
        if disk.full:
            raise StorageFull("the disk is full", hint="free some space")
        if disk.broken:
            raise StorageFailed("the disk does not answer", hint="check the disk")
        return disk

    def _committed(self, what: str) -> None:
        if self.crash is not None:
            self.crash(f"after {what}")

    # ---- what happened ---------------------------------------------------------------------------------------------

    @property
    def epoch(self) -> str:
        return self.disk.epoch

    def next_session(self) -> int:
        if not self.disk.full:
            self.disk.session += 1
            return self.disk.session
        return self.disk.session + 1

    def append(self, events: Sequence[Event]) -> list[Event]:
        if not events:
            return []
        rows = self.write([fact_of(event, self._true_us()) for event in events])
        return [event.model_copy(update={"seq": row.seq}) for event, row in zip(events, rows, strict=True)]

    def write(self, facts: Sequence[Fact]) -> list[Row]:
        """Do what `append` does, without the protocol's models."""
        disk = self._begin("append")
        stream = disk.streams[disk.epoch]
        rows = []
        for fact in facts:
            stream.last += 1
            row = Row(fact, disk.epoch, stream.last, 0)
            stream.rows[stream.last] = row
            disk.put(row)
            if fact.kind == "seen":
                disk.open[fact.event_id] = fact
            elif fact.kind == "left":
                disk.open.pop(fact.interval_id, None)
            rows.append(row)
        self._written(rows)
        self._committed("append")
        return rows

    def keep_open(self, intervals: Sequence[OpenInterval]) -> None:  # noqa: ARG002 (the port's signature)
        self._begin("keep_open")

    def open_intervals(self) -> list[OpenInterval]:
        return []

    # ---- what waits ------------------------------------------------------------------------------------------------

    def undelivered(self, after: int, until: int | None, limit: int, max_bytes: int) -> list[Queued]:
        disk = self.disk
        if not disk.waiting:
            return []
        queue, base = disk.queue, disk.base
        end = len(queue) if until is None else min(len(queue), until + 1 - base)
        at = max(disk.head, after + 1 - base)
        found: list[Queued] = []
        epoch, size = "", 0
        while at < end and len(found) < limit:
            row = queue[at]
            at += 1
            if row is None:
                continue
            if found and row.epoch != epoch:
                break
            prepared = row.ready()
            size += len(prepared.text) + 1
            if found and size > max_bytes:
                break
            epoch = row.epoch
            self._prepared[row.fact.event_id] = prepared
            found.append(Queued(row.place, epoch, prepared.body))
        return found

    def last_place(self) -> int:
        return self.disk.base + len(self.disk.queue) - 1

    def delivered(self, epoch: str, ranges: Sequence[SeqRange]) -> int:
        return self._settle("delivered", epoch, {seq: None for one in ranges for seq in range(one.first, one.last + 1)})

    def rejected(self, epoch: str, rejections: Sequence[Rejection]) -> int:
        return self._settle("rejected", epoch, {one.seq: one for one in rejections})

    def _settle(self, what: str, epoch: str, answers: dict[int, Rejection | None]) -> int:
        if not answers:
            return 0
        disk = self._begin(what)
        stream = disk.streams.get(epoch)
        if stream is None:
            return 0
        now_us = self._clock.wall_us()
        done = []
        for seq, rejection in answers.items():
            row = stream.rows.get(seq)
            if row is not None and row.state == WAITING:
                disk.settle(row, DELIVERED if rejection is None else DEAD)
                row.settled_us, row.rejection = now_us, rejection
                disk.dead += rejection is not None
                self._prepared.pop(row.fact.event_id, None)
                done.append(row)
        _raise_low(stream)
        self._watch(done)
        self._committed(what)
        return len(done)

    def requeue(self, epoch: str, ranges: Sequence[SeqRange]) -> int:
        disk = self._begin("requeue")
        stream = disk.streams.get(epoch)
        again = [
            row
            for one in ranges
            for seq in range(one.first, min(one.last, stream.last if stream else 0) + 1)
            if stream and (row := stream.rows.get(seq)) is not None and row.state == DELIVERED
        ]
        self._put_back(again)
        self._committed("requeue")
        return len(again)

    def _put_back(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.disk.put(row)
            stream = self.disk.streams[row.epoch]
            stream.low = min(stream.low, row.seq - 1)

    def begin_epoch(self) -> str:
        self._begin("begin_epoch").begin_epoch()
        self._committed("begin_epoch")
        return self.disk.epoch

    def renumber(self, epoch: str, seqs: Sequence[int]) -> int:
        disk = self._begin("renumber")
        if epoch == disk.epoch:
            raise ValueError("the present epoch is not renumbered")
        if epoch not in disk.streams:
            return 0
        old, new = disk.streams[epoch], disk.streams[disk.epoch]
        waiting = [row for seq in set(seqs) if (row := old.rows.get(seq)) is not None and row.state == WAITING]
        for row in sorted(waiting, key=lambda one: one.place):
            disk.settle(row, WAITING)
            del old.rows[row.seq]
            new.last += 1
            row.epoch, row.seq = disk.epoch, new.last
            new.rows[new.last] = row
            disk.put(row)
        _raise_low(old)
        self._committed("renumber")
        return len(waiting)

    # ---- looking back ----------------------------------------------------------------------------------------------

    def digests(self, epoch: str, size: int, most: int, below: int | None = None) -> list[RangeDigest]:
        stream = self.disk.streams.get(epoch)
        if stream is None:
            return []
        found: list[RangeDigest] = []
        last = stream.last if below is None else min(stream.last, below - 1)
        for number in range((last - 1) // size, -1, -1):
            found = digests_of(stream, number * size + 1, min(last, (number + 1) * size)) + found
            if len(found) >= most:
                break
        return found[-most:]

    def epochs(self) -> list[str]:
        return [name for name, stream in self.disk.streams.items() if stream.rows and name != self.disk.epoch] + [
            self.disk.epoch
        ]

    def kept_seq(self) -> int | None:
        return min(self.disk.streams[self.disk.epoch].rows, default=None)

    def dead_letters(self) -> list[DeadLetter]:
        return [
            DeadLetter(
                row.epoch, row.seq, row.rejection.code, row.rejection.detail, as_utc(row.settled_us), row.ready().body
            )
            for stream in self.disk.streams.values()
            for row in stream.rows.values()
            if row.state == DEAD and row.rejection is not None
        ]

    def refusals(self, epoch: str, first: int, last: int, code: str | None = None) -> list[tuple[int, str]]:
        stream = self.disk.streams.get(epoch)
        if stream is None or not self.disk.dead:
            return []
        dead = [row for row in stream.rows.values() if row.state == DEAD and first <= row.seq <= last]
        return sorted(
            (one.seq, one.rejection.code) for one in dead if one.rejection and code in (None, one.rejection.code)
        )

    def retry(self, letters: Sequence[tuple[str, int]] | None) -> int:
        disk = self._begin("retry")
        wanted = None if letters is None else set(letters)
        again = [
            row
            for stream in disk.streams.values()
            for row in stream.rows.values()
            if row.state == DEAD and (wanted is None or (row.epoch, row.seq) in wanted)
        ]
        self._put_back(again)
        disk.dead -= len(again)
        self._committed("retry")
        return len(again)

    def prune(self, delivered_before: datetime) -> int:
        disk = self._begin("prune")
        if self._clock.quality != "synced":
            # By a clock that may be wrong nothing is deleted.
            return 0
        before_us = int(delivered_before.timestamp() * 1e6)
        gone = 0
        for stream in disk.streams.values():
            old = [s for s, row in stream.rows.items() if row.state == DELIVERED and row.settled_us < before_us]
            for seq in old:
                del stream.rows[seq]
            gone += len(old)
        self._committed("prune")
        return gone

    def positions(self) -> tuple[int, int]:
        stream = self.disk.streams[self.disk.epoch]
        return stream.last, stream.low

    def waiting(self) -> Waiting:
        disk = self.disk
        oldest = next((row for row in islice(disk.queue, disk.head, None) if row is not None), None)
        return Waiting(disk.waiting, as_utc(oldest.fact.at_us) if oldest else None, disk.dead)


def _raise_low(stream: Stream) -> None:
    low, rows = stream.low, stream.rows
    while low < stream.last and ((row := rows.get(low + 1)) is None or row.state != WAITING):
        low += 1
    stream.low = low
