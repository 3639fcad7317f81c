"""`rollcall-edge status`, `dead-letters` and `csv`: asked of the unit that runs, or done in its place when none does.

There is one writer on a unit. Whoever only reads opens the record read-only beside it.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from edge.adapters.control_socket import ask
from edge.adapters.salvage import damage_reports
from edge.adapters.sqlite_file import FILE_NAME, UnitFile
from edge.adapters.sqlite_journal import SqliteJournal
from edge.bootstrap.record import csv_folder, record_status
from edge.cli.output import console, errors, print_json
from edge.cli.records import names_or_none, opened
from edge.core.errors import CommandRefused, SettingsWrong, StorageDamaged, StorageFailed
from edge.core.ports import DeadLetter
from edge.loops.control import MOST_LETTERS, ControlDesk
from edge.loops.copying import RecordCopy
from edge.settings import EdgeSettings
from protocol.events import Event

Ask = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Letters:
    """Which dead letters are meant."""

    seqs: Sequence[int] = ()
    stream: str | None = None
    everything: bool = False


def show_status(settings: EdgeSettings, *, as_json: bool) -> None:
    """Print what the running unit says of itself, or what its record says when it does not run."""
    answer = ask(settings.storage.data_dir, {"command": "status"})
    if answer is None:
        with _read(settings) as journal:
            problems = [
                {"code": "record_damaged", "text": report.sentence}
                for report in damage_reports(settings.storage.data_dir)
            ]
            answer = {"state": "stopped", **record_status(journal), "problems": problems}
    else:
        _done(answer)
    answer.pop("ok", None)
    if as_json:
        print_json(answer)
        return
    for name, value in answer.items():
        if name != "problems":
            console.print(f"{name.replace('_', ' '):>18}  {escape(_in_words(value))}", soft_wrap=True)
    for problem in answer.get("problems", ()):
        # The code is what the runbook is looked up by.
        text = f"{problem.get('code')}: {problem.get('text')}"
        console.print(f"[yellow]{'problem':>18}[/]  {escape(text)}", soft_wrap=True)


def _in_words(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
    return str(value)


def list_letters(settings: EdgeSettings, *, as_json: bool) -> None:
    """Print what the hub refused."""
    with _read(settings) as journal:
        letters = journal.dead_letters()
    if as_json:
        print_json([_as_json(letter) for letter in letters])
        return
    if not letters:
        console.print("the hub refused nothing")
        return
    several = len({letter.epoch for letter in letters}) > 1
    table = Table(*(["stream"] if several else []), "seq", "refused (UTC)", "kind", "code", "detail")
    for letter in letters:
        cells = [letter.epoch] if several else []
        cells += [str(letter.seq), letter.refused_at.isoformat()[:19], str(letter.body.get("kind"))]
        table.add_row(*(escape(cell) for cell in (*cells, letter.code, letter.detail)))
    console.print(table)
    console.print(f"{len(letters)} refused by the hub")


def show_letter(settings: EdgeSettings, wanted: Letters, *, as_json: bool) -> None:
    """Print one refused event with the reason, as JSON for people or for scripts."""
    with _read(settings) as journal:
        (letter,) = _chosen(journal.dead_letters(), wanted)
    if as_json:
        print_json(_as_json(letter))
        return
    console.print(escape(json.dumps(_as_json(letter), indent=2, ensure_ascii=False)), soft_wrap=True)


def export_letters(settings: EdgeSettings, target: Path) -> None:
    """Write every refused event with the reason, a line of JSON each."""
    with _read(settings) as journal:
        letters = journal.dead_letters()
    with opened(target) as out:
        for letter in letters:
            out.write(json.dumps(_as_json(letter), ensure_ascii=False) + "\n")
    if str(target) != "-":
        console.print(f"{len(letters)} lines written to {escape(str(target))}", soft_wrap=True)


def retry_letters(settings: EdgeSettings, wanted: Letters, *, as_json: bool) -> None:
    """Send refused events again, because what was wrong at the hub is put right."""
    if bool(wanted.seqs) == wanted.everything:
        raise SettingsWrong("say which", hint="numbers from `rollcall-edge dead-letters list`, or --all")
    with _read(settings) as journal:
        letters = _chosen(journal.dead_letters(), wanted)
    count = 0
    with at_desk(settings) as ask_desk:
        for start in range(0, len(letters), MOST_LETTERS):
            places = [[letter.epoch, letter.seq] for letter in letters[start : start + MOST_LETTERS]]
            count += int(ask_desk({"command": "retry", "letters": places})["retried"])
    if as_json:
        print_json({"retried": count})
    else:
        console.print(f"{count} wait for the hub again")


def rebuild_csv(settings: EdgeSettings, day: str | None, *, everything: bool, as_json: bool) -> None:
    """Write day files anew from the record: today's, a day's, or all."""
    from rich.progress import Progress

    if day is not None and everything:
        raise SettingsWrong("--day and --all exclude each other")
    if day is not None:
        _refuse_no_day(day)
    written: dict[str, int] = {}
    with at_desk(settings) as ask_desk:
        days = [day] if day else list(ask_desk({"command": "csv_days"})["days"])
        if day is None and not everything:
            # The newest of which there is anything: this machine's clock may not know what day it is.
            days = days[-1:]
        with Progress(console=errors, transient=True, disable=as_json or len(days) < 3) as progress:
            for each in progress.track(days, description="day files"):
                written[each] = int(ask_desk({"command": "csv_rebuild", "day": each})["lines"])
    if as_json:
        print_json([{"day": each, "lines": lines} for each, lines in written.items()])
        return
    for each, lines in written.items():
        console.print(f"{each}  {lines} lines" if lines else f"{each}  nothing: the record marks nobody on this day")
    if any(written.values()):
        console.print(f"written to {escape(str(csv_folder(settings)))}", soft_wrap=True)
    if not written:
        console.print("the record has nothing to write")


def _refuse_no_day(day: str) -> None:
    try:
        date.fromisoformat(day) + timedelta(days=1)
    except (ValueError, OverflowError) as exc:
        raise SettingsWrong(f"{day!r} is no day", hint="write it as 2026-09-01") from exc


def _chosen(letters: list[DeadLetter], wanted: Letters) -> list[DeadLetter]:
    here = [letter for letter in letters if wanted.stream in (None, letter.epoch)]
    if wanted.everything:
        return here
    found = []
    for seq in wanted.seqs:
        matching = [letter for letter in here if letter.seq == seq]
        if not matching:
            raise SettingsWrong(f"the hub refused nothing with number {seq}", hint="rollcall-edge dead-letters list")
        if len(matching) > 1:
            raise SettingsWrong(f"there are {len(matching)} with number {seq}", hint="name the stream with --stream")
        found += matching
    return found


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    values = asdict(letter)
    values["refused_at"] = letter.refused_at.isoformat()
    values["event"] = values.pop("body")
    return values


@contextmanager
def _read(settings: EdgeSettings) -> Iterator[SqliteJournal]:
    file = UnitFile(settings.storage.data_dir, read_only=True)
    try:
        yield SqliteJournal(file)
    finally:
        file.close()


@contextmanager
def at_desk(settings: EdgeSettings) -> Iterator[Ask]:
    """Yield what answers requests: the unit that runs, or this program in its place."""
    folder = settings.storage.data_dir
    if ask(folder, {"command": "status"}) is not None:
        yield lambda request: _done(ask(folder, request))
        return
    if not (folder / FILE_NAME).exists():
        raise StorageFailed(
            f"there is no {FILE_NAME} in {folder}", hint="start the unit once, or check storage.data_dir"
        )
    with _standing_in(settings) as desk:
        yield lambda request: _done(desk.answer(request))


@contextmanager
def _standing_in(settings: EdgeSettings) -> Iterator[ControlDesk]:
    # Only without a running unit this command opens the record to write.
    from edge.adapters.clock_system import SystemClock
    from edge.bootstrap.disk import open_disk
    from edge.bootstrap.names import stored_room
    from edge.loops.health import Health
    from edge.loops.marking import MarkDesk
    from edge.loops.recorder import Recorder

    clock = SystemClock()
    with open_disk(settings, clock, Health()) as disk:
        names = names_or_none(settings, disk.gallery)
        recorder = Recorder(disk.journal, _CopyAtOnce(disk.csv), disk.health, disk.storage, clock.monotonic_s)
        marks = MarkDesk(recorder, lambda: names, lambda: stored_room(settings, disk.gallery).lessons, clock)
        yield ControlDesk(disk.journal, disk.csv, lambda: names, dict, marks)


@dataclass(frozen=True, slots=True)
class _CopyAtOnce:
    """The CSV copy of a record that no unit keeps now."""

    copy: RecordCopy

    def append(self, _events: Sequence[Event], names: Mapping[str, str]) -> None:
        """Write the lines that lack; what cannot be written now, the unit writes when it runs again."""
        try:
            while self.copy.copy_some(names):
                pass
        except StorageDamaged:
            raise
        except StorageFailed as exc:
            errors.print(f"[yellow]note:[/] the line in the CSV file comes later: {escape(str(exc))}", soft_wrap=True)


def _done(answer: dict[str, Any] | None) -> dict[str, Any]:
    if answer is None:
        raise CommandRefused("the unit has just stopped", hint="give the command again: what was done is done")
    if not answer.get("ok"):
        raise CommandRefused(str(answer.get("problem")), hint=str(answer.get("hint") or ""))
    return answer
