"""The tables of the unit's database file, step by step; each step runs once, whole or not at all.

Every row of `events` says all about itself (stream, place, hash, delivered or not), so that a damaged file still gives
back each row that can be read (`edge.adapters.salvage`).
"""

import hashlib
import secrets
import sqlite3

from edge.adapters.sqlite_library import Database, Migrations

MIGRATIONS = Migrations("unit")


def new_epoch() -> str:
    """Return a name for a new stream: 64 random bits, so that its seq 1 is not taken for another's."""
    return secrets.token_hex(8)


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
    # A new file is a new stream, so that its seq 1 is not taken for the old file's.
    db.table("meta").insert_all([{"name": "epoch", "value": new_epoch()}, {"name": "last_seq", "value": "0"}])


_SEVERAL_STREAMS = (
    """CREATE TABLE streams (
        number INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE, last_seq INTEGER NOT NULL,
        waiting INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0) STRICT""",
    # `delivered_at` is NULL for what waits or was refused, and empty for what was delivered at an unknown moment.
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
        event_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
        sha256 BLOB NOT NULL, delivered_at TEXT, UNIQUE (epoch, seq)) STRICT""",
    # AUTOINCREMENT: a place is never used twice, also when the last one was delivered.
    """CREATE TABLE outbox (
        place INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
        UNIQUE (epoch, seq), FOREIGN KEY (epoch, seq) REFERENCES events (epoch, seq)) STRICT""",
    """CREATE TABLE dead_letter (
        number INTEGER PRIMARY KEY, epoch TEXT NOT NULL, seq INTEGER NOT NULL, code TEXT NOT NULL,
        detail TEXT NOT NULL, at TEXT NOT NULL,
        UNIQUE (epoch, seq), FOREIGN KEY (epoch, seq) REFERENCES events (epoch, seq)) STRICT""",
    "CREATE INDEX events_at ON events (at)",
    "CREATE INDEX events_delivered ON events (delivered_at) WHERE delivered_at IS NOT NULL",
    # Counted as they come and go: counting a hundred thousand for each status would cost more than recording.
    """CREATE TRIGGER outbox_in AFTER INSERT ON outbox BEGIN
        UPDATE streams SET waiting = waiting + 1 WHERE epoch = new.epoch; END""",
    """CREATE TRIGGER outbox_out AFTER DELETE ON outbox BEGIN
        UPDATE streams SET waiting = waiting - 1 WHERE epoch = old.epoch; END""",
    """CREATE TRIGGER dead_letter_in AFTER INSERT ON dead_letter BEGIN
        UPDATE streams SET dead = dead + 1 WHERE epoch = new.epoch; END""",
    """CREATE TRIGGER dead_letter_out AFTER DELETE ON dead_letter BEGIN
        UPDATE streams SET dead = dead - 1 WHERE epoch = old.epoch; END""",
)


@MIGRATIONS(name="0002_several_streams")
def _several_streams(db: Database) -> None:
    db.conn.create_function("sha256", 1, lambda body: hashlib.sha256(body.encode()).digest(), deterministic=True)
    epoch, last_seq = (
        db.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchone()[0] for name in ("epoch", "last_seq")
    )
    db.execute("DROP INDEX events_at")
    for table in ("outbox", "dead_letter", "events"):
        db.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
    for statement in _SEVERAL_STREAMS:
        db.execute(statement)
    db.execute("INSERT INTO streams (epoch, last_seq) VALUES (?, ?)", [epoch, int(last_seq)])
    db.execute(
        """INSERT INTO events (epoch, seq, event_id, kind, at, body, sha256, delivered_at)
           SELECT ?, seq, event_id, kind, at, body, sha256(body),
               CASE WHEN seq IN (SELECT seq FROM outbox_before UNION SELECT seq FROM dead_letter_before)
               THEN NULL ELSE '' END
           FROM events_before ORDER BY seq""",
        [epoch],
    )
    db.execute("INSERT INTO outbox (epoch, seq) SELECT ?, seq FROM outbox_before ORDER BY seq", [epoch])
    db.execute(
        """INSERT INTO dead_letter (epoch, seq, code, detail, at)
           SELECT ?, seq, code, detail, replace(at, ' ', 'T') || '+00:00' FROM dead_letter_before ORDER BY seq""",
        [epoch],
    )
    for table in ("outbox", "dead_letter", "events"):
        db.execute(f"DROP TABLE {table}_before")
    db.execute("DELETE FROM meta WHERE name IN ('epoch', 'last_seq')")
    # The CSV copy is taken to be complete: day files that somebody deleted must not come back.
    db.execute("INSERT INTO meta (name, value) SELECT 'copied_up_to', coalesce(max(id), 0) FROM events")
    # What a transfer has brought so far is told apart from what is in use; before this step nobody can tell.
    db.execute("ALTER TABLE content ADD COLUMN in_use INTEGER NOT NULL DEFAULT 0")
    db.execute("UPDATE content SET in_use = 1")


_CONTRADICTIONS = {
    "the count of what waits is wrong": "SELECT (SELECT sum(waiting) FROM streams) <> (SELECT count(*) FROM outbox)",
    "the count of what was refused is wrong": """SELECT
        (SELECT sum(dead) FROM streams) <> (SELECT count(*) FROM dead_letter)""",
    "there is no stream": "SELECT count(*) = 0 FROM streams",
    "a stream has no name": "SELECT 1 FROM streams WHERE length(epoch) <> 16 OR epoch GLOB '*[^0-9a-f]*'",
    "a stream has more events than it gave out": """SELECT 1 FROM streams
        WHERE last_seq < (SELECT max(seq) FROM events WHERE events.epoch = streams.epoch)""",
    "an event belongs to no stream": """SELECT 1 FROM (SELECT DISTINCT epoch FROM events)
        WHERE epoch NOT IN (SELECT epoch FROM streams)""",
    "something waits that is not there": """SELECT 1 FROM outbox LEFT JOIN events USING (epoch, seq)
        WHERE events.id IS NULL OR delivered_at IS NOT NULL""",
}


def nonsense(connection: sqlite3.Connection) -> str:
    """Return what in the file contradicts itself, empty when nothing does.

    SQLite's own check looks at its pages, not at what the numbers in them mean.
    """
    for what, question in _CONTRADICTIONS.items():
        answer = connection.execute(question).fetchone()
        if answer and answer[0]:
            return what
    return ""
