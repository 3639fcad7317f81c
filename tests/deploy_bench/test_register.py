"""The measuring of the register derives a term that a school could have, and reads what it says it reads."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.bench import __main__ as bench
from deploy.bench.register_school import Term, _lessons, _Unit


def test_a_term_has_lessons_that_do_not_share_a_room_and_school_days_only() -> None:
    term = Term(students=90, days=7)
    assert [day.isoweekday() for day in term.school_days] == [2, 3, 4, 5, 1, 2, 3]
    found = list(_lessons(term))
    assert len(found) == 7 * 6 * 3
    assert len({(one["room_id"], one["starts_at"]) for one in found}) == len(found)
    assert len({one["id"] for one in found}) == len(found)
    assert {one["ends_at"] - one["starts_at"] for one in found} == {timedelta(minutes=45)}


def test_units_watch_every_lesson_and_see_nearly_everybody_in_one_stream_each() -> None:
    term = Term(students=60, days=2)
    seen = 0
    for number in range(term.units):
        rows = list(_Unit(term, number).events())
        assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
        assert sum(row["kind"] == "coverage" for row in rows) == 2 * 6 * 3
        assert all(json.loads(row["body"])["event_id"] == row["event_id"] for row in rows)
        seen += sum(row["kind"] == "seen" for row in rows)
    assert 0.85 < seen / (60 * 6 * 2) < 0.99


@pytest.mark.machine
@pytest.mark.server
def test_a_quick_run_measures_the_register(pack_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_arguments: None)
    out = tmp_path / "bench.json"
    assert bench.main(["--quick", "--only", "register", "--pack", str(pack_folder), "--out", str(out)]) == 0
    figures = {figure["name"]: figure for figure in json.loads(out.read_text())}
    rebuilt = figures["register of a term, rebuilt (720 rows, 0 written)"]
    assert rebuilt["unit"] == "rows/s"
    assert rebuilt["ratio"] > 0
    assert figures["register of a term, derived for the first time (720 rows, 720 written)"]["value"] > 0
    assert figures["register of one section and day (30 students, 180 rows)"]["value"] > 0
    assert figures["register of one student and term (12 rows)"]["value"] > 0
