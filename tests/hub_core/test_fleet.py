"""How a unit is, told truthfully."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.fleet import BEHIND_AFTER, CLONED_FOR, SILENT_AFTER, STUCK_AFTER, UnitHeard, condition
from hub.core.ingest import supersedes
from protocol.status import Problem, Status
from tests.hub_core.builders import EPOCH, START


def heard(state: str | None = "watching", ago_min: float = 1, **changed: Any) -> UnitHeard:
    status_fields = {"state": state, "session": 1, "epoch": EPOCH} | changed.pop("status", {})
    moment = START - timedelta(minutes=ago_min)
    values: dict[str, Any] = {
        "status": None if state is None else Status.model_validate(status_fields),
        "status_at": None if state is None else moment,
        "spoke_at": moment,
        "revoked": False,
        "gallery_current": True,
        "gallery_problem": None,
    }
    return UnitHeard(**(values | changed))


@pytest.mark.parametrize(
    ("quarantined", "ago", "said"),
    [
        (0, timedelta(hours=23), True),
        (0, timedelta(hours=25), False),
        (1, timedelta(days=30), True),
    ],
)
def test_what_found_no_room_in_quarantine_is_said_while_something_waits_there_and_for_a_day(
    quarantined: int, ago: timedelta, said: bool
) -> None:
    unit = heard(quarantined=quarantined, dropped=12, dropped_at=START - ago)
    texts = {one.code: one.text for one in condition(unit, START).troubles}
    assert ("quarantine_full" in texts) == said
    assert not said or texts["quarantine_full"].startswith("12 refused messages found no room in quarantine")


@pytest.mark.parametrize(
    ("unit", "state", "text"),
    [
        (heard(), "ok", "watching"),
        (heard(gallery_current=False), "ok", "watching; a new gallery is on its way"),
        (heard(ago_min=6), "silent", "silent, last heard 6 min ago"),
        (heard("lost", ago_min=2), "silent", "connection lost, last heard 2 min ago"),
        (heard("stopped", ago_min=200), "silent", "stopped by a person or a restart 3 h ago"),
        (heard(None, spoke_at=None), "new", "never heard of yet"),
        (heard(None), "problem", "has not said how it is"),
        (heard("degraded"), "problem", "works with a problem it did not name"),
        (heard(revoked=True), "revoked", "revoked"),
        (heard(gallery_problem="disk_full"), "problem", "did not take the gallery (disk_full)"),
        (heard(status={"waiting_events": 1}), "ok", "watching; 1 event waiting to be sent"),
        (
            heard(ago_min=4000, status={"waiting_events": 7}),
            "silent",
            "silent, last heard 2 days ago; 7 events waiting to be sent",
        ),
        (heard(status={"problems": [{"code": "camera", "text": "no picture"}]}), "problem", "no picture"),
    ],
)
def test_a_units_condition_is_told_in_plain_words(unit: UnitHeard, state: str, text: str) -> None:
    said = condition(unit, START)
    assert (said.state, said.text) == (state, text)


def test_the_brokers_word_that_a_unit_is_lost_is_no_sign_of_life() -> None:
    spoke: datetime = START - timedelta(hours=5)
    said = condition(heard("lost", ago_min=0, spoke_at=spoke), START)
    assert said.last_heard_at == spoke


def codes(unit: UnitHeard) -> list[str]:
    return [one.code for one in condition(unit, START).troubles]


def test_connected_but_nothing_gets_through_is_a_problem_and_says_what_to_do() -> None:
    said = condition(heard(status={"waiting_events": 340, "progress_s": 12 * 60 + 5, "oldest_waiting_s": 900}), START)
    assert said.state == "problem"
    assert said.text.startswith("connected, but nothing has arrived for 12 min while 340 events wait: ")
    assert "rollcall-hub db check" in said.text


@pytest.mark.parametrize(
    "status",
    [
        {"waiting_events": 340, "progress_s": 30, "oldest_waiting_s": 90_000},
        {"waiting_events": 0, "progress_s": 0},
        {"waiting_events": 3, "oldest_waiting_s": 90_000, "last_receipt_at": START - timedelta(minutes=2)},
    ],
    ids=["draining a backlog", "nothing waits", "an older unit that drains"],
)
def test_a_unit_that_gets_on_is_not_stuck(status: dict[str, Any]) -> None:
    assert condition(heard(status=status), START).state == "ok"


@pytest.mark.parametrize("said", [{"progress_s": 1e300}, {"oldest_waiting_s": 1e300}])
def test_a_unit_that_says_any_number_does_not_keep_the_others_from_being_shown(said: dict[str, Any]) -> None:
    assert "stuck" in codes(heard(status={"waiting_events": 1, **said}))


def test_a_unit_of_an_older_version_is_known_to_be_stuck_by_its_last_receipt() -> None:
    old = {"waiting_events": 3, "oldest_waiting_s": 7200, "last_receipt_at": START - timedelta(hours=2)}
    assert codes(heard(status=old)) == ["stuck"]


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        (heard(status={"held_events": 2, "disk": "full"}), "held"),
        (heard(status={"disk": "read_only"}), "disk_read_only"),
        (heard(status={"temperature_c": 84.0}), "hot"),
        (heard(status={"throttled": ["under_voltage"]}), "under_voltage"),
        (heard(status={"throttled": ["too_hot"]}), "throttled"),
        (heard(status={"clock": "unsynced"}), "clock"),
        (heard(quarantined=3), "quarantined"),
        (heard(cloned_at=START - timedelta(minutes=20)), "cloned"),
        (heard(gallery_current=False, gallery_since=START - timedelta(minutes=16)), "gallery_behind"),
        (heard(status={"software": "1.0"}, hub_software="1.1"), "software"),
    ],
)
def test_whatever_is_wrong_has_a_word_and_says_what_to_do(unit: UnitHeard, code: str) -> None:
    said = condition(unit, START)
    assert code in [one.code for one in said.troubles]
    assert said.state == "problem"
    assert said.needs_somebody
    assert all(one.text in said.text for one in said.troubles)


def test_what_the_unit_says_itself_is_not_said_twice() -> None:
    problems = [{"code": "disk_full", "text": "the disk is full"}, {"code": "clock_unset", "text": "no time"}]
    assert codes(heard(status={"disk": "full", "clock": "unsynced", "problems": problems})) == [
        "disk_full",
        "clock_unset",
    ]


def test_a_copied_card_is_said_until_one_of_the_two_is_gone() -> None:
    assert codes(heard(cloned_at=START - CLONED_FOR)) == []


def test_a_gallery_that_has_just_changed_is_no_problem_yet() -> None:
    assert codes(heard(gallery_current=False, gallery_since=START - BEHIND_AFTER)) == []


@pytest.mark.parametrize("state", ["lost", "stopped"])
def test_a_unit_that_speaks_after_it_was_said_to_be_gone_is_there_but_not_well(state: str) -> None:
    said = condition(heard(state, ago_min=4, spoke_at=START - timedelta(minutes=1)), START)
    assert said.state == "problem"
    assert "has not said yet how it is" in said.text


_NUMBERS = st.none() | st.floats(0, 1e6)
_STATUS = st.builds(
    Status,
    state=st.sampled_from(["watching", "degraded", "stopped", "lost"]),
    session=st.integers(0, 5),
    epoch=st.just(EPOCH),
    waiting_events=st.none() | st.integers(0, 10**6),
    oldest_waiting_s=_NUMBERS,
    progress_s=_NUMBERS,
    held_events=st.none() | st.integers(0, 10),
    disk=st.none() | st.sampled_from(["ok", "low", "full", "read_only"]),
    temperature_c=st.none() | st.floats(-50, 120),
    throttled=st.none() | st.lists(st.sampled_from(["under_voltage", "too_hot"]), max_size=2).map(tuple),
    clock=st.none() | st.sampled_from(["synced", "holdover", "unsynced"]),
    problems=st.lists(st.just(Problem(code="camera", text="no picture")), max_size=1).map(tuple),
)
_AGO = st.none() | st.integers(0, 10**5).map(lambda seconds: START - timedelta(seconds=seconds))


@given(
    status=st.none() | _STATUS,
    status_at=_AGO,
    spoke_at=_AGO,
    quarantined=st.integers(0, 2),
    cloned_at=_AGO,
    current=st.booleans(),
)
def test_a_condition_is_never_better_than_what_is_known(
    status: Status | None,
    status_at: datetime | None,
    spoke_at: datetime | None,
    quarantined: int,
    cloned_at: datetime | None,
    current: bool,
) -> None:
    unit = UnitHeard(
        status=status,
        status_at=None if status is None else status_at or START,
        spoke_at=spoke_at,
        revoked=False,
        gallery_current=current,
        gallery_problem=None,
        quarantined=quarantined,
        cloned_at=cloned_at,
    )
    said = condition(unit, START)
    assert said.text
    if said.state != "ok":
        return
    assert not said.troubles
    assert not said.needs_somebody
    assert status is not None
    assert said.last_heard_at is not None
    assert START - said.last_heard_at <= SILENT_AFTER
    assert status.state == "watching"
    assert not status.problems
    assert not status.held_events
    assert status.disk in {None, "ok"}
    assert status.clock != "unsynced"
    assert not quarantined
    if status.waiting_events and status.progress_s is not None:
        assert status.progress_s <= STUCK_AFTER.total_seconds()
    assert ("gallery is on its way" in said.text) == (not current)


@given(sessions=st.lists(st.integers(0, 20), min_size=1, max_size=10), will=st.integers(0, 20))
def test_a_will_of_an_older_session_than_the_last_birth_is_ignored(sessions: list[int], will: int) -> None:
    kept: Status | None = None
    for session in sessions:
        born = Status(state="watching", session=session, epoch=EPOCH)
        kept = born if supersedes(born, kept) else kept
    assert kept is not None
    lost = Status(state="lost", session=will, epoch=EPOCH)
    assert supersedes(lost, kept) == (will >= max(sessions))
    assert not supersedes(Status(state="lost", session=99, epoch="00000000000000bb"), kept)
