"""kill -9 of unit, hub and broker in the middle of the story, with real recognition: every event is in MySQL once.

Once each; `make faults` does it a hundred times, and `tests/faults` forty times with a scripted recogniser.
"""

import sqlite3

import pytest

from deploy.clip import make_clip
from deploy.demo import enrol_people, fetch_gallery, prepare_school
from deploy.own_process import wait_until
from deploy.stage import Stage, StagedUnit

pytestmark = [pytest.mark.system, pytest.mark.server, pytest.mark.model]

BETWEEN_KILLS = 2
"""New events before the next kill: something must be on its way."""


def test_unit_hub_and_broker_are_killed_and_every_event_is_stored_once(stage: Stage) -> None:
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
    wanted = 0
    for victim in (program, stage.hub, stage.broker):
        wanted = max(wanted, _count(unit)) + BETWEEN_KILLS
        _wait_for_events(unit, wanted)
        victim.kill()
        victim.start()
    _wait_for_events(unit, wanted + BETWEEN_KILLS)
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
    # The key alone keeps an id from being stored twice. These would show an event taken under another id or place,
    # one that was refused, or a stream with a hole.
    assert stage.query("SELECT COUNT(*), COUNT(DISTINCT epoch, seq) FROM events") == [(len(events), len(events))]
    assert stage.query("SELECT high_water FROM epochs") == [(len(events),)]
    assert stage.query("SELECT COUNT(*) FROM quarantine") == [(0,)]
    assert wait_until(lambda: _present(stage) == ["0012", "0013"], 60), _present(stage)
    opened = [event["event_id"] for event in events if event["kind"] == "seen"]
    closed = [event["interval_id"] for event in events if event["kind"] == "left"]
    assert sorted(opened) == sorted(closed)


def _present(stage: Stage) -> list[str]:
    rows = stage.query(
        "SELECT serial_number FROM attendance JOIN students ON students.id = student_id WHERE status = 'Present'"
    )
    return sorted(str(row[0]) for row in rows)


def _wait_for_events(unit: StagedUnit, count: int) -> None:
    assert wait_until(lambda: _count(unit) >= count, 90), "the unit writes nothing down"


def _count(unit: StagedUnit) -> int:
    # Read from the file itself: starting our command for each look would take longer than what is waited for.
    path = unit.folder / "data" / "unit.db"
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM events").fetchone()[0])
    finally:
        connection.close()
