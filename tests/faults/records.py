"""Reads what units and hub hold, from their files and tables, for the judge."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from deploy.database_server import Database, DatabaseServer
from protocol.base import canonical_bytes, sha256_hex
from tests.faults.checker import HubEvent, HubRecord, LocalEvent, UnitRecord

UNIT_FILE = "unit.db"


def open_unit_file(data_dir: Path) -> sqlite3.Connection:
    """Open a unit's database file to read it, while the unit may be writing."""
    path = data_dir / UNIT_FILE
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)


def read_unit(unit_id: str, data_dir: Path, truth: Path, *, replaced: bool = False) -> UnitRecord:
    """Return what a unit holds. `truth` is the file of ids its program wrote after each commit."""
    committed = frozenset(line.split()[0] for line in read_lines(truth))
    try:
        with closing(open_unit_file(data_dir)) as file:
            events = tuple(_local_events(file))
            row = file.execute("SELECT manifest_hash FROM gallery").fetchone()
    except sqlite3.OperationalError:
        # No file, or none with tables yet.
        events, row = (), None
    return UnitRecord(
        unit_id=unit_id,
        events=events,
        committed=committed,
        dead_letters=frozenset(event.event_id for event in events if event.delivery == "refused"),
        gallery_hash=row[0] if row else None,
        replaced=replaced,
    )


def _local_events(file: sqlite3.Connection) -> list[LocalEvent]:
    columns = {row[1] for row in file.execute("PRAGMA table_info(events)")}
    if "epoch" not in columns:
        # A file of the first version, which has one stream.
        epoch = file.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()[0]
        streams = f"'{epoch}'"
        same = "o.seq = e.seq", "d.seq = e.seq"
    else:
        streams = "e.epoch"
        same = "o.seq = e.seq AND o.epoch = e.epoch", "d.seq = e.seq AND d.epoch = e.epoch"
    rows = file.execute(
        f"""SELECT e.event_id, {streams}, e.seq, e.body, o.seq, d.seq FROM events e
            LEFT JOIN outbox o ON {same[0]} LEFT JOIN dead_letter d ON {same[1]}"""  # noqa: S608 (our own words)
    )
    return [
        LocalEvent(
            event_id,
            epoch,
            seq,
            "refused" if dead is not None else "waiting" if waits is not None else "delivered",
            sha256_hex(canonical_bytes(json.loads(body))),
        )
        for event_id, epoch, seq, body, waits, dead in rows
    ]


def read_lines(path: Path) -> list[str]:
    """Return the whole lines of a file that is being appended to."""
    if not path.exists():
        return []
    text = path.read_text(encoding="ascii", errors="replace")
    return text[: text.rfind("\n") + 1].splitlines()


def waiting(data_dir: Path) -> int:
    """Return how many events still wait on the unit; 0 without a file."""
    return _count(data_dir, "outbox")


def local_count(data_dir: Path) -> int:
    """Return how many events are on the unit's disk; 0 without a file."""
    return _count(data_dir, "events")


def _count(data_dir: Path, table: str) -> int:
    try:
        with closing(open_unit_file(data_dir)) as file:
            return int(file.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 (our own words)
    except sqlite3.OperationalError:
        return 0


def read_hub(server: DatabaseServer, database: Database) -> HubRecord:
    """Return what the hub holds."""
    rows = server.execute(
        "SELECT LOWER(HEX(event_id)), LOWER(HEX(unit_id)), epoch, seq, LOWER(HEX(payload_sha256)) FROM events", database
    )
    events = tuple(
        HubEvent(_uuid(event_id), _uuid(unit_id), str(epoch), int(str(seq)), str(sha256))
        for event_id, unit_id, epoch, seq, sha256 in rows
    )
    galleries = server.execute(
        "SELECT LOWER(HEX(unit_id)), manifest_hash FROM galleries WHERE prepared_revision = revision", database
    )
    bodies = [row[0] for row in server.execute("SELECT body FROM quarantine", database)]
    return HubRecord(
        events,
        frozenset(event_id for body in bodies for event_id in _ids_in(body)),
        {_uuid(unit_id): None if value is None else str(value) for unit_id, value in galleries},
    )


def _ids_in(body: Any) -> Sequence[str]:
    try:
        found = json.loads(bytes(body))
    except (ValueError, TypeError):
        return ()
    event_id = found.get("event_id") if isinstance(found, dict) else None
    return (event_id,) if isinstance(event_id, str) else ()


def _uuid(digits: object) -> str:
    text = str(digits)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
