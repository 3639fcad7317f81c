"""The presence intervals that have begun and not ended: after a crash, they are closed where they were last seen."""

from collections.abc import Sequence

from pydantic import ValidationError

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_library import Database
from edge.core.ports import OpenInterval
from protocol.events import Event, Left, Seen, Stamp


def follow_interval(db: Database, event: Event) -> None:
    """Begin or end the interval that an event begins or ends."""
    if isinstance(event, Seen):
        stamp = Stamp.model_validate(event.model_dump(include=set(Stamp.model_fields))).model_dump_json()
        db.execute(
            "INSERT INTO open_interval (interval_id, student_id, first_seen, last_seen) VALUES (?, ?, ?, ?)",
            [event.event_id, event.student_id, stamp, stamp],
        )
    elif isinstance(event, Left):
        db.execute("DELETE FROM open_interval WHERE interval_id = ?", [event.interval_id])


def keep_open(file: UnitFile, intervals: Sequence[OpenInterval]) -> None:
    """Remember until when the students of open intervals were seen."""
    with file.writing() as db:
        for interval in intervals:
            db.execute(
                "UPDATE open_interval SET last_seen = ? WHERE interval_id = ?",
                [interval.last_seen.model_dump_json(), interval.interval_id],
            )


def open_intervals(file: UnitFile) -> list[OpenInterval]:
    """Return the intervals that have a `seen` and no `left`. Raises StorageDamaged."""
    with file.reading() as db:
        rows = list(db.query("SELECT * FROM open_interval"))
    try:
        return [
            OpenInterval(
                row["interval_id"],
                row["student_id"],
                Stamp.model_validate_json(row["first_seen"]),
                Stamp.model_validate_json(row["last_seen"]),
            )
            for row in rows
        ]
    except ValidationError as exc:
        raise file.damage("an open interval is not what was written down") from exc
