"""How commands speak: JSON for scripts, tables for people, errors with a hint, never a steered terminal."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hub.cli import console
from hub.cli.console import Column

COLUMNS = (Column("name", "Name"), Column("seen", "Seen"), Column("count", "Count", right=True))
ROWS = [{"name": "[bold]Ada[/]\x1b[31m", "seen": datetime(2026, 9, 1, 6, tzinfo=UTC), "count": 3, "hidden": None}]


def test_json_holds_every_key_of_each_row_and_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit(ROWS, COLUMNS, as_json=True)
    [row] = json.loads(capsys.readouterr().out)
    assert (row["seen"], row["hidden"], row["name"]) == ("2026-09-01T06:00:00Z", None, ROWS[0]["name"])


def test_a_table_shows_names_as_they_are_and_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit(ROWS, COLUMNS, as_json=False)
    shown = capsys.readouterr().out
    assert "[bold]Ada[/]\ufffd[31m" in shown
    assert "\x1b" not in shown
    assert "hidden" not in shown


def test_joiners_stay_between_letters_and_nowhere_else() -> None:
    for name in ("مینو\u200cسا", "ശ്\u200dരീ"):
        assert console.plain(name) == name
    assert console.plain("\u200cA \u200d1\u200d2\u200c") == "\ufffdA \ufffd1\ufffd2\ufffd"


def asking(ends_with: type[BaseException] | None, answer: str = "") -> tuple[int, str]:
    """Return how a command that asks ends, and what it says."""
    app = typer.Typer(cls=console.HubGroup)

    @app.command()
    def ask() -> None:
        console.need_yes("Delete it?")

    @app.command()
    def work() -> None:
        if ends_with is not None:
            raise ends_with("Stopped after 3 of 10." if answer else "")

    ended = CliRunner().invoke(app, ["work" if ends_with else "ask"], input=answer)
    return ended.exit_code, ended.stderr


def test_whoever_answers_no_or_not_at_all_is_told_that_nothing_was_changed() -> None:
    assert asking(None, "y\n")[0] == 0
    code, said = asking(None, "n\n")
    assert (code, said.endswith("Nothing was changed.\n")) == (1, True)
    code, said = asking(None)
    assert (code, said.splitlines()[-1]) == (1, "Nothing was changed: nobody answered (--yes?).")


def test_ctrl_c_ends_with_130_and_a_sentence_also_at_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asking(KeyboardInterrupt) == (130, "Stopped.\n")
    assert asking(KeyboardInterrupt, "more") == (130, "Stopped after 3 of 10.\n")

    def abort(*_: object, **__: object) -> bool:
        # As the library does it: raised because of Ctrl-C.
        stopped = typer.Abort()
        stopped.__context__ = KeyboardInterrupt()
        raise stopped

    monkeypatch.setattr(typer, "confirm", abort)
    assert asking(None) == (130, "\nNothing was changed.\n")


def test_ctrl_c_while_the_program_is_being_loaded_is_no_traceback() -> None:
    program = (
        "import sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'hub.cli.console': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "import hub.cli"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (130, "")


def test_an_empty_table_is_a_sentence_and_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit([], COLUMNS, as_json=False, empty="There is nobody yet.")
    console.emit([], COLUMNS, as_json=True, empty="There is nobody yet.")
    assert capsys.readouterr().out == "There is nobody yet.\n[]\n"


def test_errors_and_hints_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.say_error("no such unit", "see: unit list")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Error: no such unit\nsee: unit list\n"


def test_progress_is_silent_when_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("Counting", total=3) as step:
        step()
        step(2, text="Counting on")
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


def test_paths_have_a_form_in_json_and_secrets_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    console.emit_json({"path": Path("/a")})
    assert json.loads(capsys.readouterr().out) == {"path": "/a"}
    with pytest.raises(TypeError):
        console.emit_json({"key": b"secret"})
