"""The simulated fleet sends what units send, and the measuring of the hub really commits what it counts."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.bench import __main__ as bench
from deploy.bench.figures import Figure, Report, Target
from deploy.bench.fleet import Outcome
from deploy.bench.fleet_unit import BATCH_EVENTS, FleetUnit
from deploy.bench.ingest import _rows, _sorted

AT = datetime(2026, 9, 1, 6, tzinfo=UTC)


def test_a_simulated_unit_sends_batches_that_the_hub_takes_whole_and_as_they_are() -> None:
    unit = FleetUnit(3, AT)
    seqs = [row.event.seq for _ in range(2) for row in _sorted(unit).rows]
    assert seqs == list(range(1, 2 * BATCH_EVENTS + 1))


def test_a_fleet_sends_every_common_kind_and_no_event_twice() -> None:
    rows = [row for number in range(3) for row in _rows(FleetUnit(number, AT))]
    assert {row["kind"] for row in rows} == {"seen", "left", "coverage"}
    assert len({row["event_id"] for row in rows}) == len(rows)
    assert len({row["student_id"] for row in rows if row["student_id"]}) > 30


def test_without_live_events_nothing_is_said_of_them() -> None:
    assert Outcome(committed=5, seconds=1.0).as_json()["live_p99_s"] is None


@pytest.mark.parametrize(("ratio", "value", "met"), [(0.6, 30_000, True), (0.4, 30_000, False), (0.6, 10_000, False)])
def test_a_rate_has_to_reach_the_ratio_and_the_value(ratio: float, value: float, met: bool) -> None:
    target = Target(ratio=0.5, at_least=20_000)
    assert target.met_by(Figure("rate", value, "events/s", "bare", ratio)) is met
    assert str(target) == "at least 0.5x and at least 20000"


def test_a_rate_beside_another_has_its_own_unit() -> None:
    report = Report()
    report.compare_rate("hub", 2000.0, ("bare", 1000.0), unit="events/s")
    assert (report.figures[0].unit, report.figures[0].ratio) == ("events/s", 2.0)


@pytest.mark.machine
@pytest.mark.server
def test_a_quick_run_measures_the_hub_and_the_units_journal(
    pack_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_arguments: None)
    out = tmp_path / "bench.json"
    arguments = ["--quick", "--only", "ingest", "--only", "journal", "--pack", str(pack_folder), "--out", str(out)]
    assert bench.main(arguments) == 0
    figures = {figure["name"]: figure for figure in json.loads(out.read_text())}
    assert figures["hub ingest, 1 worker"]["against"] == "bare executemany"
    assert figures["hub ingest, 2 workers"]["value"] > 0
    assert figures["backlog of 8000 events from 40 units: live events"]["value"] > 0
    assert figures["unit's journal, 1 event a commit"]["value"] > 0
