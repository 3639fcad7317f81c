"""The unit's data folder: its record, its gallery, the CSV copy and the space that is left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edge.adapters.ballast import Ballast
from edge.adapters.csv_follower import CsvFollower
from edge.adapters.csv_journal import CsvJournal
from edge.adapters.disk_reserves import DiskReserves
from edge.adapters.salvage import damage_reports, open_record
from edge.adapters.single_instance import DataFolderLock
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal
from edge.bootstrap.record import csv_folder
from edge.core.ports import Clock
from edge.loops.health import Health
from edge.loops.storage import StorageKeeper, StorageLimits
from edge.settings import EdgeSettings


@dataclass(frozen=True, slots=True)
class Disk:
    """A unit's data folder, which nobody else uses meanwhile."""

    journal: SqliteJournal
    gallery: SqliteGallery
    csv: CsvFollower
    storage: StorageKeeper
    clock: Clock
    health: Health


@contextmanager
def open_disk(settings: EdgeSettings, clock: Clock, health: Health) -> Iterator[Disk]:
    """Take the data folder and open what is in it, or what can be saved of it.

    Raises AnotherDaemon, StorageFull and StorageFailed.
    """
    wanted = settings.storage
    folder = wanted.data_dir
    with DataFolderLock(folder):
        file = open_record(folder, clock.stamp().at)
        try:
            for report in damage_reports(folder):
                health.problem("record_damaged", report.sentence)
            journal, gallery = SqliteJournal(file, clock), SqliteGallery(file)
            reserves = DiskReserves(file, journal, gallery, Ballast(folder, wanted.ballast_mb * 1024 * 1024))
            limits = StorageLimits(wanted.low_disk_mb * 1_000_000, wanted.keep_delivered_days)
            storage = StorageKeeper(reserves, health, clock, limits)
            csv = CsvFollower(file, _csv_journal(settings), lambda: storage.copies)
            yield Disk(journal, gallery, csv, storage, clock, health)
        finally:
            file.close()


def _csv_journal(settings: EdgeSettings) -> CsvJournal:
    return CsvJournal(csv_folder(settings), settings.storage.time_zone, with_names=settings.storage.csv_names)
