"""The rules of the register: versions with a first day, none ever changed."""

from datetime import date, time, timedelta

import pytest

from hub.adapters.schema import dirty_students, register_rules
from hub.core.attendance_facts import Session
from hub.core.errors import BadInput, Conflict
from hub.office.rules import RulesChange, plan_rules, set_rules, show_rules
from tests.hub_office.conftest import OfficeUnderTest
from tests.hub_office.little_school import DAY, LittleSchool

pytestmark = pytest.mark.server
YESTERDAY = DAY - timedelta(days=1)


@pytest.fixture
def school(desk: OfficeUnderTest) -> LittleSchool:
    return LittleSchool(desk)


def dirty(school: LittleSchool) -> set[tuple[str, date, str]]:
    serial_of = {student_id: serial for serial, student_id in school.students.items()}
    return {(serial_of[row["student_id"]], row["day"], row["cause"]) for row in school.all(dirty_students)}


def test_a_version_holds_from_its_day_on_and_the_lessons_since_then_are_derived_anew(school: LittleSchool) -> None:
    for day in ("2026-08-31", "2026-09-01", "2026-09-02"):
        school.lesson(f"{day}T08:00")
    assert show_rules(school.office).in_force.made is None
    made = set_rules(school.office, DAY, RulesChange(late_after_min=5))
    assert (made.version, made.new, made.plan.lessons, made.plan.days) == (1, True, 1, 1)
    assert (made.plan.before.late_after, made.plan.after.late_after) == (timedelta(minutes=10), timedelta(minutes=5))
    assert dirty(school) == {("1", DAY, "rules"), ("002", DAY, "rules")}
    page = show_rules(school.office)
    assert page.in_force.rules.late_after == timedelta(minutes=5)
    assert page.in_force.made is not None
    assert page.in_force.made.made_by == "tester"
    assert page.of_settings.late_after == timedelta(minutes=10)
    # The same again is no new version.
    assert not set_rules(school.office, DAY, RulesChange(late_after_min=5)).new
    school.desk.clean()
    # One of an earlier day holds until the next: only its own days are derived anew.
    plan = plan_rules(school.office, YESTERDAY, RulesChange(early_min=15), past_too=True)
    assert (plan.until_day, plan.lessons) == (DAY, 1)
    for what in (plan_rules, set_rules):
        with pytest.raises(Conflict, match="has passed"):
            what(school.office, YESTERDAY, RulesChange(early_min=15))
    assert set_rules(school.office, YESTERDAY, RulesChange(early_min=15), past_too=True).version == 2
    assert {day for _, day, _ in dirty(school)} == {YESTERDAY}
    assert [row["version"] for row in school.all(register_rules)] == [1, 2]
    assert school.desk.actions() == ["rules.set", "rules.set"]


def test_guests_days_without_lessons_and_days_to_come_follow_the_rules_too(school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    school.derived("4", lesson, "Present", "mark")
    for number, serial in ((-1, "3"), (0, "3"), (4, "4"), (9, "4")):
        day = DAY + timedelta(days=number)
        school.derived(serial, lesson, "Excused", "mark", occasion=f"day:{day}", day=day)
    set_rules(school.office, DAY + timedelta(days=9), RulesChange(early_min=5))
    school.desk.clean()
    set_rules(school.office, DAY, RulesChange(late_after_min=7))
    assert {(serial, (day - DAY).days) for serial, day, _ in dirty(school)} == {
        ("1", 0),
        ("002", 0),
        ("3", 0),
        ("4", 0),
        ("4", 4),
    }


def test_a_day_years_away_or_one_that_was_frozen_is_refused(school: LittleSchool) -> None:
    change = RulesChange(late_after_min=7)
    for year in (1, 1900, 2126):
        with pytest.raises(BadInput, match="is the year right"):
            set_rules(school.office, date(year, 9, 1), change, past_too=True)
    school.desk.do("insert into hub_facts values ('register.frozen_until', '2026-08-31', now())")
    with pytest.raises(Conflict, match="stays as it is"):
        plan_rules(school.office, date(2026, 8, 30), change, past_too=True)
    assert set_rules(school.office, YESTERDAY, change, past_too=True).new


def test_other_parts_of_the_day_concern_everybody(school: LittleSchool) -> None:
    parts = (Session("AM", time(7), time(12, 30)), Session("PM", time(12, 30), time(18)))
    set_rules(school.office, DAY, RulesChange(sessions=parts))
    assert {serial for serial, _, _ in dirty(school)} == {"1", "002", "3", "4"}
    assert show_rules(school.office).in_force.rules.sessions == parts
    # What else is changed leaves them as they are.
    assert set_rules(school.office, DAY, RulesChange(held_share=0.4)).plan.after.sessions == parts


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (RulesChange(early_min=181), "early_min"),
        (RulesChange(covered_share=0.0), "covered_share"),
        (RulesChange(sessions=(Session("A", time(8), time(8)),)), "end later"),
        (RulesChange(sessions=(Session("A", time(7), time(9)), Session("B", time(8), time(10)))), "overlap"),
        (RulesChange(sessions=(Session("", time(7), time(9)), Session("B", time(9), time(10)))), "needs a name"),
    ],
)
def test_what_cannot_be_a_rule_is_refused(desk: OfficeUnderTest, change: RulesChange, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        set_rules(desk.office, DAY, change)
    assert desk.count("register_rules") == 0
