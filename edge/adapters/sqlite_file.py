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

from edge.adapters.sqlite_library import Database
from edge.adapters.sqlite_schema import MIGRATIONS, nonsense
from edge.adapters.sqlite_wal import WalBefore
from edge.core.errors import StorageDamaged, StorageFailed, StorageFull, StorageReadOnly

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
)
"""What opening our own file never answers: a table is missing or strange, or the header says that it is read-only."""
_RESTART = "restart the unit: it sets the file aside, saves what can be read and begins a new one"


def explain(exc: sqlite3.Error, path: Path) -> StorageFailed:
    """Return the unit's error for one of SQLite's."""
    # Python's own complaints, such as a closed connection, carry no code.
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = code & _PRIMARY_CODE
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE):
        return StorageFull(f"the disk that holds {path.name} is full", hint="free some space; recognition goes on")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "Could not decode to UTF-8" in str(exc):
        return StorageDamaged(f"{path} is damaged: {exc}", hint=_RESTART)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageFailed(
            f"{path} cannot be used: {exc}", hint="another program holds the file (a copy, an SQLite shell): end it"
        )
    # A disk that became read-only answers every write with a plain I/O error.
    doubtful = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    if primary in doubtful and is_read_only(path.parent):
        return StorageReadOnly(
            f"the disk that holds {path.name} can only be read now",
            hint="it may be failing: look at the kernel's log, replace it; recognition goes on, records are held",
        )
    return StorageFailed(f"{path} cannot be used: {exc}", hint="check the disk and the file's owner")


def is_read_only(folder: Path) -> bool:
    """Return whether nothing can be made in the folder because its disk is read-only, whoever asks."""
    try:
        # A file without a name: nothing is left behind.
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        return exc.errno == errno.EROFS
    return False


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
            raise StorageFailed(f"{folder} cannot be used: {exc.strerror}", hint="check owner and disk") from exc

    def _open_to_write(self, folder: Path) -> Database:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        wal = WalBefore(self.path)
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

    def erase_deleted(self) -> None:
        """Make sure that what was deleted is in no file any more: pages are overwritten, but the WAL holds them still.

        While a reader is in the way or the disk is full, it is tried again after every write.
        """
        with self._lock:
            self._wal_may_hold_deleted = True
            self._empty_wal(self.db.conn)

    def write_back(self) -> None:
        """Bring what the WAL holds into the file and make the WAL empty, unless a reader is in the way."""
        self.erase_deleted()

    def check_for_damage(self) -> None:
        """Read the whole file. Raises StorageDamaged."""
        with self.reading() as db:
            self._check(db.conn)

    def _empty_wal(self, connection: sqlite3.Connection) -> None:
        if not self._wal_may_hold_deleted:
            return
        # The transaction before it is on disk: neither waiting nor failing here may make it look otherwise.
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA busy_timeout = 0")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            self._wal_may_hold_deleted = bool(busy)
        with suppress(sqlite3.Error):
            connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_TIMEOUT_S * 1000)}")

    def close(self) -> None:
        """Write the WAL back and close the file."""
        with self._lock:
            self.db.conn.close()
