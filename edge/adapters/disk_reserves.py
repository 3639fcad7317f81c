"""What a unit can give up when its disk is full: first the ballast that was kept for this moment.

On a full disk SQLite can neither delete nor checkpoint, because both write to the log first. The ballast is larger than
the log becomes, so that with its space everything works again.
"""

import shutil

from edge.adapters.ballast import Ballast
from edge.adapters.pack_room import drop_unfinished
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import SqliteJournal


class DiskReserves:
    """`edge.loops.storage.Reserves` of a real disk. Any thread."""

    def __init__(self, file: UnitFile, journal: SqliteJournal, gallery: SqliteGallery, ballast: Ballast) -> None:
        self._file = file
        self._journal = journal
        self._gallery = gallery
        self._ballast = ballast

    def free_bytes(self) -> int:
        """Return how much is free, not counting the ballast."""
        try:
            return shutil.disk_usage(self._file.path.parent).free
        except OSError:
            return 0

    def hold_ballast(self) -> bool:
        """Reserve the ballast again where that leaves as much free as it takes; return whether it is reserved.

        Also where there can be none: a unit works without.
        """
        if self._ballast.held or self._ballast.impossible:
            return True
        return self.free_bytes() >= 2 * self._ballast.size and (self._ballast.hold() or self._ballast.impossible)

    def release_ballast(self) -> bool:
        """Give the ballast's space to the record."""
        return self._ballast.release()

    def write_back(self) -> None:
        """Empty the log into the file."""
        self._file.write_back()

    def erase_damaged(self) -> bool:
        """Overwrite a part of damaged files that must go."""
        return self._gallery.erase_damaged()

    def try_erasing_again(self) -> None:
        """Also what could not be overwritten before."""
        self._gallery.try_erasing_again()

    def try_to_write(self) -> None:
        """Write something down that nobody needs."""
        with self._file.writing() as db:
            db.execute(
                """INSERT INTO meta (name, value) VALUES ('tried', '1')
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value"""
            )

    def drop_pack(self) -> int:
        """Delete what has come of a model pack on its way."""
        return drop_unfinished(self._file.path.parent)

    def drop_staged(self) -> int:
        """Delete what a gallery transfer has brought so far: it is asked for again."""
        return self._gallery.drop_staged()

    def prune_early(self) -> int:
        """Delete some of the oldest events that the hub has."""
        return self._journal.prune_early()

    def prune(self, keep_days: float) -> int:
        """Delete some of the events that the hub has had for longer than this; none while the clock is not synced."""
        return self._journal.prune_older(keep_days)
