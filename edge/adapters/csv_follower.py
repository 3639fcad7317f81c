"""Keeps the CSV copy complete: whatever a crash, a full disk or a person cost it is written again from the record.

The record notes up to which event the copy is on disk for sure. What is newer at a start, and what failed to be
written, is compared with the day files, and what they lack is appended; everything else is appended without looking.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any

from edge.adapters.csv_journal import CsvJournal
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_history import history, next_moment, written_after
from edge.adapters.sqlite_rows import ROWS_AT_ONCE
from edge.core.errors import StorageFailed, StorageFull
from protocol.errors import BadEvent
from protocol.events import Event, parse_event

_KINDS = ("seen", "mark")
_LONGEST_WAIT_S = 10.0


class CsvFollower:
    """`edge.loops.copying.RecordCopy` and `edge.loops.control.CsvFiles` on a disk. Any thread; one writes at a time."""

    def __init__(self, file: UnitFile, csv: CsvJournal, allowed: Callable[[], bool] = lambda: True) -> None:
        self._file = file
        self._csv = csv
        self._allowed = allowed
        self._lock = threading.Lock()
        with file.reading() as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'copied_up_to'").fetchone()
        if row and not row[0].isdecimal():
            raise file.damage("the position of the CSV copy is not what was written down")
        self._copied = self._noted = int(row[0]) if row else 0
        self._doubtful = self._newest()
        """Events up to this one may have their line already: nobody knows how far the last write came."""
        self.lost = 0
        """Events that were deleted, since this start, before their line was written."""
        self._there: dict[str, set[str]] = {}

    def copy_some(self, names: Mapping[str, str]) -> bool:
        """Write the lines of the next few events that the copy lacks; return whether there may be more.

        Raises StorageDamaged, StorageFailed; the same events are tried again with the next call.
        """
        with self._lock:
            if self._copied >= self._newest():
                return False
            self._refuse_without_space()
            written = written_after(self._file, self._copied)
            if not written:
                return False
            events = _events(row.body for row in written)
            try:
                if written[0].number <= self._doubtful:
                    self._csv.add_lacking(events, names, self._there)
                else:
                    self._csv.append(events, names)
            except StorageFailed:
                self._doubt(written[-1].number)
                raise
            # Numbers are given out without gaps: what is not there now was there, and the hub has it.
            self.lost += written[-1].number - self._copied - len(written)
            self._copied = written[-1].number
            if self._copied >= self._doubtful:
                self._there.clear()
            return len(written) == ROWS_AT_ONCE

    def note(self) -> None:
        """Write down how far the copy is; seldom, because nothing is lost when it is not. Raises StorageFailed."""
        copied = self._copied
        if copied == self._noted:
            return
        with self._file.writing() as db:
            db.table("meta").upsert({"name": "copied_up_to", "value": str(copied)}, pk="name")
        self._noted = copied

    def days(self) -> list[str]:
        """Return the days of which the record has anything that is copied, oldest first."""
        found: list[str] = []
        moment = next_moment(self._file, _KINDS)
        while moment is not None:
            day = moment.astimezone(self._csv.zone).date()
            found.append(day.isoformat())
            # Not before the moment itself: where clocks are set back over midnight, a day comes twice.
            moment = next_moment(self._file, _KINDS, max(self._bounds(day)[1], moment + timedelta(microseconds=1)))
        return sorted(set(found))

    def rebuild(self, day: str, names: Mapping[str, str]) -> int:
        """Write a day's file anew from the record; return how many lines it has.

        Raises ValueError for what is no day, StorageFailed.
        """
        first = date.fromisoformat(day)
        since, until = self._bounds(first)
        with self._alone():
            self._refuse_without_space()
            # What is recorded from now on may get its line here, and is copied afterwards all the same.
            bodies = (body for body, _state in history(self._file, kinds=_KINDS, since=since, until=until))
            try:
                return self._csv.rebuild(first.isoformat(), _events(bodies), names)
            finally:
                self._doubt(self._newest())

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        first, following = (datetime.combine(day + timedelta(days=days), time(), self._csv.zone) for days in (0, 1))
        return first, following

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=_LONGEST_WAIT_S):
            # A stick that hangs must not take whoever asks along.
            raise StorageFailed("the CSV files are being written and do not get on", hint="check their disk")
        try:
            yield
        finally:
            self._lock.release()

    def _refuse_without_space(self) -> None:
        if not self._allowed():
            raise StorageFull("the CSV copy waits for space on the disk", hint="free some space: it is then completed")

    def _doubt(self, number: int) -> None:
        self._doubtful = max(self._doubtful, number)
        self._there.clear()

    def _newest(self) -> int:
        with self._file.reading() as db:
            return int(db.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0])


def _events(bodies: Iterable[dict[str, Any]]) -> list[Event]:
    events = []
    for body in bodies:
        try:
            events.append(parse_event(body))
        except BadEvent:
            # Written by a newer version that was rolled back: it has no line here.
            continue
    return events
