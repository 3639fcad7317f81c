"""`rollcall-edge events` and `export`: reading the record beside a running unit, without writing to it."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from rich.table import Table

from edge.adapters.csv_journal import HEADER, csv_row
from edge.adapters.key_files import read_key
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_gallery import SqliteGallery
from edge.adapters.sqlite_journal import Row, SqliteJournal
from edge.cli.output import console, print_json
from edge.core.errors import GalleryRefused, SettingsWrong
from edge.core.gallery_sync import UnitIdentity, open_manifest
from edge.settings import EdgeSettings
from protocol.errors import BadEvent
from protocol.events import EVENT_KINDS, parse_event


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events are wanted."""

    day: str | None
    kinds: tuple[str, ...]
    limit: int | None

    def __post_init__(self) -> None:
        """Refuse what would silently find nothing."""
        unknown = sorted(set(self.kinds) - set(EVENT_KINDS))
        if unknown:
            raise SettingsWrong(f"there is no kind {unknown[0]!r}", hint="kinds are: " + ", ".join(EVENT_KINDS))
        try:
            if self.day is not None:
                date.fromisoformat(self.day)
        except ValueError as exc:
            raise SettingsWrong(f"{self.day!r} is no day", hint="write it as 2026-09-01") from exc


def list_events(settings: EdgeSettings, choice: Choice, *, as_json: bool) -> None:
    """Print the chosen events."""
    with _journal(settings) as (journal, _names):
        rows = list(journal.history(kinds=choice.kinds, day=choice.day, limit=choice.limit))
    if as_json:
        print_json([{**body, "delivery": state} for body, state in rows])
        return
    table = Table("seq", "time (UTC)", "kind", "student", "delivery")
    for body, state in rows:
        table.add_row(str(body["seq"]), body["at"][:19], body["kind"], body.get("student_id", ""), state)
    console.print(table)
    console.print(f"{len(rows)} events")


def export(settings: EdgeSettings, target: Path, choice: Choice, form: str) -> None:
    """Write the chosen events to a file or standard output."""
    if form not in ("csv", "json"):
        raise SettingsWrong(f"there is no format {form!r}", hint="formats are csv and json")
    with _journal(settings) as (journal, names), _opened(target) as out:
        rows = journal.history(kinds=choice.kinds, day=choice.day)
        count = _write_json(rows, out) if form == "json" else _write_csv(rows, out, names, settings)
    if str(target) != "-":
        console.print(f"{count} lines written to {target}")


def _write_json(rows: Iterator[Row], out: TextIO) -> int:
    count = 0
    for body, state in rows:
        out.write(json.dumps({**body, "delivery": state}, ensure_ascii=False) + "\n")
        count += 1
    return count


def _write_csv(rows: Iterator[Row], out: TextIO, names: Mapping[str, str], settings: EdgeSettings) -> int:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    zone = ZoneInfo(settings.storage.time_zone)
    count = 0
    for body, _state in rows:
        line = _csv_line(body, names, zone, with_names=settings.storage.csv_names)
        if line:
            writer.writerow(line)
            count += 1
    return count


def _csv_line(
    body: dict[str, Any], names: Mapping[str, str], zone: ZoneInfo, *, with_names: bool
) -> tuple[str, ...] | None:
    try:
        return csv_row(parse_event(body), names, zone, with_names=with_names)
    except BadEvent:
        # Written by a newer version that was rolled back: it is still in the JSON export.
        return None


@contextmanager
def _journal(settings: EdgeSettings) -> Iterator[tuple[SqliteJournal, Mapping[str, str]]]:
    file = UnitFile(settings.storage.data_dir, read_only=True)
    try:
        yield SqliteJournal(file), _names(settings, SqliteGallery(file))
    finally:
        file.close()


def _names(settings: EdgeSettings, store: SqliteGallery) -> dict[str, str]:
    """Return the display names in the gallery on disk; none when there is no gallery or it cannot be opened."""
    head = store.in_use()
    sealed = store.staged(head.manifest_hash) if head else None
    if head is None or sealed is None:
        return {}
    identity = UnitIdentity(
        settings.site,
        settings.unit_id,
        head.pack_id,
        read_key(settings.keys.data_key_file, secret=True),
        read_key(settings.keys.hub_key_file, secret=False),
    )
    try:
        entries = open_manifest(identity, head, sealed).entries
    except GalleryRefused:
        return {}
    return {entry.student_id: entry.display_name for entry in entries}


@contextmanager
def _opened(target: Path) -> Iterator[TextIO]:
    if str(target) == "-":
        yield sys.stdout
        return
    # Beside the target and renamed: a full disk or Ctrl-C leaves the old file, never half of a new one.
    partial = target.with_name(target.name + ".part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as out:
            partial.chmod(0o600)
            yield out
        partial.replace(target)
    except OSError as exc:
        raise SettingsWrong(f"{target} cannot be written: {exc.strerror}") from exc
    finally:
        partial.unlink(missing_ok=True)
