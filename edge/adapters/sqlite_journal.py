"""The unit's record on disk: events, what of them is still to be delivered, and what the hub refused."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_library import Database
from edge.core.errors import StorageFull
from edge.core.ports import OpenInterval, Waiting
from protocol.base import canonical_bytes
from protocol.delivery import Rejection, SeqRange
from protocol.events import Event, Left, Seen, Stamp, event_json

_ROWS_AT_ONCE = 500

Row = tuple[dict[str, Any], str]
"""A stored event and how far it got: "waiting", "delivered" or "refused"."""


class SqliteJournal:
    """`edge.core.ports.Journal` in the unit's database file. Any thread."""

    def __init__(self, file: UnitFile) -> None:
        self._file = file
        with file.reading() as db:
            self._epoch = str(db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()[0])

    @property
    def epoch(self) -> str:
        """Identifies this database file."""
        return self._epoch

    def next_session(self) -> int:
        """Return one more than the last time, also when the disk is too full to remember it."""
        with self._file.reading() as db:
            row = db.execute("SELECT value FROM meta WHERE name = 'session'").fetchone()
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
            last = int(db.execute("SELECT value FROM meta WHERE name = 'last_seq'").fetchone()[0])
            numbered = [event.model_copy(update={"seq": last + n}) for n, event in enumerate(events, 1)]
            db.table("events").insert_all(self._row(event) for event in numbered)
            db.table("outbox").insert_all({"seq": event.seq} for event in numbered)
            for event in numbered:
                self._follow_interval(db, event)
            db.execute("UPDATE meta SET value = ? WHERE name = 'last_seq'", [str(last + len(numbered))])
        return numbered

    @staticmethod
    def _row(event: Event) -> dict[str, Any]:
        body = canonical_bytes(event_json(event)).decode()
        return {
            "seq": event.seq,
            "event_id": event.event_id,
            "kind": event.kind,
            "at": event.at.isoformat(),
            "body": body,
        }

    @staticmethod
    def _follow_interval(db: Database, event: Event) -> None:
        if isinstance(event, Seen):
            stamp = Stamp.model_validate(event.model_dump(include=set(Stamp.model_fields))).model_dump_json()
            db.table("open_interval").insert(
                {
                    "interval_id": event.event_id,
                    "student_id": event.student_id,
                    "first_seen": stamp,
                    "last_seen": stamp,
                }
            )
        elif isinstance(event, Left):
            db.execute("DELETE FROM open_interval WHERE interval_id = ?", [event.interval_id])

    def keep_open(self, intervals: Sequence[OpenInterval]) -> None:
        """Remember until when the students of open intervals were seen."""
        with self._file.writing() as db:
            for interval in intervals:
                db.execute(
                    "UPDATE open_interval SET last_seen = ? WHERE interval_id = ?",
                    [interval.last_seen.model_dump_json(), interval.interval_id],
                )

    def open_intervals(self) -> list[OpenInterval]:
        """Return the intervals that have a `seen` and no `left`."""
        with self._file.reading() as db:
            rows = list(db.query("SELECT * FROM open_interval"))
        return [
            OpenInterval(
                row["interval_id"],
                row["student_id"],
                Stamp.model_validate_json(row["first_seen"]),
                Stamp.model_validate_json(row["last_seen"]),
            )
            for row in rows
        ]

    def undelivered(self, after_seq: int, limit: int, max_bytes: int) -> list[dict[str, Any]]:
        """Return undelivered events by rising seq."""
        found: list[dict[str, Any]] = []
        size = 0
        with self._file.reading() as db:
            rows = db.execute(
                """SELECT body FROM outbox JOIN events USING (seq) WHERE outbox.seq > ?
                   ORDER BY outbox.seq LIMIT ?""",
                [after_seq, limit],
            ).fetchall()
        for (body,) in rows:
            size += len(body.encode()) + 1
            if found and size > max_bytes:
                break
            found.append(json.loads(body))
        return found

    def delivered(self, ranges: Sequence[SeqRange]) -> int:
        """Note that the hub has committed these events."""
        if not ranges:
            return 0
        with self._file.writing() as db:
            return sum(
                db.execute("DELETE FROM outbox WHERE seq BETWEEN ? AND ?", [span.first, span.last]).rowcount
                for span in ranges
            )

    def rejected(self, rejections: Sequence[Rejection]) -> int:
        """Move events the hub will never take to the dead letters."""
        moved = 0
        if not rejections:
            return 0
        with self._file.writing() as db:
            for rejection in rejections:
                if db.execute("DELETE FROM outbox WHERE seq = ?", [rejection.seq]).rowcount:
                    db.execute(
                        "INSERT OR REPLACE INTO dead_letter (seq, code, detail, at) VALUES (?, ?, ?, datetime('now'))",
                        [rejection.seq, rejection.code, rejection.detail],
                    )
                    moved += 1
        return moved

    def positions(self) -> tuple[int, int]:
        """Return (last seq, seq up to which everything is delivered or rejected)."""
        with self._file.reading() as db:
            last = int(db.execute("SELECT value FROM meta WHERE name = 'last_seq'").fetchone()[0])
            first_waiting = db.execute("SELECT min(seq) FROM outbox").fetchone()[0]
        return last, last if first_waiting is None else int(first_waiting) - 1

    def waiting(self) -> Waiting:
        """Return what still has to reach the hub."""
        with self._file.reading() as db:
            count = int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])
            oldest = db.execute("SELECT at FROM events WHERE seq = (SELECT min(seq) FROM outbox)").fetchone()
            dead = int(db.execute("SELECT count(*) FROM dead_letter").fetchone()[0])
        return Waiting(count, datetime.fromisoformat(oldest[0]) if oldest else None, dead)

    def history(
        self,
        *,
        kinds: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Yield stored events by rising seq, for commands that list and export.

        `kinds`, `since` (included) and `until` (excluded) choose, `limit` keeps the newest.
        """
        conditions, values = ["1"], list[Any]()
        if kinds:
            conditions.append(f"kind IN ({','.join('?' * len(kinds))})")
            values += kinds
        for comparison, moment in ((">=", since), ("<", until)):
            if moment is not None:
                # All are stored in UTC and in one form, so that they sort as text.
                conditions.append(f"at {comparison} ?")
                values.append(moment.astimezone(UTC).isoformat())
        newest = f"ORDER BY seq DESC LIMIT {int(limit)}" if limit is not None else ""
        with self._file.reading() as db:
            seqs = [
                row[0]
                for row in db.execute(
                    f"SELECT seq FROM events WHERE {' AND '.join(conditions)} {newest}",  # noqa: S608 (no outside text)
                    values,
                )
            ]
        seqs.sort()
        for start in range(0, len(seqs), _ROWS_AT_ONCE):
            yield from self._rows(seqs[start : start + _ROWS_AT_ONCE])

    def _rows(self, seqs: list[int]) -> list["Row"]:
        marks = ",".join("?" * len(seqs))
        with self._file.reading() as db:
            rows = db.execute(
                f"""SELECT body, outbox.seq, dead_letter.seq FROM events LEFT JOIN outbox USING (seq)
                    LEFT JOIN dead_letter USING (seq) WHERE events.seq IN ({marks}) ORDER BY events.seq""",  # noqa: S608
                seqs,
            ).fetchall()
        return [
            (json.loads(body), "waiting" if waits else "refused" if refused else "delivered")
            for body, waits, refused in rows
        ]
