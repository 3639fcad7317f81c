"""The unit's one database file: how it is opened, and what its errors mean.

WAL with synchronous=FULL: with NORMAL, a power cut takes everything since the last checkpoint, although COMMIT
returned. One connection behind one lock writes and checkpoints: SQLite before 3.51.3 can corrupt a WAL that two
connections reset.
"""

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.adapters.disk_files import disk_error, disk_full
from edge.adapters.sqlite_library import Database
from edge.adapters.sqlite_schema import MIGRATIONS, nonsense
from edge.adapters.sqlite_wal import WalBefore
from edge.core.errors import StorageDamaged, StorageFailed, StorageFull

FILE_NAME = "unit.db"
SUSPECT_NAME = "unit.db.suspect"
"""Says to the next start that the file proved damaged, though it may open and look well."""
SIDE_NAMES = (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm")
_BUSY_TIMEOUT_S = 5.0
_PRIMARY_CODE = 0xFF
"""SQLite's codes carry details in the higher bits."""
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # What is deleted is overwritten: an erased template must not be found in free pages.
    "PRAGMA secure_delete = ON",
    "PRAGMA journal_size_limit = 4194304",
)
_NOT_OURS = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
)
"""What opening our own file never answers: a table is missing or strange, the header says that it is read-only, or the
disk cannot read a place of it (another start would not read it either)."""
_HELD_BY_ANOTHER = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_FAILED_SYNC = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)
_RESTART = "restart the unit: it sets the file aside, saves what can be read and begins a new one"


def explain(exc: sqlite3.Error, path: Path) -> StorageFailed:
    """Return the unit's error for one of SQLite's."""
    # Python's own complaints, such as a closed connection, carry no code.
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = code & _PRIMARY_CODE
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE):
        return disk_full(path)
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "Could not decode to UTF-8" in str(exc):
        return StorageDamaged(f"{path} is damaged: {exc}", hint=_RESTART)
    if primary in _HELD_BY_ANOTHER:
        return StorageFailed(
            f"{path} cannot be used: {exc}", hint="another program holds the file (a copy, an SQLite shell): end it"
        )
    # A disk that became read-only answers every write with a plain I/O error. Not so after a failed sync: what was said
    # to be written may not be there, and the kernel makes a disk read-only because of that.
    doubtful = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    if primary in doubtful and code not in _FAILED_SYNC:
        refused = _refused(path)
        if isinstance(refused, StorageFull):
            return refused
    return StorageFailed(f"{path} cannot be used: {exc}", hint="check the disk and the file's owner")


def _is_passing(exc: sqlite3.Error, path: Path) -> bool:
    """Return whether a checkpoint that failed so is only put off, and everything is as it was before."""
    primary = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
    return primary in _HELD_BY_ANOTHER or isinstance(explain(exc, path), StorageFull)


def _refused(path: Path) -> StorageFailed | None:
    """Return why no file can be made beside this one, whoever asks; None when one can be made."""
    try:
        # A file without a name: nothing is left behind.
        os.close(os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        return disk_error(exc, path)
    return None


class UnitFile:
    """The open database file. Any thread: one at a time inside `reading` and `writing`.

    Raises StorageFull, StorageDamaged and StorageFailed. With `read_only` the file must exist, and nothing on disk
    changes.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.path = folder / FILE_NAME
        self._lock = threading.RLock()
        self._read_only = read_only
        # Also at a start: the last run may have been killed between a deletion and this.
        self._wal_may_hold_deleted = not read_only
        try:
            self.db = self._open_to_read() if read_only else self._open_to_write(folder)
        except sqlite3.Error as exc:
            error = explain(exc, self.path)
            if not read_only and type(error) is StorageFailed and getattr(exc, "sqlite_errorcode", 0) in _NOT_OURS:
                error = self._damaged(str(exc))
            raise error from exc
        except OSError as exc:
            raise disk_error(exc, folder) from exc

    def _open_to_write(self, folder: Path) -> Database:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        wal = self._log_before()
        # SQLite would begin a new file and delete the log, with everything that was committed to it.
        self._refuse("the file is gone, its log is not" if wal.headless else "")
        if self.path.exists() and not self.path.with_name(f"{FILE_NAME}-journal").exists():
            self._look_at(wal)
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self.path.chmod(0o600)
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            db = Database(connection, execute_plugins=False)
            MIGRATIONS.apply(db)
            self._refuse(nonsense(connection))
            self._empty_wal(connection)
        except BaseException:
            connection.close()
            raise
        return db

    def _log_before(self) -> WalBefore:
        try:
            return WalBefore(self.path)
        except OSError as exc:
            if exc.errno != errno.EIO:
                raise
            raise self._damaged("the disk cannot read its log") from exc

    def _look_at(self, wal: WalBefore) -> None:
        """Refuse a damaged file before anything is written: on closing, a writer would bring its log into it."""
        connection = self._reader()
        try:
            self._check(connection)
            self._refuse(wal.lost())
        finally:
            connection.close()

    def _reader(self) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
        )

    def _open_to_read(self) -> Database:
        if not self.path.exists():
            raise StorageFailed(
                f"there is no {FILE_NAME} in {self.path.parent}", hint="start the unit once, or check storage.data_dir"
            )
        connection = self._reader()
        db = Database(connection, execute_plugins=False)
        if MIGRATIONS.applied(db) and MIGRATIONS.pending(db):
            connection.close()
            raise StorageFailed(
                f"{self.path} was written by an earlier version", hint="start the unit once: it brings the file up"
            )
        return db

    def _check(self, connection: sqlite3.Connection) -> None:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        self._refuse("" if verdict == "ok" else verdict)

    def _refuse(self, complaint: str) -> None:
        if complaint:
            raise self._damaged(complaint)

    def _damaged(self, what: str) -> StorageDamaged:
        return StorageDamaged(f"{self.path} is damaged: {what}", hint=_RESTART)

    def damage(self, what: str) -> StorageDamaged:
        """Return the error for something that we never wrote; the next start does not believe the file again."""
        return self._noted(self._damaged(what))

    def _noted(self, error: StorageDamaged) -> StorageDamaged:
        if not self._read_only:
            with suppress(OSError):
                self.path.with_name(SUSPECT_NAME).touch(mode=0o600)
        return error

    def _explained(self, exc: sqlite3.Error) -> StorageFailed:
        error = explain(exc, self.path)
        return self._noted(error) if isinstance(error, StorageDamaged) else error

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """One transaction: on leaving, everything is on disk, or nothing when an error is raised."""
        with self._lock:
            try:
                self.db.conn.execute("BEGIN IMMEDIATE")
                try:
                    yield self.db
                    self.db.conn.execute("COMMIT")
                    self._empty_wal(self.db.conn)
                except BaseException:
                    # A full disk may have ended the transaction already; rolling back twice would hide the cause.
                    if self.db.conn.in_transaction:
                        self.db.conn.execute("ROLLBACK")
                    raise
            except sqlite3.Error as exc:
                raise self._explained(exc) from exc

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Read without a transaction."""
        with self._lock:
            try:
                yield self.db
            except sqlite3.Error as exc:
                raise self._explained(exc) from exc

    def erase_deleted(self) -> bool:
        """Make sure that what was deleted is in no file any more: pages are overwritten, but the log holds them still.

        Return whether it is so. While a reader is in the way or the disk is full, it is tried again after every write.
        """
        self._wal_may_hold_deleted = True
        return self.write_back()

    def write_back(self) -> bool:
        """Bring what the log holds into the file and empty it; False while a reader is in the way or the disk full."""
        with self.reading() as db:
            emptied = self._truncate_wal(db.conn)
            self._wal_may_hold_deleted = self._wal_may_hold_deleted and not emptied
        return emptied

    def check_for_damage(self) -> None:
        """Read the whole file. Raises StorageDamaged."""
        with self.reading() as db:
            self._check(db.conn)

    def _empty_wal(self, connection: sqlite3.Connection) -> None:
        if self._wal_may_hold_deleted:
            self._wal_may_hold_deleted = not self._truncate_wal(connection)

    def _truncate_wal(self, connection: sqlite3.Connection) -> bool:
        # The transaction before it is on disk: neither waiting nor a lack of space here may make it look otherwise.
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as exc:
            if not _is_passing(exc, self.path):
                raise
            return False
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_TIMEOUT_S * 1000)}")
        return not busy

    def close(self) -> None:
        """Write the WAL back and close the file."""
        with self._lock:
            self.db.conn.close()
