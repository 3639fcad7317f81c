"""Days of a school with everything that goes wrong, from the command line and from tests."""

import json
import subprocess
import sys

import pytest

from deploy.environment import PROJECT
from tests.simulation.dates import ANCHORED
from tests.simulation.faults import KINDS
from tests.simulation.run import Outcome, Plan, simulate
from tests.simulation.world import Setting

EVERYTHING = tuple(KINDS)
QUICK = Setting(restarts_for_audit=True)
WEEK = ("network", "crash", "power", "clock")


def judged(outcome: Outcome) -> None:
    assert outcome.violations == [], f"play it again with seed {outcome.plan.seed}"
    assert outcome.figures["lost"] == 0
    assert outcome.figures["duplicated"] == 0


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_day_in_which_everything_goes_wrong_loses_nothing(seed: int) -> None:
    outcome = simulate(Plan(seed, units=3, days=0.6, kinds=EVERYTHING, pace=8.0, students=20, setting=QUICK))
    judged(outcome)
    assert outcome.figures["events made"] > 1000
    assert sum(outcome.faults.values()) > 50


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run() -> None:
    plan = Plan(5, units=2, days=0.36, kinds=EVERYTHING, pace=10.0, students=5, setting=QUICK)
    once, again = simulate(plan), simulate(plan)
    changing = {name for name in once.figures if "cpu" in name or "wall" in name}
    assert {name: value for name, value in once.figures.items() if name not in changing} == {
        name: value for name, value in again.figures.items() if name not in changing
    }


def test_every_message_may_go_through_the_real_codec_and_parser() -> None:
    plan = Plan(
        3, units=2, days=0.4, kinds=WEEK, pace=10.0, students=10, setting=Setting(sample=1, restarts_for_audit=True)
    )
    outcome = simulate(plan)
    judged(outcome)
    assert outcome.figures["messages"] == outcome.figures["messages through the codec"]


@pytest.mark.slow
def test_a_week_of_some_units_with_outages_reboots_and_wrong_clocks() -> None:
    outcome = simulate(Plan(1, units=2, days=7, kinds=WEEK, students=8))
    judged(outcome)
    assert outcome.errors[ANCHORED].highest_s < 1.0


@pytest.mark.slow
def test_the_command_says_what_happened() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--units", "1", "--days", "0.4", "--faults", "power"]
    command += ["--seed", "1", "--runs", "2", "--jobs", "2", "--search", "2", "--json"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=True)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["seed"] for one in said] == [1, 2]
    for one in said:
        assert one["held"]
        assert one["figures"]["events made"] > 0
