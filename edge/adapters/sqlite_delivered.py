"""What the hub has taken of a unit's record: since when, what of it may be deleted, and digests to compare it by."""

from datetime import datetime

from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_library import Database
from edge.adapters.sqlite_rows import ROWS_AT_ONCE, last_seq, read_moment, utc_text
from protocol.delivery import RangeDigest, xor64
from protocol.events import Stamp

_UNDATED = ""
"""Stands in `delivered_at` for a moment that the clock did not know."""


def receipt_moment(now: Stamp) -> str:
    """Return what is noted as the moment of a receipt that comes now."""
    # From a wrong clock it would be deleted at once, or never: `prune` dates it when the time is known.
    return utc_text(now.at) if now.clock == "synced" else _UNDATED


def last_delivery_at(file: UnitFile) -> datetime | None:
    """Return when the hub last took something, as far as the clock knew and it is still on disk."""
    with file.reading() as db:
        row = db.execute("SELECT max(delivered_at) FROM events WHERE delivered_at IS NOT NULL").fetchone()
    return read_moment(file, row[0]) if row[0] else None


def prune(file: UnitFile, now: Stamp, delivered_before: datetime) -> int:
    """Delete delivered events whose receipt came before a moment, at most 500 of them; return how many.

    Nothing while the clock is not synced; what was delivered then counts as delivered now.
    """
    moment = receipt_moment(now)
    if moment == _UNDATED:
        return 0
    with file.writing() as db:
        db.execute(
            """UPDATE events SET delivered_at = ? WHERE id IN
               (SELECT id FROM events WHERE delivered_at = '' LIMIT ?)""",
            [moment, 10 * ROWS_AT_ONCE],
        )
        return _delete(db, "delivered_at > '' AND delivered_at < ?", [utc_text(delivered_before)])


def prune_early(file: UnitFile) -> int:
    """Delete the oldest delivered events, at most 500 of them, however new; return how many."""
    with file.writing() as db:
        return _delete(db, "delivered_at IS NOT NULL", [])


def _delete(db: Database, condition: str, values: list[str]) -> int:
    return db.execute(
        f"""DELETE FROM events WHERE id IN
            (SELECT id FROM events WHERE {condition} ORDER BY delivered_at, id LIMIT {ROWS_AT_ONCE})""",  # noqa: S608 (no outside text)
        values,
    ).rowcount


def digests(file: UnitFile, epoch: str, size: int, most: int, below: int | None = None) -> list[RangeDigest]:
    """Return what was delivered of a stream, in ranges of `size` seqs cut at holes, the newest `most` of them.

    The last range ends with the newest seq, or before `below`.
    """
    with file.reading() as db:
        last = last_seq(db, epoch)
        oldest = db.execute("SELECT min(seq) FROM events WHERE epoch = ?", [epoch]).fetchone()[0]
    found: list[RangeDigest] = []
    last = last if below is None else min(last, below - 1)
    first = (last - 1) // size * size + 1
    while oldest is not None and first + size > oldest and first > 0 and len(found) < most:
        # Range by range: between two of them, whoever records gets a turn.
        found += reversed(_digests_between(file, epoch, first, min(last, first + size - 1)))
        first -= size
    return found[:most][::-1]


def _digests_between(file: UnitFile, epoch: str, first: int, last: int) -> list[RangeDigest]:
    where = [epoch, first, last]
    with file.reading() as db:
        if db.execute("SELECT 1 FROM outbox WHERE epoch = ? AND seq BETWEEN ? AND ? LIMIT 1", where).fetchone():
            return []
        # What does not wait and was not delivered is a dead letter: settled, and in no count.
        rows = db.execute(
            """SELECT seq, sha256, delivered_at IS NOT NULL FROM events
               WHERE epoch = ? AND seq BETWEEN ? AND ? ORDER BY seq""",
            where,
        ).fetchall()
    runs: list[list[tuple[int, bytes, int]]] = []
    for row in rows:
        if runs and runs[-1][-1][0] == row[0] - 1:
            runs[-1].append(row)
        else:
            runs.append([row])
    return [_digest(run) for run in runs]


def _digest(run: list[tuple[int, bytes, int]]) -> RangeDigest:
    hashes = [sha256.hex() for _, sha256, delivered in run if delivered]
    return RangeDigest(first=run[0][0], last=run[-1][0], count=len(hashes), xor64=xor64(hashes))
