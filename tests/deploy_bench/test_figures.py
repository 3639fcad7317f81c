"""Figures are kept in the form scripts read, and a missed target is said."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.bench.figures import Report, Target, percentile, quiet_median


def test_a_figure_has_the_five_fields_that_scripts_read(tmp_path: Path) -> None:
    report = Report()
    report.compare("cold frame", 50.0, ("DeepFace", 400.0))
    report.write(tmp_path / "build" / "bench.json")
    (figure,) = json.loads((tmp_path / "build" / "bench.json").read_text())
    assert figure == {"name": "cold frame", "value": 50.0, "unit": "ms", "against": "DeepFace", "ratio": 8.0}


def test_for_times_less_is_better_and_for_rates_more() -> None:
    report = Report()
    report.compare("time", 10.0, ("other", 40.0))
    report.compare_rate("rate", 40.0, ("other", 10.0))
    assert [figure.ratio for figure in report.figures] == [4.0, 4.0]


@pytest.mark.parametrize(("ms", "is_short"), [(10.0, False), (57.2, True)])
def test_a_ratio_below_its_target_is_short_of_it(ms: float, is_short: bool) -> None:
    report = Report()
    report.compare("cold frame", ms, ("DeepFace", 400.0), Target(ratio=7.0))
    assert bool(report.short) is is_short
    assert ("short of the target (at least 7x)" in report.lines()[0]) is is_short


def test_a_value_above_its_most_is_short_of_the_target() -> None:
    report = Report()
    report.add("memory", 300.0, "MB", Target(at_most=300.0))
    report.add("more memory", 300.1, "MB", Target(at_most=300.0))
    assert [figure.name for figure, _ in report.short] == ["more memory"]


def test_what_could_not_be_measured_has_no_number_and_says_why() -> None:
    report = Report()
    report.missing("face_recognition", "there is no network")
    assert json.loads(report.as_json())[0]["value"] is None
    assert "not measured: there is no network" in report.lines()[0]
    assert not report.short


def test_what_stands_in_a_table_has_no_line_but_is_written() -> None:
    report = Report()
    report.tabled("cold frame", 5.0, "ms")
    report.add("memory", 100.0, "MB")
    report.tabled_beside("cold frame", 5.0, ("other", 10.0))
    assert [line.split()[0] for line in report.lines()] == ["memory"]
    assert len(json.loads(report.as_json())) == 3


def test_a_noisy_half_does_not_move_the_median() -> None:
    assert quiet_median([10.0, 11.0, 12.0, 500.0, 600.0, 700.0]) == 11.0


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_quiet_median_is_a_middle_of_the_lower_half(times: list[float]) -> None:
    assert min(times) <= quiet_median(times) <= sorted(times)[len(times) // 2]


def test_the_99th_percentile_of_two_hundred_leaves_out_two() -> None:
    assert percentile([float(number) for number in range(1, 201)], 0.99) == 198.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=400), st.floats(0.01, 1.0))
def test_a_percentile_is_not_exceeded_by_its_share(times: list[float], share: float) -> None:
    limit = percentile(times, share)
    assert limit in times
    assert sum(value <= limit for value in times) >= share * len(times) - 1e-9
