"""The demonstration's story, with assertions, through separate processes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.clip import Scene, make_clip
from deploy.demo import ROOM, enrol_people, fetch_gallery, prepare_school
from deploy.own_process import wait_until
from deploy.stage import Stage, StagedUnit

pytestmark = [pytest.mark.system, pytest.mark.server, pytest.mark.model]

FAST = {"kind": "replay", "at_end": "stop", "replay_pace": "fast"}


def _present(stage: Stage) -> list[str]:
    rows = stage.query(
        "SELECT serial_number FROM attendance JOIN students ON students.id = student_id WHERE status = 'Present'"
    )
    return sorted(str(row[0]) for row in rows)


def test_students_are_marked_once_strangers_never_and_withdrawn_faces_no_more_over_a_broken_network(
    stage: Stage,
) -> None:
    unit = prepare_school(stage)
    enrol_people(stage)
    stage.hub.start()
    scenes = make_clip(stage.folder / "clip")
    fetch_gallery(stage, unit, scenes[0])
    _watch_without_the_broker_and_send_later(stage, unit, scenes[0])
    _withdraw_a_consent_and_watch_again(stage, unit, scenes[0])


def _watch_without_the_broker_and_send_later(stage: Stage, unit: StagedUnit, empty: Scene) -> None:
    stage.broker.kill()
    summary = unit.command(
        "run", "--json", camera={**FAST, "source": str(stage.folder / "clip"), "delivery__drain_s": "0"}
    )
    waiting = [event for event in unit.events() if event["delivery"] == "waiting"]
    assert summary["events_waiting"] == len(waiting)
    assert [event["kind"] for event in waiting].count("seen") == 2
    stage.broker.start()
    unit.command("run", "--json", camera={**FAST, "source": str(empty.frames[0].parent), "delivery__drain_s": "60"})

    assert wait_until(lambda: len(_present(stage)) == 2, 60), "the register did not settle"
    assert _present(stage) == ["0012", "0013"]
    events = unit.events()
    assert {event["delivery"] for event in events} == {"delivered"}
    stored = {str(row[0]) for row in stage.query("SELECT LOWER(HEX(event_id)) FROM events")}
    assert stored == {event["event_id"].replace("-", "") for event in events}
    assert len(_seen(events)) == 2
    assert sum(event["unknown_faces"] for event in events if event["kind"] == "coverage") >= 1
    today = datetime.now(UTC).date().isoformat()  # noqa: TID251 (the machine's own day is what the programs use)
    assert stage.register(today)


def _withdraw_a_consent_and_watch_again(stage: Stage, unit: StagedUnit, empty: Scene) -> None:
    before = unit.events()
    stage.office("consent", "withdraw", "--serial", "0012")
    fetch_gallery(stage, unit, empty)
    unit.command("run", "--json", camera={**FAST, "source": str(stage.folder / "clip"), "delivery__drain_s": "60"})

    rows = stage.query("SELECT LOWER(HEX(id)) FROM students WHERE serial_number = '0013'")
    assert _seen(unit.events()[len(before) :]) == {str(row[0]) for row in rows}
    receipts = stage.query("SELECT COUNT(*) FROM erasures WHERE confirmed_at IS NOT NULL")
    assert receipts == [(1,)]
    assert {event["delivery"] for event in unit.events()} == {"delivered"}
    # What was before the withdrawal stays, and nobody is there twice.
    assert wait_until(lambda: not stage.query("SELECT 1 FROM dirty_students"), 60), "the register did not settle"
    assert _present(stage) == ["0012", "0013"]


def _seen(events: list[dict[str, Any]]) -> set[str]:
    return {event["student_id"].replace("-", "") for event in events if event["kind"] == "seen"}


def test_a_unit_without_a_hub_or_gallery_watches_and_marks_nobody(stage: Stage) -> None:
    stage.office("room", "add", ROOM)
    unit = stage.add_unit("room-12", ROOM)
    stage.broker.kill()
    make_clip(stage.folder / "clip")

    summary = unit.command(
        "run", "--json", camera={**FAST, "source": str(stage.folder / "clip"), "delivery__drain_s": "0"}
    )

    assert summary["tracks_present"] == 0
    assert summary["tracks_unknown"] >= 3
    assert {event["kind"] for event in unit.events()} == {"coverage"}
