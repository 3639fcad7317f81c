"""`rollcall-edge events` and `export`: reading the record beside a running unit, without writing to it."""

import csv
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from zoneinfo import ZoneInfo

from rich.markup import escape
from rich.table import Table

from edge.adapters.csv_journal import HEADER, csv_row
from edge.adapters.sqlite_file import UnitFile
from edge.adapters.sqlite_history import Row
from edge.adapters.sqlite_journal import SqliteJournal
from edge.cli.output import console, errors, print_json
from edge.core.errors import GalleryRefused, KeyUnusable, SettingsWrong
from edge.settings import EdgeSettings
from protocol.errors import BadEvent
from protocol.events import EVENT_KINDS, parse_event

# Names come out of the gallery, with keys and all: only who writes a CSV file needs them.
if TYPE_CHECKING:
    from edge.adapters.sqlite_gallery import SqliteGallery


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events are wanted."""

    day: str | None
    kinds: tuple[str, ...]
    limit: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would silently find nothing."""
        unknown = sorted(set(self.kinds) - set(EVENT_KINDS))
        if unknown:
            raise SettingsWrong(f"there is no kind {unknown[0]!r}", hint="kinds are: " + ", ".join(EVENT_KINDS))
        self.bounds(ZoneInfo("UTC"))

    def bounds(self, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
        """Return where the day begins and where the next one does, in the time of `zone`; nothing without a day."""
        if self.day is None:
            return None, None
        try:
            first = date.fromisoformat(self.day)
            following = first + timedelta(days=1)
        except (ValueError, OverflowError) as exc:
            raise SettingsWrong(f"{self.day!r} is no day", hint="write it as 2026-09-01") from exc
        return datetime.combine(first, time(), zone), datetime.combine(following, time(), zone)


def list_events(settings: EdgeSettings, choice: Choice, *, as_json: bool) -> None:
    """Print the chosen events; the day is one of UTC, as the times are."""
    since, until = choice.bounds(ZoneInfo("UTC"))
    with _record(settings) as file:
        rows = list(SqliteJournal(file).history(kinds=choice.kinds, since=since, until=until, limit=choice.limit))
    if as_json:
        print_json([{**body, "delivery": state} for body, state in rows])
        return
    table = Table("seq", "time (UTC)", "kind", "student", "delivery")
    for body, state in rows:
        # Also what a newer version wrote: nothing about it is sure.
        cells = (body.get("seq"), str(body.get("at"))[:19], body.get("kind"), body.get("student_id", ""), state)
        table.add_row(*(escape(str(cell)) for cell in cells))
    console.print(table)
    console.print(f"{len(rows)} events")


def export(settings: EdgeSettings, target: Path, choice: Choice, form: str) -> None:
    """Write the chosen events to a file or standard output.

    In a CSV file the day is one of the school's, as in the daily files: the lines are those of that day's file.
    """
    if form not in ("csv", "json"):
        raise SettingsWrong(f"there is no format {form!r}", hint="formats are csv and json")
    zone = ZoneInfo(settings.storage.time_zone if form == "csv" else "UTC")
    since, until = choice.bounds(zone)
    with _record(settings) as file:
        names = _names(settings, file) if form == "csv" else {}
        rows = SqliteJournal(file).history(kinds=choice.kinds, since=since, until=until)
        with opened(target) as out:
            count = _write_json(rows, out) if form == "json" else _write_csv(rows, out, names, settings)
    if str(target) != "-":
        console.print(f"{count} lines written to {escape(str(target))}", soft_wrap=True)


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
def _record(settings: EdgeSettings) -> Iterator[UnitFile]:
    file = UnitFile(settings.storage.data_dir, read_only=True)
    try:
        yield file
    finally:
        file.close()


def _names(settings: EdgeSettings, file: UnitFile) -> dict[str, str]:
    from edge.adapters.sqlite_gallery import SqliteGallery

    return names_or_none(settings, SqliteGallery(file))


def names_or_none(settings: EdgeSettings, store: "SqliteGallery") -> dict[str, str]:
    """Return the display names in the gallery on disk; none, and a note, when it cannot be opened."""
    from edge.bootstrap.names import stored_names

    try:
        return stored_names(settings, store)
    except (GalleryRefused, KeyUnusable) as exc:
        errors.print(f"[yellow]note:[/] without names: {escape(str(exc))}", soft_wrap=True)
        return {}


@contextmanager
def opened(target: Path) -> Iterator[TextIO]:
    """Yield where to write: standard output for -, else a private file that is there when it is whole."""
    if str(target) == "-":
        if isinstance(sys.stdout, TextIOWrapper):
            # Names are of any script, whatever the terminal's language is.
            sys.stdout.reconfigure(encoding="utf-8")
        yield sys.stdout
        return
    if not target.name or target.is_dir():
        raise SettingsWrong(f"{target} is a folder", hint="name the file to write")
    # Beside the target and renamed: a full disk or Ctrl-C leaves the old file, never half of a new one.
    partial = target.with_name(target.name + ".part")
    try:
        with _private(partial) as out:
            yield out
        partial.replace(target)
    except OSError as exc:
        raise SettingsWrong(
            f"{target} cannot be written: {exc.strerror}", hint="check folder, owner and space"
        ) from exc
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _private(path: Path) -> TextIO:
    # Names are in it: nobody else may read it, not even for a moment.
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="")
