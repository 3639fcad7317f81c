"""A new record made of what a damaged one still says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge.adapters.disk_files import sync_folder
from edge.adapters.salvaged_rows import Found, find_rows, moved_event
from edge.adapters.sqlite_file import SIDE_NAMES, UnitFile
from edge.adapters.sqlite_gallery import note_erasure
from edge.adapters.sqlite_library import Database
from edge.adapters.sqlite_pages import PageReader
from edge.core.errors import StorageFull

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Saved:
    """How much could be saved."""

    events: int
    waiting: int
    dead_letters: int
    gallery: bool
    unreadable_pages: int
    """How many places the disk itself could not read."""


def save_what_can_be_read(database: Path, folder: Path, moment: datetime) -> Saved:
    """Make a record in a new folder of what can be read of a damaged one; on return it is whole and on disk.

    Raises StorageFull, StorageFailed and OSError.
    """
    file = UnitFile(folder)
    try:
        with PageReader(database) as pages:
            found = find_rows(pages)
            _fill(file, pages, found, moment)
            unreadable = pages.unreadable
        with file.reading() as db:
            events, waiting, dead, gallery = (
                int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 (fixed names)
                for table in ("events", "outbox", "dead_letter", "gallery")
            )
        if not file.write_back():
            # Nobody else reads it: what its log holds finds no space in the file, and the log is deleted below.
            raise StorageFull("the new record finds no space", hint="free some space")
    finally:
        file.close()
    for name in SIDE_NAMES[1:]:
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)
    return Saved(events, waiting, dead, bool(gallery), unreadable)


def _fill(file: UnitFile, pages: PageReader, found: Found, moment: datetime) -> None:
    with file.writing() as db:
        # The new file's own stream stays the last one, so that it is the present one.
        present = str(db.execute("SELECT epoch FROM streams").fetchone()[0])
        db.execute("DELETE FROM streams")
        for epoch, last_seq in [*found.streams.items(), (present, len(found.displaced))]:
            db.execute("INSERT INTO streams (epoch, last_seq) VALUES (?, ?)", [epoch, last_seq])
        _fill_small_tables(db, found, moment)
    in_order = found.in_order()
    copied = [event_id for event_id in in_order if found.events[event_id].number <= found.copied_up_to]
    for event_ids in (copied, in_order[len(copied) :]):
        for portion in _portions(event_ids):
            with file.writing() as db:
                for event_id in portion:
                    _add_event(db, pages, found, event_id, present)
                if event_ids is copied:
                    # Numbers are given out anew, in the same order.
                    db.execute("UPDATE meta SET value = (SELECT max(id) FROM events) WHERE name = 'copied_up_to'")


def _portions(items: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def _add_event(db: Database, pages: PageReader, found: Found, event_id: str, present: str) -> None:
    seq = found.displaced.get(event_id)
    row = moved_event(pages, found.events[event_id], None if seq is None else (present, seq))
    if row is None:
        return
    letter = found.letters.get((row.epoch, row.seq)) if row.delivered_at is None else None
    db.conn.execute(
        """INSERT INTO events (epoch, seq, event_id, kind, at, body, sha256, delivered_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        [row.epoch, row.seq, row.event_id, row.kind, row.at, row.body, row.sha256, row.delivered_at],
    )
    if letter:
        db.execute(
            "INSERT INTO dead_letter (epoch, seq, code, detail, at) VALUES (?, ?, ?, ?, ?)",
            [row.epoch, row.seq, *letter],
        )
    elif row.delivered_at is None:
        db.conn.execute("INSERT INTO outbox (epoch, seq) VALUES (?, ?)", [row.epoch, row.seq])


def _fill_small_tables(db: Database, found: Found, moment: datetime) -> None:
    # Far above any count of starts: it must not go back, and nobody knows any more where it was.
    session = found.session if found.session is not None else max(0, int(moment.timestamp()))
    db.execute("INSERT INTO meta (name, value) VALUES ('session', ?)", [str(session)])
    if found.erase_due or found.session is None or found.gallery is None:
        # Without the table that would say so, nobody knows; without the gallery, nobody can tell later whose template
        # the damaged file holds. Rather nothing to look into than a template that had to go.
        note_erasure(db)
    db.conn.executemany("INSERT INTO open_interval VALUES (?, ?, ?, ?)", found.open_intervals.values())
    db.conn.executemany("INSERT INTO content (hash, sealed, in_use) VALUES (?, ?, ?)", found.content.values())
    if found.gallery:
        db.execute(
            """INSERT INTO gallery (slot, revision, signed_head, manifest_hash, timetable_hash)
               VALUES (1, ?, ?, ?, ?)""",
            found.gallery,
        )
