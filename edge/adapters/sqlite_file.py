"""The unit's one database file: how it is opened, its tables, and what its errors mean.

WAL with synchronous=FULL: with NORMAL, a power cut takes everything since the last checkpoint, although COMMIT
returned. One connection behind one lock writes and checkpoints: SQLite before 3.51.3 can corrupt a WAL that two
connections reset.
"""

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.adapters.sqlite_library import Database, Migrations
from edge.core.errors import StorageFailed, StorageFull

FILE_NAME = "unit.db"
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

MIGRATIONS = Migrations("unit")


@MIGRATIONS(name="0001_first_tables")
def _first_tables(db: Database) -> None:
    for statement in (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
        """CREATE TABLE events (
            seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
            at TEXT NOT NULL, body TEXT NOT NULL) STRICT""",
        "CREATE TABLE outbox (seq INTEGER PRIMARY KEY REFERENCES events (seq)) STRICT",
        """CREATE TABLE dead_letter (
            seq INTEGER PRIMARY KEY REFERENCES events (seq), code TEXT NOT NULL, detail TEXT NOT NULL,
            at TEXT NOT NULL) STRICT""",
        """CREATE TABLE open_interval (
            interval_id TEXT PRIMARY KEY, student_id TEXT NOT NULL, first_seen TEXT NOT NULL,
            last_seen TEXT NOT NULL) STRICT""",
        "CREATE TABLE content (hash TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT",
        """CREATE TABLE gallery (
            slot INTEGER PRIMARY KEY CHECK (slot = 1), revision INTEGER NOT NULL, signed_head BLOB NOT NULL,
            manifest_hash TEXT NOT NULL REFERENCES content (hash),
            timetable_hash TEXT REFERENCES content (hash)) STRICT""",
        "CREATE INDEX events_at ON events (at)",
    ):
        db.execute(statement)
    # 64 random bits: a new file is a new stream, so that its seq 1 is not taken for the old file's.
    db.table("meta").insert_all([{"name": "epoch", "value": secrets.token_hex(8)}, {"name": "last_seq", "value": "0"}])


def explain(exc: sqlite3.Error, path: Path) -> StorageFailed:
    """Return the unit's error for one of SQLite's."""
    # Python's own complaints, such as a closed connection, carry no code.
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE):
        return StorageFull(f"the disk that holds {path.name} is full", hint="free some space; recognition goes on")
    if code & _PRIMARY_CODE in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageFailed(
            f"{path} cannot be used: {exc}", hint="another program holds the file (a copy, an SQLite shell): end it"
        )
    return StorageFailed(
        f"{path} cannot be used: {exc}",
        hint="check the disk; if the file is damaged, move it away: the unit begins a new one",
    )


class UnitFile:
    """The open database file. Any thread: one at a time inside `reading` and `writing`.

    Raises StorageFull and StorageFailed. With `read_only` the file must exist, and nothing on disk changes.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.path = folder / FILE_NAME
        self._lock = threading.RLock()
        # Also at a start: the last run may have been killed between a deletion and this.
        self._wal_may_hold_deleted = not read_only
        try:
            self.db = self._open_to_read() if read_only else self._open_to_write(folder)
        except sqlite3.Error as exc:
            raise explain(exc, self.path) from exc
        except OSError as exc:
            raise StorageFailed(f"{folder} cannot be used: {exc.strerror}", hint="check owner and disk") from exc

    def _open_to_write(self, folder: Path) -> Database:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        existed = self.path.exists()
        connection = sqlite3.connect(self.path, check_same_thread=False, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self.path.chmod(0o600)
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            db = Database(connection, execute_plugins=False)
            if existed:
                self._check(connection)
            MIGRATIONS.apply(db)
            self._empty_wal(connection)
        except BaseException:
            connection.close()
            raise
        return db

    def _open_to_read(self) -> Database:
        if not self.path.exists():
            raise StorageFailed(
                f"there is no {FILE_NAME} in {self.path.parent}", hint="start the unit once, or check storage.data_dir"
            )
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
        )
        return Database(connection, execute_plugins=False)

    def _check(self, connection: sqlite3.Connection) -> None:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise StorageFailed(
                f"{self.path} is damaged: {verdict}",
                hint="move it away and keep it (`sqlite3 FILE .recover` may save events); the unit begins a new one",
            )

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
                raise explain(exc, self.path) from exc

    @contextmanager
    def reading(self) -> Iterator[Database]:
        """Read without a transaction."""
        with self._lock:
            try:
                yield self.db
            except sqlite3.Error as exc:
                raise explain(exc, self.path) from exc

    def erase_deleted(self) -> None:
        """Make sure that what was deleted is in no file any more: pages are overwritten, but the WAL holds them still.

        While a reader is in the way or the disk is full, it is tried again after every write.
        """
        with self._lock:
            self._wal_may_hold_deleted = True
            self._empty_wal(self.db.conn)

    def check_for_damage(self) -> None:
        """Read the whole file. Raises StorageFailed when it is damaged."""
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
