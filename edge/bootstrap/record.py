"""What the record says of itself, and where its copy lies."""

from pathlib import Path
from typing import Any

from edge.adapters.sqlite_journal import SqliteJournal
from edge.settings import EdgeSettings


def record_status(journal: SqliteJournal) -> dict[str, Any]:
    """Return what the record says of itself, for `rollcall-edge status`."""
    waiting = journal.waiting()
    oldest, delivered = waiting.oldest_at, journal.last_delivery_at()
    return {
        "waiting": waiting.events,
        "oldest_waiting_at": oldest.isoformat() if oldest else None,
        "dead_letters": waiting.dead_letters,
        "last_delivery_at": delivered.isoformat() if delivered else None,
        "epoch": journal.epoch,
    }


def csv_folder(settings: EdgeSettings) -> Path:
    """Return where the CSV copy lies."""
    return settings.storage.csv_dir or settings.storage.data_dir / "csv"
