"""The table and the JSON say what was found."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.faults.catalogue import (
    Line,
    Outcome,
    as_table,
    judged,
    read_lines,
    skipped,
    summary,
    together,
    write_json,
)

LINES = [
    Line(3, "broker killed", Outcome("held", "12 events committed", 5), 3.25),
    Line(8, "database restored", Outcome("broken", "2 acknowledged events [x] are gone", 1), 9.0),
    Line(36, "certificate expired", skipped("no TLS yet"), 0.0),
]


def test_the_json_names_each_fault_with_runs_result_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "faults.json"
    write_json(path, LINES)
    found = json.loads(path.read_text())
    assert found[0] == {
        "id": 3,
        "fault": "broker killed",
        "part": 0,
        "runs": 5,
        "result": "held",
        "reason": "12 events committed",
        "counts": {},
        "seconds": 3.2,
        "how": "",
    }
    assert [line["result"] for line in found] == ["held", "broken", "skipped"]
    assert list(path.parent.iterdir()) == [path]


def test_the_table_shows_every_line_and_takes_no_word_for_markup() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(as_table(LINES))
    text = console.export_text()
    for word in ("broker killed", "held", "broken", "skipped", "gone", "[x]"):
        assert word in text


def test_the_last_line_counts_the_results() -> None:
    assert summary(LINES) == "1 held, 1 broken, 1 skipped"


def test_one_problem_makes_an_outcome_broken_and_many_are_counted() -> None:
    assert judged([], "7 events") == Outcome("held", "7 events", 1)
    many = judged([f"p{number}" for number in range(6)], "7 events", runs=3)
    assert many.result == "broken"
    assert many.reason == "p0; p1; p2; p3; and 2 more (7 events)"


def test_what_was_written_is_read_again_for_a_run_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    assert read_lines(path) == []
    lines = [*LINES, Line(0, "kills", Outcome("held", "", 50, {"kills of hub": 7}), 80.5, 3, "seed 1")]
    write_json(path, lines)
    assert [line.outcome for line in read_lines(path)] == [line.outcome for line in lines]
    assert read_lines(path)[-1] == lines[-1]


def test_a_file_of_another_program_is_not_taken_for_results(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    for content in ('[{"id": 3}]', "[3]", '{"id": 3}', "no JSON"):
        path.write_text(content)
        with pytest.raises(ValueError, match=r".+"):
            read_lines(path)


def test_parts_of_a_fault_are_one_line_in_which_what_was_counted_is_added_up() -> None:
    held = [Line(0, "kills", Outcome("held", "", 50, {"kills of hub": 7, "events": 1000}), 80.0, n) for n in range(2)]
    (line,) = together(held)
    assert line.outcome == Outcome("held", "kills of hub 14, events 2,000", 100, {"kills of hub": 14, "events": 2000})
    assert line.seconds == 160.0
    broken = Line(0, "kills", Outcome("broken", "2 events are gone", 50, {"events": 10}), 80.0, 2)
    (line,) = together([*held, broken])
    assert line.outcome.result == "broken"
    assert line.outcome.reason == "part 3: 2 events are gone; kills of hub 14, events 2,010"
    assert summary([LINES[0], *held, broken]) == "1 held, 1 broken, 0 skipped"
