"""A damaged record: set aside and kept, and every row of it that can be read goes into a new file.

The new file is made whole beside the old one before anything is moved, and each step can be repeated: a power cut at
any moment leaves either the damaged file, to begin again with, or the new one, to be put into its place.

    unit.db (damaged)          damaged/MOMENT/building/unit.db    being made; thrown away at a start
    unit.db (damaged)          damaged/MOMENT/new/unit.db         whole; from here on only names change
    damaged/MOMENT/unit.db     unit.db                            done, with damaged/MOMENT/report.json

What a damaged file says is believed where a row proves itself by its hash. An event that is not known to be delivered
is sent again: the hub knows its id. The present stream is a new one, because the last events may be lost and their
places must not be given out twice. Places that the disk cannot read are left out and counted.

Only the newest few damaged files are kept, see `_keep_few`.
"""

import json
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from edge.adapters.ballast import Ballast
from edge.adapters.damaged_files import FOLDER_NAME, erase_file
from edge.adapters.disk_files import disk_error, sync_folder
from edge.adapters.pack_room import drop_unfinished
from edge.adapters.salvaged_file import save_what_can_be_read
from edge.adapters.sqlite_file import FILE_NAME, SIDE_NAMES, SUSPECT_NAME, UnitFile
from edge.core.errors import StorageDamaged, StorageFailed, StorageFull, StorageReadOnly

log = logging.getLogger(__name__)

_Made = TypeVar("_Made")

REPORT_NAME = "report.json"
_BUILDING, _READY = "building", "new"
_NUMBER = re.compile(r"Z-([0-9]+)$")
"""At the end of a folder's name; the first has none."""
_KEPT_AT_MOST = 5
_KEPT_BYTES_AT_MOST = 500_000_000
"""A card that damages one file damages more: what is kept of them must not fill it."""


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
    unreadable_pages: int = 0
    """How many places of it the disk itself could not read."""
    kept: bool = True
    """Whether the damaged file is still there."""

    @property
    def sentence(self) -> str:
        """What a person should know."""
        places = f"; places the disk cannot read: {self.unreadable_pages}" if self.unreadable_pages else ""
        gallery = "" if self.gallery else "; the gallery is lost and comes from the hub again"
        kept = "is kept" if self.kept else "was erased since"
        return (
            f"the record was damaged on {self.at[:10]}: {self.events} events were saved, {self.waiting} of them are "
            f"sent again{places}{gallery}; the damaged file {kept}"
        )


def open_record(folder: Path, moment: datetime) -> UnitFile:
    """Open the unit's file; a damaged one is set aside, and a new one begins with what could be saved.

    On a full disk with the space of the reserve, and of older damaged files. `moment` names the folder a damaged file
    is kept in. Raises StorageFull and StorageFailed.
    """
    try:
        _finish(folder)
        if (folder / SUSPECT_NAME).exists():
            return _begin_anew(folder, moment, "what was read from it was not what had been written")
        try:
            return _with_room(folder, lambda: UnitFile(folder))
        except StorageDamaged as exc:
            return _begin_anew(folder, moment, str(exc))
    except OSError as exc:
        raise disk_error(exc, folder) from exc


def damage_reports(folder: Path) -> list[DamageReport]:
    """Return what was set aside here and not yet deleted, oldest first."""
    return [report for place in _places(folder) if (report := _report_in(place))]


def _places(folder: Path) -> list[Path]:
    """Return the folders of what was set aside, oldest first."""
    parent = folder / FOLDER_NAME
    places = (path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else ()
    # By number, not by moment: the clock may have been behind.
    return sorted(places, key=lambda place: (_number_of(place), place.name))


def _number_of(place: Path) -> int:
    found = _NUMBER.search(place.name)
    return int(found[1]) if found else 1


def _report_in(place: Path) -> DamageReport | None:
    try:
        report = DamageReport(**json.loads((place / REPORT_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        # It only tells a person; the folder beside it is still there.
        return None
    return replace(report, kept=any((place / name).exists() for name in SIDE_NAMES))


def _with_room(folder: Path, work: Callable[[], _Made]) -> _Made:
    """Do what needs space: on a full disk again, with that of a pack on its way, the reserve, older damaged records."""
    while True:
        try:
            return work()
        except StorageReadOnly:
            raise
        except StorageFull:
            if drop_unfinished(folder) or Ballast(folder, 0).release():
                log.warning("the disk is full at the start: the record gets the space that was kept for it")
            elif not _delete_one(_places(folder)):
                raise


def _begin_anew(folder: Path, moment: datetime, reason: str) -> UnitFile:
    # It can take a minute: whoever looks why the unit does not start yet should find this.
    log.warning("record damaged, saving what can be read reason=%s", reason)
    try:
        _with_room(folder, lambda: _rescue(folder, moment, reason))
    except StorageReadOnly:
        raise
    except StorageFull as exc:
        needed_mb = sum((folder / name).stat().st_size for name in SIDE_NAMES if (folder / name).exists()) / 1e6
        raise StorageFull(
            f"the record in {folder} is damaged, and the disk is too full to save it into a new file",
            hint=f"free {needed_mb:.0f} MB, and start the unit again; the record is as it was",
        ) from exc
    _finish(folder)
    _keep_few(folder)
    return _with_room(folder, lambda: UnitFile(folder))


def _keep_few(folder: Path) -> None:
    """Delete the oldest of many damaged records, the newest never."""
    places = _places(folder)
    while len(places) > _KEPT_AT_MOST or _bytes_in(places) > _KEPT_BYTES_AT_MOST:
        if not _delete_one(places):
            break
        places = _places(folder)


def _bytes_in(places: list[Path]) -> int:
    return sum(path.stat().st_size for place in places for path in place.iterdir())


def _delete_one(places: list[Path]) -> bool:
    """Overwrite and delete the oldest damaged record, but not the newest; return whether there was one."""
    for place in sorted(places[:-1], key=_was_read_in_part):
        try:
            for path in place.iterdir():
                erase_file(path)
            place.rmdir()
        except OSError as exc:
            log.warning("an older damaged record cannot be deleted folder=%s reason=%s", place, exc.strerror)
            continue
        log.warning("an older damaged record was deleted, for only the newest are kept folder=%s", place)
        return True
    return False


def _was_read_in_part(place: Path) -> bool:
    # Of what this disk cannot read, a person with other tools may still get something: such a file goes last.
    report = _report_in(place)
    return report is not None and report.unreadable_pages > 0


def _rescue(folder: Path, moment: datetime, reason: str) -> None:
    place = _new_place(folder, f"{moment:%Y-%m-%dT%H%M%SZ}")
    try:
        saved = save_what_can_be_read(folder / FILE_NAME, place / _BUILDING, moment)
        report = DamageReport(str(place), moment.isoformat(), reason[:500], **asdict(saved))
        (place / REPORT_NAME).write_text(json.dumps(asdict(report)) + "\n", encoding="utf-8")
        (place / _BUILDING).rename(place / _READY)
        sync_folder(place)
    except (OSError, StorageFailed) as exc:
        # A full disk: nothing was moved yet, and half a new file only takes up space.
        _throw_away(place)
        if isinstance(exc, OSError):
            raise disk_error(exc, place) from exc
        raise


def _throw_away(place: Path) -> None:
    """Overwrite and delete a record that is not finished: it holds every template that could be read."""
    for path in [path for path in place.rglob("*") if path.is_file()]:
        try:
            erase_file(path)
        except OSError as exc:
            log.warning("half a record cannot be overwritten, only deleted file=%s reason=%s", path, exc.strerror)
    shutil.rmtree(place, ignore_errors=True)


def _new_place(folder: Path, name: str) -> Path:
    parent = folder / FOLDER_NAME
    parent.mkdir(mode=0o700, exist_ok=True)
    number = max((_number_of(place) for place in _places(folder)), default=0) + 1
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
        _throw_away(building.parent)
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
