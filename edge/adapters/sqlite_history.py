"""What a unit has written down, read again: for commands that list and export, and for the CSV copy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_rows import ROWS_AT_ONCE, read_body, read_moment, utc_text
from edge.core.ports import DeadLetter

Row = tuple[dict[str, Any], str]
"""A stored event and how far it got: "waiting", "delivered" or "refused"."""


@dataclass(frozen=True, slots=True)
class Written:
    """An event with its number on this disk, which rises in the order of writing."""

    number: int
    body: dict[str, Any]


def history(
    file: UnitFile,
    *,
    kinds: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
) -> Iterator[Row]:
    """Yield stored events in the order in which they were written down.

    `kinds`, `since` (included) and `until` (excluded) choose, `limit` keeps the newest. Raises StorageDamaged.
    """
    conditions, values = ["1"], list[Any]()
    if kinds:
        conditions.append(f"kind IN ({','.join('?' * len(kinds))})")
        values += kinds
    for comparison, moment in ((">=", since), ("<", until)):
        if moment is not None:
            conditions.append(f"at {comparison} ?")
            values.append(utc_text(moment))
    newest = f"ORDER BY id DESC LIMIT {int(limit)}" if limit is not None else ""
    with file.reading() as db:
        numbers = [
            row[0]
            for row in db.execute(
                f"SELECT id FROM events WHERE {' AND '.join(conditions)} {newest}",  # noqa: S608 (no outside text)
                values,
            )
        ]
    numbers.sort()
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        yield from _rows(file, numbers[start : start + ROWS_AT_ONCE])


def _rows(file: UnitFile, numbers: list[int]) -> list[Row]:
    marks = ",".join("?" * len(numbers))
    with file.reading() as db:
        rows = db.execute(
            f"""SELECT body, sha256, outbox.place, dead_letter.number FROM events LEFT JOIN outbox USING (epoch, seq)
                LEFT JOIN dead_letter USING (epoch, seq) WHERE events.id IN ({marks}) ORDER BY events.id""",  # noqa: S608
            numbers,
        ).fetchall()
    return [
        (read_body(file, body, sha256), "waiting" if waits else "refused" if refused else "delivered")
        for body, sha256, waits, refused in rows
    ]


def written_after(file: UnitFile, number: int, limit: int = ROWS_AT_ONCE) -> list[Written]:
    """Return the events written after the one with this number, oldest first. Raises StorageDamaged."""
    with file.reading() as db:
        rows = db.execute(
            "SELECT id, body, sha256 FROM events WHERE id > ? ORDER BY id LIMIT ?", [number, limit]
        ).fetchall()
    return [Written(found, read_body(file, body, sha256)) for found, body, sha256 in rows]


def next_moment(file: UnitFile, kinds: Sequence[str], since: datetime | None = None) -> datetime | None:
    """Return when the first event of these kinds happened, from `since` on; None when there is none.

    By the index over moments: nothing is read of what came before.
    """
    with file.reading() as db:
        row = db.execute(
            f"""SELECT at FROM events WHERE at >= ? AND kind IN ({",".join("?" * len(kinds))})
                ORDER BY at LIMIT 1""",  # noqa: S608 (question marks only)
            [utc_text(since) if since else "", *kinds],
        ).fetchone()
    return read_moment(file, row[0]) if row else None


def dead_letters(file: UnitFile) -> list[DeadLetter]:
    """Return what the hub refused, oldest first. Raises StorageDamaged."""
    with file.reading() as db:
        rows = db.execute(
            """SELECT epoch, seq, code, detail, dead_letter.at, body, sha256
               FROM dead_letter JOIN events USING (epoch, seq) ORDER BY number"""
        ).fetchall()
    return [
        DeadLetter(epoch, seq, code, detail, read_moment(file, at), read_body(file, body, sha256))
        for epoch, seq, code, detail, at, body, sha256 in rows
    ]


def refusals(file: UnitFile, epoch: str, first: int, last: int, code: str | None = None) -> list[tuple[int, str]]:
    """Return (seq, code) of the dead letters between two seqs of a stream: their bodies stay unread."""
    with file.reading() as db:
        rows = db.execute(
            """SELECT seq, code FROM dead_letter
               WHERE epoch = ? AND seq BETWEEN ? AND ? AND (? IS NULL OR code = ?) ORDER BY seq""",
            [epoch, first, last, code, code],
        ).fetchall()
    return [(int(seq), str(found)) for seq, found in rows]
