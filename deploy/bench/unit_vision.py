"""The unit's own road from frame to event, put together as the unit does, for measuring within one process."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from edge.adapters.clock_system import SystemClock
from edge.adapters.csv_journal import CsvJournal
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.adapters.stamping import moved
from edge.core.coverage import CoverageBook
from edge.core.frame import NS_PER_S
from edge.core.identities import Eyes
from edge.core.presence import PresenceBook
from edge.core.vision import Vision
from edge.loops.health import Health
from edge.loops.recorder import Recorder
from protocol.events import Stamp
from recognition.adapters.analysis import Engine
from recognition.adapters.chips_opencv import cut_chip

_MORNING = Stamp(
    at=datetime(2024, 9, 2, 8, tzinfo=UTC),
    boot_id=str(UUID(int=0xB007)),
    boottime_ns=1_000 * NS_PER_S,
    clock="synced",
)


def open_vision(engine: Engine) -> Vision:
    """Return the unit's vision with the unit's defaults, as `edge.bootstrap` puts it together."""
    new_id = SystemClock().new_id
    return Vision(
        eyes=Eyes(engine.detector, engine.embedder, cut_chip, engine.pack.same_person_floor),
        book=PresenceBook(new_id),
        coverage=CoverageBook(new_id),
        new_id=new_id,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """The unit's record in a folder: its database file and what writes to it."""

    file: UnitFile
    recorder: Recorder


def open_record(folder: Path) -> Record:
    """Open the record. Raises StorageFailed.

    The readable copy is written with each event here, in a unit by a loop beside it: what is measured is the worse.
    """
    file = UnitFile(folder)
    return Record(file, Recorder(SqliteJournal(file), CsvJournal(folder / "csv", "UTC", with_names=False), Health()))


def stamp_at(at_s: float) -> Stamp:
    """Return the moment `at_s` seconds after a made-up morning began."""
    return moved(_MORNING, round(at_s * NS_PER_S))
