"""A damaged record: set aside and kept, and every row of it that can be read goes into a new file.

The new file is made whole beside the old one before anything is moved, and each step can be repeated: a power cut at
any moment leaves either the damaged file, to begin again with, or the new one, to be put into its place.

    unit.db (damaged)          damaged/MOMENT/building/unit.db    being made; thrown away at a start
    unit.db (damaged)          damaged/MOMENT/new/unit.db         whole; from here on only names change
    damaged/MOMENT/unit.db     unit.db                            done, with damaged/MOMENT/report.json

What a damaged file says is believed where a row proves itself by its hash. An event that is not known to be delivered
is sent again: the hub knows its id. The present stream is a new one, because the last events may be lost and their
places must not be given out twice.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from edge.adapters.ballast import Ballast
from edge.adapters.csv_journal import sync_folder
from edge.adapters.salvaged_rows import Found, find_rows, moved_event
from edge.adapters.sqlite_file import FILE_NAME, SIDE_NAMES, SUSPECT_NAME, UnitFile
from edge.adapters.sqlite_library import Database
from edge.adapters.sqlite_pages import PageReader
from edge.core.errors import StorageDamaged, StorageFailed, StorageFull

log = logging.getLogger(__name__)

FOLDER_NAME = "damaged"
REPORT_NAME = "report.json"
_BUILDING, _READY = "building", "new"
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class DamageReport:
    """What became of a damaged record."""

    folder: str
    at: str
    reason: str
    events: int
    """How many were saved."""
    waiting: int
    """How many of them are sent (again)."""
    dead_letters: int
    gallery: bool
    """Whether the gallery could be saved; without it, the unit recognises nobody until the hub has sent it again."""

    @property
    def sentence(self) -> str:
        """What a person should know."""
        gallery = "" if self.gallery else "; the gallery is lost and comes from the hub again"
        return (
            f"the record was damaged on {self.at[:10]}: {self.events} events were saved, {self.waiting} of them are "
            f"sent again{gallery}; the damaged file is kept"
        )


def open_record(folder: Path, moment: datetime) -> UnitFile:
    """Open the unit's file; a damaged one is set aside, and a new one begins with what could be saved.

    `moment` names the folder it is kept in. Raises StorageFull and StorageFailed.
    """
    try:
        _finish(folder)
        if (folder / SUSPECT_NAME).exists():
            return _begin_anew(folder, moment, "what was read from it was not what had been written")
        try:
            return UnitFile(folder)
        except StorageDamaged as exc:
            return _begin_anew(folder, moment, str(exc))
    except OSError as exc:
        raise StorageFailed(f"{folder} cannot be used: {exc.strerror}", hint="check owner and disk") from exc


def damage_reports(folder: Path) -> list[DamageReport]:
    """Return what was set aside here and not yet deleted by a person, oldest first."""
    reports = []
    for path in sorted((folder / FOLDER_NAME).glob(f"*/{REPORT_NAME}")):
        try:
            reports.append(DamageReport(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            # It only tells a person; the folder beside it is still there.
            continue
    return reports


def erase_damaged(folder: Path) -> None:
    """Overwrite and delete the damaged files, for somebody's template must leave this disk; the reports stay."""
    for path in (folder / FOLDER_NAME).glob("*/*"):
        if path.name in SIDE_NAMES:
            try:
                with path.open("r+b") as file:
                    for _ in range(0, path.stat().st_size, 1 << 20):
                        file.write(bytes(1 << 20))
                    file.flush()
                    os.fsync(file.fileno())
                path.unlink()
            except OSError as exc:
                raise StorageFailed(f"{path} cannot be deleted: {exc.strerror}", hint="delete it by hand") from exc


def _begin_anew(folder: Path, moment: datetime, reason: str) -> UnitFile:
    # It can take a minute: whoever looks why the unit does not start yet should find this.
    log.warning("record damaged, saving what can be read reason=%s", reason)
    try:
        return _rescue(folder, moment, reason)
    except StorageFull:
        # It is made again when there is space.
        if not Ballast(folder, 0).release():
            raise
        return _rescue(folder, moment, reason)


def _rescue(folder: Path, moment: datetime, reason: str) -> UnitFile:
    place = _new_folder(folder / FOLDER_NAME, f"{moment:%Y-%m-%dT%H%M%SZ}")
    try:
        report = _build(folder / FILE_NAME, place, moment, reason)
        (place / REPORT_NAME).write_text(json.dumps(asdict(report)) + "\n", encoding="utf-8")
        (place / _BUILDING).rename(place / _READY)
    except (OSError, StorageFailed):
        # A full disk: nothing was moved yet, and half a new file only takes up space.
        shutil.rmtree(place, ignore_errors=True)
        raise
    sync_folder(place)
    _finish(folder)
    return UnitFile(folder)


def _new_folder(parent: Path, name: str) -> Path:
    parent.mkdir(mode=0o700, exist_ok=True)
    number = 1
    while True:
        place = parent / (name if number == 1 else f"{name}-{number}")
        try:
            place.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return place


def _finish(folder: Path) -> None:
    """Put a new file that is whole into its place; throw away one that is not."""
    for building in (folder / FOLDER_NAME).glob(f"*/{_BUILDING}"):
        shutil.rmtree(building.parent)
    for ready in (folder / FOLDER_NAME).glob(f"*/{_READY}"):
        place = ready.parent
        if (ready / FILE_NAME).exists():
            for name in SIDE_NAMES:
                if (folder / name).exists():
                    (folder / name).rename(place / name)
            sync_folder(place)
            (folder / SUSPECT_NAME).unlink(missing_ok=True)
            (ready / FILE_NAME).rename(folder / FILE_NAME)
            sync_folder(folder)
        shutil.rmtree(ready)


def _build(database: Path, place: Path, moment: datetime, reason: str) -> DamageReport:
    file = UnitFile(place / _BUILDING)
    try:
        with PageReader(database) as pages:
            found = find_rows(pages)
            _fill(file, pages, found, moment)
        with file.reading() as db:
            events, waiting, dead, gallery = (
                int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 (fixed names)
                for table in ("events", "outbox", "dead_letter", "gallery")
            )
        file.write_back()
    finally:
        file.close()
    for name in SIDE_NAMES[1:]:
        (place / _BUILDING / name).unlink(missing_ok=True)
    sync_folder(place / _BUILDING)
    return DamageReport(str(place), moment.isoformat(), reason[:500], events, waiting, dead, bool(gallery))


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
    db.conn.executemany("INSERT INTO open_interval VALUES (?, ?, ?, ?)", found.open_intervals.values())
    db.conn.executemany("INSERT INTO content (hash, sealed, in_use) VALUES (?, ?, ?)", found.content.values())
    if found.gallery:
        db.execute(
            """INSERT INTO gallery (slot, revision, signed_head, manifest_hash, timetable_hash)
               VALUES (1, ?, ?, ?, ?)""",
            found.gallery,
        )
