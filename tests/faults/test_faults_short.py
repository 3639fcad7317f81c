"""A short part of the fault bench, for every run of the tests; `make faults` does all of it, at length.

Real processes with scripted eyes, a real broker and a real database, and the same judge.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.own_process import ServerMissing, wait_until
from tests.conftest import missing_server, note_server
from tests.faults.bench import Bench
from tests.faults.disk import damage
from tests.faults.kills import kill_school
from tests.faults.network import another_connection
from tests.faults.processes import crash_hub, crash_unit
from tests.faults.proxy import FINE, Snare, Weather
from tests.faults.school import School

pytestmark = [pytest.mark.system, pytest.mark.server, pytest.mark.model]

SEED = 20261122
KILLS = 40


def _quiet(_text: str) -> None:
    return


@pytest.fixture
def make_school(tmp_path: Path, pack_folder: Path, pytestconfig: pytest.Config) -> Iterator[Callable[[int], School]]:
    """Give schools with so many units, behind proxies; units do not run yet."""
    made: list[School] = []

    def make(count: int) -> School:
        school = School(tmp_path / f"school-{len(made)}", pack_folder, count=count, seed=SEED, lines=True)
        made.append(school)
        try:
            school.__enter__()
        except ServerMissing as error:
            missing_server(error)
        note_server(pytestconfig, school.broker.version(), school.database.version())
        return school

    yield make
    for school in made:
        school.close()


def _assert_settled(school: School, *, galleries: bool = True) -> None:
    problems, verdict = school.settle(galleries=galleries)
    assert [*problems, *verdict.problems] == []
    assert verdict.committed > 0


def test_forty_random_kills_of_units_hub_broker_and_database_lose_nothing_and_double_nothing(
    make_school: Callable[[int], School],
) -> None:
    school = make_school(3)
    school.run_units()
    campaign = kill_school(school, KILLS, random.Random(SEED), _quiet, every_s=0.5)  # noqa: S311
    assert sum(campaign.killed.values()) == KILLS
    _assert_settled(school)


def test_named_crashes_a_half_open_line_a_lost_commit_and_a_damaged_file_lose_nothing(
    make_school: Callable[[int], School],
) -> None:
    school = make_school(1)
    school.run_units()
    assert school.broker_line is not None
    assert school.database_line is not None

    for point in ("edge_after_commit", "edge_after_publish", "edge_inside_receipt"):
        assert crash_unit(school, point, 1) is None
    assert crash_hub(school, "hub_after_commit", 1) is None

    school.database_line.snare = Snare(b"INSERT INTO events", b"COMMIT")
    assert wait_until(lambda: school.database_line is not None and school.database_line.snared == 1, 30)
    school.database_line.snare = None

    school.broker_line.weather = Weather(swallow=True)
    assert another_connection(school.broker_line, 40), "the unit did not notice that nothing comes any more"
    school.broker_line.weather = FINE
    assert school.unit.finish() is None

    # Everything is delivered; what is damaged now is the unit's own copy.
    damage(school.unit.data_dir / "unit.db", Bench(say=_quiet, seed=SEED))
    school.unit.replaced = True
    school.unit.begin()
    assert school.unit.wait_for(3, 30), school.unit.program.words()[-1000:]
    _assert_settled(school)
