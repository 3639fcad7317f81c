"""How commands speak: JSON for scripts, tables for people, errors with a hint, never a steered terminal."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

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
