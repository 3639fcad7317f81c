"""The commands by which people speak about the register: what they print, what scripts read, how they end."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hub.adapters.schema import attendance, closings, marks
from hub.cli import absence, app, closing, review, rules
from hub.cli import marks as marks_commands
from tests.hub_office.conftest import OfficeUnderTest
from tests.hub_office.little_school import LittleSchool, local

pytestmark = pytest.mark.server
Command = Callable[..., Result]


@pytest.fixture
def run(desk: OfficeUnderTest) -> Command:
    def call(*words: str, code: int = 0, answer: str | None = None) -> Result:
        result = CliRunner().invoke(
            app, ["--config", str(desk.settings_file), "--actor", "ada", *words], input=answer, env={"COLUMNS": "240"}
        )
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def school(desk: OfficeUnderTest) -> LittleSchool:
    return LittleSchool(desk)


def read(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("group", "part"),
    [
        (None, marks_commands.app),
        (None, closing.app),
        ("review", review.app),
        ("rules", rules.app),
        ("absence", absence.app),
    ],
)
def test_every_command_teaches_with_an_example(group: str | None, part: Any) -> None:
    for command in part.registered_commands:
        words = [command.name, "--help"] if group is None else [group, command.name, "--help"]
        result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
        assert result.exit_code == 0
        assert "--json" in result.output
        assert f"rollcall-hub {group or command.name}" in result.output


def test_marking_and_taking_back_say_what_stands_and_how_to_undo_it(run: Command, school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    said = run("mark", "--serial", "1", "--status", "late", "--at", "08:20", "--date", "2026-09-01", "--reason", "bus")
    assert "Late, came 08:20" in said.output
    assert "unmark --batch" in said.output
    day = ("--date", "2026-09-01", "--section", "7b")
    assert "1 student's rows are about to be derived again" in run("register", "show", *day).stderr
    assert read(run("register", "show", *day, "--json"))["waiting"] == 1
    again = read(
        run("mark", "--serial", "1", "--status", "late", "--at", "2026-09-01T08:20", "--reason", "bus", "--json")
    )
    assert (again["new"], again["batch_id"], again["marks"][0]["at"]) == (0, None, "2026-09-01T08:20:00+02:00")
    trip = ("--from", "2026-09-01", "--section", "7b", "--reason", "trip", "--json")
    excused = read(run("excuse", *trip, "--except", "1"))
    assert [(one["serial_number"], one["lesson"]["lesson_id"]) for one in excused["marks"]] == [("002", lesson)]
    assert read(run("unmark", "--batch", excused["batch_id"], "--json"))["taken_back"][0]["serial_number"] == "002"
    undone = run("unmark", "--serial", "1", "--date", "2026-09-01")
    assert "what the cameras saw" in undone.output
    assert "nothing was changed" in run("unmark", "--serial", "1", "--date", "2026-09-01").output
    assert "Wrote 0 marks" in run("register", "csv-rebuild").output
    refused = run("mark", "--serial", "99", "--status", "late", "--lesson", lesson, code=1)
    assert "no student with serial number 99" in refused.stderr
    run("mark", "--status", "late", "--lesson", lesson, "--section", "7b", code=2)
    run("excuse", "--reason", "trip", code=2)
    days = ("--from", "2026-09-01", "--until", "2026-09-02")
    assert "has no lesson: 2026-09-02" in run("excuse", "--serial", "1", *days).output


def test_closing_shows_who_becomes_absent_and_who_stays_and_asks_first(run: Command, school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    school.derived("1", lesson, "Not seen", "not_seen")
    school.derived("002", lesson, "Not observed", "not_watched")
    named = ("--section", "7b", "--at", "2026-09-01T08:10")
    asked = run("close", *named, code=1, answer="n\n")
    assert "Will be Absent: Ada (1)" in asked.output
    assert f"mark --status present --serial 002 --lesson {lesson}" in asked.output
    assert school.all(closings) == []
    closed = run("close", *named, "--absent", "002", answer="y\n")
    assert "Stays" not in closed.output
    assert "Marked absent: 002" in closed.output
    assert "was closed already: Closed by ada" in run("close", *named, "--yes").output
    page = read(run("register", "lesson", lesson, "--json"))
    assert (page["state"], [one["status"] for one in page["students"]]) == ("closed", ["Not observed", "Not seen"])
    assert "Nothing has changed since." in run("register", "lesson", *named).output
    assert "Closed: 08:00 Maths" in run("register", "show", "--date", "2026-09-01").output
    assert [one["lesson_id"] for one in read(run("reopen", lesson, "--json"))["opened"]] == [lesson]
    assert "Was not closed" in run("reopen", lesson).output
    assert [row["status"] for row in school.all(marks)] == ["absent"]


def test_questions_rules_and_absence_read_as_sentences(run: Command, school: LittleSchool) -> None:
    school.lesson("08:00")
    unit = school.unit()
    candidates = [{"student_id": school.students[serial], "score": 0.8} for serial in ("1", "002")]
    body = json.dumps({"candidates": candidates, "reason": "look_alikes"})
    school.event(unit, "review", local("08:05"), body)
    listed = run("review", "list", "--date", "2026-09-01")
    assert "Ada (1), Bob (002)" in listed.output
    [question] = read(run("review", "list", "--date", "2026-09-01", "--json"))["questions"]
    day = ("--date", "2026-09-01")
    assert "which of them was it?" in run("review", "accept", question["key"], *day, code=1).stderr
    accepted = run("review", "accept", question["short_key"], "--student", "1", *day)
    assert "It was Ada: present from 08:05 in Maths of 7b" in accepted.output
    assert "Nothing is to be answered" in run("review", "list", *day).output
    assert "asked again" in run("review", "undo", question["short_key"], *day).output
    assert "None of them" in run("review", "reject", question["short_key"], *day).output
    planned = run("rules", "set", "--from", "2026-08-31", "--late-after-min", "5", "--past-too", answer="y\n")
    assert "late after minutes: 10 -> 5" in planned.output
    assert "Version 1 holds" in planned.output
    assert read(run("rules", "show", "--json"))["in_force"]["late_after_min"] == 5
    assert "is no part of a day" in run("rules", "set", "--from", "2026-08-31", "--session", "x", code=1).stderr
    assert [one["more_needed"] for one in read(run("absence", "show", "--json"))] == [299, 299]
    refused = run("absence", "on", "12", code=1)
    assert "recall of at least 0.0%" in refused.stderr
    assert "off already" in run("absence", "off", "12").output
    assert school.all(attendance) == []
