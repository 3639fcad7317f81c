"""The table and the JSON say what was found."""

import io
import json
from pathlib import Path

from rich.console import Console

from tests.faults.catalogue import Line, Outcome, as_table, judged, skipped, summary, write_json

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
        "runs": 5,
        "result": "held",
        "reason": "12 events committed",
        "seconds": 3.2,
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
