"""kill -9 of unit, hub and broker in the middle of the story: every event is in MySQL once."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.clip import make_clip
from deploy.demo import enrol_people, fetch_gallery, prepare_school
from deploy.own_process import OwnProcess, wait_until
from deploy.programs import Program
from deploy.stage import Stage, StagedUnit

pytestmark = [pytest.mark.system, pytest.mark.server, pytest.mark.model]

KILLS = 3
Victim = Callable[[Stage, Program], OwnProcess]


@pytest.mark.parametrize(
    "victim",
    [
        pytest.param(lambda _stage, unit: unit, id="unit"),
        pytest.param(lambda stage, _unit: stage.hub, id="hub"),
        pytest.param(lambda stage, _unit: stage.broker, id="broker"),
    ],
)
def test_whatever_is_killed_three_times_every_event_is_stored_once(stage: Stage, victim: Victim) -> None:
    unit = prepare_school(stage)
    enrol_people(stage)
    stage.hub.start()
    clip = stage.folder / "clip"
    scenes = make_clip(clip)
    fetch_gallery(stage, unit, scenes[0])
    program = unit.program(
        {
            "kind": "replay",
            "source": str(clip),
            "at_end": "again",
            "presence__absence_s": "5",
            "presence__coverage_every_s": "5",
        }
    )
    program.start()

    for round_number in range(1, KILLS + 1):
        _wait_for_events(unit, 4 * round_number)
        target = victim(stage, program)
        target.kill()
        target.start()
    _wait_for_events(unit, 4 * (KILLS + 1))
    program.stop()
    unit.command(
        "run", "--json",
        camera={
            "kind": "replay", "source": str(scenes[0].frames[0].parent), "at_end": "stop", "replay_pace": "fast",
            "delivery__drain_s": "60",
        },
    )  # fmt: skip

    events = unit.events()
    assert {event["delivery"] for event in events} == {"delivered"}
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    stored = [str(row[0]) for row in stage.query("SELECT LOWER(HEX(event_id)) FROM events")]
    assert sorted(stored) == sorted(event["event_id"].replace("-", "") for event in events)
    opened = [event["event_id"] for event in events if event["kind"] == "seen"]
    closed = [event["interval_id"] for event in events if event["kind"] == "left"]
    assert sorted(opened) == sorted(closed)


def _wait_for_events(unit: StagedUnit, count: int) -> None:
    # The number of rows, read from the file itself: starting our command for each look would take longer than waiting.
    assert wait_until(lambda: _count(unit.folder / "data" / "unit.db") >= count, 90), "the unit writes nothing down"


def _count(path: Path) -> int:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM events").fetchone()[0])
    finally:
        connection.close()
