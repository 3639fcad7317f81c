"""How every command speaks: tables or JSON on stdout, progress and one-sentence errors on stderr, exit codes.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 database or broker cannot be reached now, 130 Ctrl-C.

A command looks like this:

    @app.command("list")
    def list_students(ctx: typer.Context, as_json: JsonFlag = False) -> None:
        rows = students.everyone(console.office(ctx))
        console.emit(rows, STUDENT_COLUMNS, as_json=as_json)
"""

import json
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from hub.bootstrap.office import open_office
from hub.core.errors import HubError, StoreUnavailable
from hub.office.context import Office
from hub.settings import HubSettings, load_settings, operator_name, process_environment, settings_file
from recognition.core.errors import RecognitionError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_TEMPORARY = 3
EXIT_STOPPED = 130
_WIDE = 240
_HUNDRED = 100
_JOINERS = "\u200c\u200d"

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")]


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen before the command: the settings file and who acts."""

    config: Path | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the key in each row and the heading people read."""

    key: str
    heading: str
    right: bool = False


class Step(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: float = 1, *, total: float | None = None, text: str | None = None) -> None:
        """Advance by `done`; `total` and `text` replace what the bar was opened with."""
        ...


class HubGroup(TyperGroup):
    """The root command: turns errors that were raised on purpose into a sentence, a hint and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except HubError as exc:
            say_error(str(exc), exc.hint)
            raise typer.Exit(EXIT_TEMPORARY if isinstance(exc, StoreUnavailable) else EXIT_FAILED) from exc
        except RecognitionError as exc:
            say_error(str(exc))
            raise typer.Exit(EXIT_FAILED) from exc
        except (KeyboardInterrupt, typer.Abort) as exc:
            # A command that knows how to go on says so: KeyboardInterrupt("Stopped after 3 of 10; ...").
            note(str(exc) or "Stopped.")
            raise typer.Exit(_code_of(exc)) from exc


def settings(ctx: typer.Context) -> HubSettings:
    """Return the settings this command runs with. Raises BadInput."""
    environment = process_environment()
    return load_settings(settings_file(_choices(ctx).config, environment), environment)


def chosen_file(ctx: typer.Context) -> Path | None:
    """Return the settings file chosen on the command line, if one was."""
    return _choices(ctx).config


def office(ctx: typer.Context) -> Office:
    """Return the office this command works in; it is closed when the command ends. Raises BadInput."""
    actor = _choices(ctx).actor or operator_name(process_environment())
    opened = open_office(settings(ctx), actor)
    ctx.call_on_close(opened.database.close)
    return opened


def _choices(ctx: typer.Context) -> Choices:
    chosen = ctx.find_root().obj
    return chosen if isinstance(chosen, Choices) else Choices()


def emit(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool, empty: str = "") -> None:
    """Print rows: as a table of `columns`, or with --json as a list of objects with every key of each row.

    `empty` is the sentence for people when there are no rows.
    """
    if as_json:
        emit_json([dict(row) for row in rows])
    elif not rows and empty:
        say(empty)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column.heading, justify="right" if column.right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(plain(_readable(row.get(column.key)))) for column in columns))
        _stdout().print(table)


def emit_json(value: Any) -> None:
    """Print one JSON value; moments in UTC, with a Z."""
    text = json.dumps(value, default=_jsonable, ensure_ascii=False, indent=2)
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    """Print a sentence on stdout."""
    _stdout().print(Text(plain(text)), soft_wrap=True)


def note(text: str) -> None:
    """Print a sentence on stderr: for people, never part of what a script reads."""
    _stderr().print(Text(plain(text)), soft_wrap=True)


def say_error(text: str, hint: str = "") -> None:
    """Print an error as one sentence and its hint on stderr."""
    _stderr().print(Text("Error: ", style="bold red").append(plain(text), style="not bold default"), soft_wrap=True)
    if hint:
        _stderr().print(Text(plain(hint)), soft_wrap=True)


def need_yes(question: str) -> None:
    """Ask on stderr, and end the command when the answer is no, when nobody is there to answer, or with Ctrl-C."""
    try:
        if typer.confirm(plain(question), err=True):
            return
        code, said = EXIT_FAILED, "Nothing was changed."
    except typer.Abort as exc:
        code = _code_of(exc)
        said = "\nNothing was changed." if code == EXIT_STOPPED else "\nNothing was changed: nobody answered (--yes?)."
    note(said)
    raise typer.Exit(code)


def _code_of(stopped: BaseException) -> int:
    """Return the exit code: a question that is not answered is an `Abort` for Ctrl-C as for the end of the input."""
    by_hand = isinstance(stopped, KeyboardInterrupt) or isinstance(stopped.__context__, KeyboardInterrupt)
    return EXIT_STOPPED if by_hand else EXIT_FAILED


@contextmanager
def progress(text: str, *, total: float | None, as_json: bool = False) -> Iterator[Step]:
    """Show a progress bar on stderr while the block runs; silent with --json or when nobody watches.

    `total` None: how much there is to do is not known yet.
    """
    console = _stderr()
    shown = console.is_terminal and not as_json
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not shown,
    )
    with bar:
        task = bar.add_task(plain(text), total=total)

        def step(done: float = 1, *, total: float | None = None, text: str | None = None) -> None:
            bar.update(task, advance=done, total=total, description=None if text is None else plain(text))

        yield step


def plain(text: str) -> str:
    """Return `text` without control characters: a name must not be able to steer a terminal."""
    return "".join(
        char if char.isprintable() or char == "\n" or _joins(text, place) else "\ufffd"
        for place, char in enumerate(text)
    )


def _joins(text: str, place: int) -> bool:
    """Tell whether this is a (non-)joiner between letters, which Persian and Indic names need."""
    if text[place] not in _JOINERS or not 0 < place < len(text) - 1:
        return False
    return all(unicodedata.category(text[beside])[0] in "LM" for beside in (place - 1, place + 1))


def _readable(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _stdout() -> Console:
    # Made anew each time: tests and pipes replace sys.stdout. Into a pipe, lines are not folded at 80 columns.
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


def _stderr() -> Console:
    return Console(stderr=True, highlight=False)
