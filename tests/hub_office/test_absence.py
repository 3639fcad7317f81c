"""Rooms whose units write Absent by themselves: allowed by figures only."""

from datetime import timedelta
from typing import Any

import pytest

from hub.adapters.schema import absence_rules, closings, dirty_students
from hub.core.errors import Conflict, NotFound
from hub.office import absence
from hub.office.absence import lower_bound, more_needed, show_recall, switch_off, switch_on
from recognition.evaluation.bounds import upper_bound
from tests.hub_office.conftest import NOW, OfficeUnderTest
from tests.hub_office.little_school import DAY, LittleSchool


@pytest.fixture
def school(desk: OfficeUnderTest) -> LittleSchool:
    return LittleSchool(desk)


def test_the_bound_is_the_exact_one_sided_one_and_299_without_a_miss_are_enough() -> None:
    assert lower_bound(298, 298) < 0.99 <= lower_bound(299, 299)
    assert lower_bound(299, 299) == pytest.approx(0.05 ** (1 / 299), abs=1e-9)
    assert lower_bound(470, 473) == pytest.approx(1 - upper_bound(3, 473))
    assert (more_needed(0, 0), more_needed(200, 200), more_needed(299, 299)) == (299, 99, 0)
    for missed in (1, 3, 20):
        more = more_needed(100, 100 + missed)
        assert lower_bound(100 + more - 1, 100 + missed + more - 1) < 0.99
        assert lower_bound(100 + more, 100 + missed + more) >= 0.99
    # Far from enough it is estimated, from above.
    for missed in (51, 400):
        times = missed + more_needed(0, missed)
        assert 0.99 <= lower_bound(times - missed, times) < 0.9902


@pytest.mark.server
def test_only_closed_lessons_count_and_what_a_person_said_wins(school: LittleSchool) -> None:
    closed, still_open = school.lesson("08:00"), school.lesson("09:00")
    long_ago = school.lesson("2025-08-01T08:00")
    for lesson in (closed, long_ago):
        closing = {"id": school.new_id(), "lesson_id": lesson, "closed_at": NOW, "closed_by": "x"}
        school.put(closings, closing)
    for number, (status, rule, machine) in enumerate(
        [
            ("Present", "seen", ("Present", "seen")),  # found
            ("Late", "seen_late", ("Late", "seen_late")),  # found
            ("Excused", "mark", ("Present", "seen")),  # was not there, a person says
            ("Present", "mark", ("Not seen", "not_seen")),  # missed
            ("Present", "mark", ("Not observed", "not_able")),  # could not be seen
            ("Absent", "closed", ("Not seen", "not_seen")),  # was not there
            ("Absent", "mark", ("Not seen", "not_seen")),  # was not there
            ("Late", "mark", ("Present", "seen")),  # found
        ]
    ):
        school.student(f"s{number}", "X", "7b")
        more = {"machine_status": machine[0], "machine_rule": machine[1]}
        for lesson in (closed, still_open, long_ago):
            school.derived(f"s{number}", lesson, status, rule, **more)
    twelve, thirteen = show_recall(school.office)
    assert (twelve.room, twelve.lessons, twelve.found, twelve.present) == ("12", 1, 3, 4)
    assert (thirteen.present, thirteen.low, thirteen.more_needed) == (0, 0.0, 299)
    with pytest.raises(Conflict, match="1 were missed") as refused:
        switch_on(school.office, "12")
    assert str(twelve.more_needed) in refused.value.hint
    with pytest.raises(NotFound):
        show_recall(school.office, "99")


@pytest.mark.server
def test_it_is_switched_on_and_off_by_day_and_the_register_follows(
    school: LittleSchool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absence, "REQUIRED_RECALL", 0.0)
    for day in ("2026-08-31", "2026-09-01", "2026-09-02"):
        school.lesson(f"{day}T08:00")
    assert switch_on(school.office, "12").new
    assert {row["day"] for row in school.all(dirty_students)} == {DAY}
    assert {row["cause"] for row in school.all(dirty_students)} == {"rules"}
    again = switch_on(school.office, "12")
    assert (again.new, again.day) == (False, DAY)
    assert [one.room for one in show_recall(school.office) if one.switch] == ["12"]
    school.desk.clean()
    off = switch_off(school.office, "12", DAY + timedelta(days=1))
    assert (off.new, off.day, school.all(dirty_students)) == (True, DAY + timedelta(days=1), [])
    assert not switch_off(school.office, "12", DAY + timedelta(days=1)).new
    [row] = school.all(absence_rules)
    assert (row["from_day"], row["until_day"], row["switched_on_by"]) == (DAY, DAY + timedelta(days=1), "tester")
    assert school.desk.actions() == ["absence.on", "absence.off"]


@pytest.mark.server
def test_a_planned_end_is_none_any_more_and_days_that_passed_have_to_be_meant(
    school: LittleSchool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absence, "REQUIRED_RECALL", 0.0)
    yesterday, later = DAY - timedelta(days=1), DAY + timedelta(days=9)
    school.lesson("2026-08-31T08:00")
    assert not switch_off(school.office, "12", yesterday).new
    with pytest.raises(Conflict, match="has passed"):
        switch_on(school.office, "12", yesterday)
    switch_on(school.office, "12", DAY)
    switch_off(school.office, "12", later)
    assert not switch_off(school.office, "12", later).new
    assert school.desk.count("dirty_students") == 0
    again = switch_on(school.office, "12", DAY + timedelta(days=2))
    assert (again.new, again.day) == (True, DAY + timedelta(days=2))
    days = [(row["from_day"], row["until_day"]) for row in absence_days(school)]
    assert days == [(DAY, again.day), (again.day, None)]
    # An earlier end than the one that was planned, and all of it.
    switch_off(school.office, "12", later)
    off = switch_off(school.office, "12")
    assert (off.new, off.day, [one.switch for one in show_recall(school.office)]) == (True, DAY, [None, None])
    assert switch_on(school.office, "12", yesterday, past_too=True).new
    assert {row["day"] for row in school.all(dirty_students)} == {yesterday}
    with pytest.raises(Conflict, match="has passed"):
        switch_off(school.office, "12", yesterday)
    assert switch_off(school.office, "12", yesterday, past_too=True).day == yesterday
    school.desk.do("insert into hub_facts values ('register.frozen_until', '2026-09-01', now())")
    with pytest.raises(Conflict, match="stays as it is"):
        switch_on(school.office, "12", yesterday, past_too=True)


def absence_days(school: LittleSchool) -> list[dict[str, Any]]:
    return sorted(school.all(absence_rules), key=lambda row: row["from_day"])
