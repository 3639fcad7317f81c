"""Keeps the CSV copy complete: whatever a crash, a full disk or a person cost it is written again from the record.

The record notes up to which event the copy is on disk for sure. After a start, and after trouble, everything newer is
compared with the day files, and what they lack is appended.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from edge.adapters.csv_journal import CsvJournal
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_history import history, written_after
from edge.core.errors import StorageFailed, StorageFull
from protocol.errors import BadEvent
from protocol.events import Event, parse_event

_KINDS = ("seen", "mark")


class CsvFollower:
    """`edge.loops.recorder.CsvCopy` that catches up. One thread at a time, except `note`."""

    def __init__(self, file: UnitFile, csv: CsvJournal, allowed: Callable[[], bool] = lambda: True) -> None:
        self._file = file
        self._csv = csv
        self._allowed = allowed
        with file.reading() as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'copied_up_to'").fetchone()
        if row and not row[0].isdecimal():
            raise file.damage("the position of the CSV copy is not what was written down")
        self._copied = self._noted = int(row[0]) if row else 0
        self._behind = True

    def append(self, events: Sequence[Event], names: Mapping[str, str]) -> None:
        """Write the lines of events that the record has just taken, and what was left out before.

        Raises StorageFailed; what is lacking then is written with a later call.
        """
        if not self._allowed():
            self._behind = True
            raise StorageFull("the CSV copy waits for space on the disk", hint="free some space: it is then completed")
        if self._behind:
            self.catch_up(names)
            return
        newest = self._newest()
        try:
            self._csv.append(events, names)
        except StorageFailed:
            self._behind = True
            raise
        self._copied = max(self._copied, newest)

    def catch_up(self, names: Mapping[str, str]) -> int:
        """Write what the day files lack of the events since the last known position; return how many lines.

        Raises StorageFailed.
        """
        self._behind = True
        count = 0
        while written := written_after(self._file, self._copied):
            count += self._csv.add_lacking(_events(row.body for row in written), names)
            self._copied = written[-1].number
        self._behind = False
        return count

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
        with self._file.reading() as db:
            hours = db.execute(
                "SELECT DISTINCT substr(at, 1, 13) FROM events WHERE kind IN ('seen', 'mark')"
            ).fetchall()
        # A zone may be half an hour or a quarter away from Greenwich.
        moments = [datetime.fromisoformat(f"{hour}:{minute}+00:00") for (hour,) in hours for minute in ("00", "59")]
        return sorted({f"{moment.astimezone(self._csv.zone):%Y-%m-%d}" for moment in moments})

    def rebuild(self, day: str, names: Mapping[str, str]) -> int:
        """Write a day's file anew from the record; return how many lines it has.

        Nobody may append meanwhile. Raises ValueError for what is no day, StorageFailed.
        """
        first = date.fromisoformat(day)
        since, until = (datetime.combine(first + timedelta(days=days), time(), self._csv.zone) for days in (0, 1))
        bodies = (body for body, _state in history(self._file, kinds=_KINDS, since=since, until=until))
        return self._csv.rebuild(first.isoformat(), _events(bodies), names)

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
