"""The unit's record on disk: events, what of them is still to be delivered, and what the hub refused."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from edge.adapters.clock_system import SystemClock
from edge.adapters.sqlite_delivered import digests, last_delivery_at, prune, prune_early, receipt_moment
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_history import Row, dead_letters, history, refusals
from edge.adapters.sqlite_intervals import follow_interval, keep_open, open_intervals
from edge.adapters.sqlite_rows import (
    ROWS_AT_ONCE,
    body_hash,
    event_row,
    last_seq,
    read_body,
    read_moment,
    set_last_seq,
    utc_text,
)
from edge.adapters.sqlite_schema import new_epoch
from edge.core.errors import StorageFull
from edge.core.ports import Clock, DeadLetter, OpenInterval, Queued, Waiting
from protocol.base import canonical_bytes
from protocol.delivery import RangeDigest, Rejection, SeqRange
from protocol.events import Event

_NO_END = 2**62

_APPEND = """INSERT INTO events (epoch, seq, event_id, kind, at, body, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)"""
_QUEUE = "INSERT INTO outbox (epoch, seq) VALUES (?, ?)"


class SqliteJournal:
    """`edge.core.ports.Journal` in the unit's database file. Any thread.

    The clock dates receipts and refusals, and nothing else.
    """

    def __init__(self, file: UnitFile, clock: Clock | None = None) -> None:
        self._file = file
        self._clock = clock or SystemClock()
        with file.reading() as db:
            self._epoch = str(db.execute("SELECT epoch FROM streams ORDER BY number DESC LIMIT 1").fetchone()[0])

    @property
    def epoch(self) -> str:
        """The present stream."""
        return self._epoch

    def next_session(self) -> int:
        """Return one more than the last time, also when the disk is too full to remember it."""
        with self._file.reading() as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'session'").fetchone()
        if row and not row[0].isdecimal():
            raise self._file.damage("the count of starts is not what was written down")
        session = int(row[0]) + 1 if row else 1
        with suppress(StorageFull), self._file.writing() as db:
            # A unit must start on a full disk: recognition goes on, and somebody has to be told.
            db.table("meta").upsert({"name": "session", "value": str(session)}, pk="name")
        return session

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Give each event its seq and commit all of them, or none."""
        if not events:
            return []
        with self._file.writing() as db:
            last = last_seq(db, self._epoch)
            numbered = [event.model_copy(update={"seq": last + n}) for n, event in enumerate(events, 1)]
            db.conn.executemany(_APPEND, (event_row(self._epoch, event) for event in numbered))
            db.conn.executemany(_QUEUE, ((self._epoch, event.seq) for event in numbered))
            for event in numbered:
                follow_interval(db, event)
            set_last_seq(db, self._epoch, last + len(numbered))
        return numbered

    def keep_open(self, intervals: Sequence[OpenInterval]) -> None:
        """Remember until when the students of open intervals were seen."""
        keep_open(self._file, intervals)

    def open_intervals(self) -> list[OpenInterval]:
        """Return the intervals that have a `seen` and no `left`."""
        return open_intervals(self._file)

    def undelivered(self, after: int, until: int | None, limit: int, max_bytes: int) -> list[Queued]:
        """Return undelivered events of one epoch by rising place."""
        found: list[Queued] = []
        size = 0
        with self._file.reading() as db:
            rows = db.execute(
                """SELECT place, epoch, body, sha256 FROM outbox JOIN events USING (epoch, seq)
                   WHERE place > ? AND place <= ? ORDER BY place LIMIT ?""",
                [after, _NO_END if until is None else until, limit],
            ).fetchall()
        for place, epoch, body, sha256 in rows:
            size += len(body.encode()) + 1
            if found and (size > max_bytes or epoch != found[0].epoch):
                break
            found.append(Queued(place, epoch, read_body(self._file, body, sha256)))
        return found

    def last_place(self) -> int:
        """Return the highest place in the queue's order so far."""
        with self._file.reading() as db:
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        return int(row[0]) if row else 0

    def delivered(self, epoch: str, ranges: Sequence[SeqRange]) -> int:
        """Note that the hub has committed these events."""
        if not ranges:
            return 0
        at = receipt_moment(self._clock.stamp())
        count = 0
        with self._file.writing() as db:
            for span in ranges:
                where = [epoch, span.first, span.last]
                db.execute(
                    """UPDATE events SET delivered_at = ? WHERE epoch = ? AND seq IN
                       (SELECT seq FROM outbox WHERE epoch = ? AND seq BETWEEN ? AND ?)""",
                    [at, epoch, *where],
                )
                count += db.execute("DELETE FROM outbox WHERE epoch = ? AND seq BETWEEN ? AND ?", where).rowcount
        return count

    def rejected(self, epoch: str, rejections: Sequence[Rejection]) -> int:
        """Move events the hub will not take to the dead letters."""
        if not rejections:
            return 0
        at = utc_text(self._clock.stamp().at)
        moved = 0
        with self._file.writing() as db:
            for rejection in rejections:
                where = [epoch, rejection.seq]
                if db.execute("DELETE FROM outbox WHERE epoch = ? AND seq = ?", where).rowcount:
                    db.execute(
                        "INSERT INTO dead_letter (epoch, seq, code, detail, at) VALUES (?, ?, ?, ?, ?)",
                        [*where, rejection.code, rejection.detail, at],
                    )
                    moved += 1
        return moved

    def requeue(self, epoch: str, ranges: Sequence[SeqRange]) -> int:
        """Put delivered events back into the queue, at its end."""
        count = 0
        for span in ranges:
            # A range may name seqs that nobody ever gave out: only what is on disk is gone through.
            while moved := self._requeue_some(epoch, span):
                count += moved
        return count

    def _requeue_some(self, epoch: str, span: SeqRange) -> int:
        with self._file.writing() as db:
            seqs = [
                row[0]
                for row in db.execute(
                    """SELECT seq FROM events WHERE epoch = ? AND seq BETWEEN ? AND ? AND delivered_at IS NOT NULL
                       ORDER BY seq LIMIT ?""",
                    [epoch, span.first, span.last, ROWS_AT_ONCE],
                )
            ]
            db.conn.executemany(
                "UPDATE events SET delivered_at = NULL WHERE epoch = ? AND seq = ?", ((epoch, seq) for seq in seqs)
            )
            db.conn.executemany(_QUEUE, ((epoch, seq) for seq in seqs))
        return len(seqs)

    def begin_epoch(self) -> str:
        """Begin a new stream; return its name."""
        epoch = new_epoch()
        # Holding the file: nobody appends between the commit and the new name. And after the commit, which is what a
        # full disk refuses: under the name of a stream that is not there, everything written later would be damage.
        with self._file.reading():
            with self._file.writing() as db:
                db.execute("INSERT INTO streams (epoch, last_seq) VALUES (?, 0)", [epoch])
            self._epoch = epoch
        return epoch

    def renumber(self, epoch: str, seqs: Sequence[int]) -> int:
        """Move undelivered events of an earlier stream to the end of the present one."""
        if epoch == self._epoch:
            raise ValueError("events cannot be moved from the present stream into itself")
        wanted = sorted(set(seqs))
        return sum(
            self._renumber_some(epoch, wanted[start : start + ROWS_AT_ONCE])
            for start in range(0, len(wanted), ROWS_AT_ONCE)
        )

    def _renumber_some(self, epoch: str, seqs: list[int]) -> int:
        marks = ",".join("?" * len(seqs))
        with self._file.writing() as db:
            rows = db.execute(
                f"""SELECT id, seq, body, sha256 FROM outbox JOIN events USING (epoch, seq)
                    WHERE epoch = ? AND seq IN ({marks}) ORDER BY place""",  # noqa: S608 (question marks only)
                [epoch, *seqs],
            ).fetchall()
            last = last_seq(db, self._epoch)
            for seq, (number, old_seq, body, sha256) in enumerate(rows, last + 1):
                moved = canonical_bytes(read_body(self._file, body, sha256) | {"seq": seq})
                db.execute("DELETE FROM outbox WHERE epoch = ? AND seq = ?", [epoch, old_seq])
                db.execute(
                    "UPDATE events SET epoch = ?, seq = ?, body = ?, sha256 = ? WHERE id = ?",
                    [self._epoch, seq, moved.decode(), body_hash(moved), number],
                )
                db.execute(_QUEUE, [self._epoch, seq])
            set_last_seq(db, self._epoch, last + len(rows))
        return len(rows)

    def digests(self, epoch: str, size: int, most: int, below: int | None = None) -> list[RangeDigest]:
        """Return what was delivered of a stream, in ranges of `size` seqs, the newest `most` of them.

        The last range ends with the newest seq, or before `below`.
        """
        return digests(self._file, epoch, size, most, below)

    def epochs(self) -> list[str]:
        """Return every stream that has events on disk, the present one last."""
        with self._file.reading() as db:
            rows = db.execute(
                """SELECT epoch FROM streams WHERE epoch = ? OR EXISTS
                   (SELECT 1 FROM events WHERE events.epoch = streams.epoch) ORDER BY number""",
                [self._epoch],
            ).fetchall()
        return [row[0] for row in rows]

    def kept_seq(self) -> int | None:
        """Return the oldest seq of the present epoch that is on disk."""
        with self._file.reading() as db:
            row = db.execute("SELECT min(seq) FROM events WHERE epoch = ?", [self._epoch]).fetchone()
        return None if row[0] is None else int(row[0])

    def dead_letters(self) -> list[DeadLetter]:
        """Return what the hub refused, oldest first."""
        return dead_letters(self._file)

    def refusals(self, epoch: str, first: int, last: int, code: str | None = None) -> list[tuple[int, str]]:
        """Return (seq, code) of the dead letters between two seqs of a stream."""
        return refusals(self._file, epoch, first, last, code)

    def retry(self, letters: Sequence[tuple[str, int]] | None) -> int:
        """Put dead letters back into the queue."""
        with self._file.writing() as db:
            if letters is None:
                letters = db.execute("SELECT epoch, seq FROM dead_letter ORDER BY number").fetchall()
            count = 0
            for letter in letters:
                if db.execute("DELETE FROM dead_letter WHERE epoch = ? AND seq = ?", letter).rowcount:
                    db.execute(_QUEUE, letter)
                    count += 1
        return count

    def prune(self, delivered_before: datetime) -> int:
        """Delete delivered events whose receipt came before this moment, at most 500 of them at a time.

        Nothing while the clock is not synced; what was delivered then counts as delivered now.
        """
        return prune(self._file, self._clock.stamp(), delivered_before)

    def prune_older(self, days: float) -> int:
        """Delete delivered events whose receipt is older than this, see `prune`."""
        return self.prune(self._clock.stamp().at - timedelta(days=days))

    def prune_early(self) -> int:
        """Delete the oldest delivered events, 500 at a time, however new: a full disk needs their space."""
        return prune_early(self._file)

    def positions(self) -> tuple[int, int]:
        """Return (last seq, seq up to which everything is delivered or rejected), of the present epoch."""
        with self._file.reading() as db:
            last = last_seq(db, self._epoch)
            first_waiting = db.execute("SELECT min(seq) FROM outbox WHERE epoch = ?", [self._epoch]).fetchone()[0]
        return last, last if first_waiting is None else int(first_waiting) - 1

    def waiting(self) -> Waiting:
        """Return what still has to reach the hub; the oldest is the first of the oldest stream."""
        with self._file.reading() as db:
            count, dead, first = db.execute(
                "SELECT sum(waiting), sum(dead), min(CASE WHEN waiting THEN number END) FROM streams"
            ).fetchone()
            oldest = db.execute(
                """SELECT at FROM streams CROSS JOIN events USING (epoch) WHERE number = ? AND seq =
                   (SELECT min(seq) FROM outbox WHERE outbox.epoch = streams.epoch)""",
                [first],
            ).fetchone()
        return Waiting(int(count), read_moment(self._file, oldest[0]) if oldest else None, int(dead))

    def last_delivery_at(self) -> datetime | None:
        """Return when the hub last took something, as far as the clock knew and it is still on disk."""
        return last_delivery_at(self._file)

    def history(
        self,
        *,
        kinds: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Yield stored events as they were written down, see `edge.adapters.sqlite_history`."""
        return history(self._file, kinds=kinds, since=since, until=until, limit=limit)
