"""The answer to a commit is lost, and the work is run again: it happens once, and says that it happened."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub.adapters.database import Database
from hub.core.errors import Conflict
from hub.office import absence
from hub.office.absence import switch_off, switch_on
from hub.office.closings import CloseRequest, close, reopen
from hub.office.marks import MarkRequest, mark, unmark, unmark_batch
from hub.office.occasions import Named
from hub.office.review_decisions import accept, reject, undo
from hub.office.reviews import ReviewQuery, list_reviews
from hub.office.rules import RulesChange, set_rules
from tests.hub_office.conftest import OfficeUnderTest
from tests.hub_office.little_school import DAY, LittleSchool
from tests.hub_office.test_reviews import seen

pytestmark = pytest.mark.server


class AnswersLost(Database):
    """Commits everything twice."""

    def run(self, work: Callable[..., Any], **more: Any) -> Any:
        super().run(work, **more)
        return super().run(work, **more)


@pytest.fixture
def school(desk: OfficeUnderTest) -> LittleSchool:
    return LittleSchool(replace(desk, office=replace(desk.office, database=AnswersLost(desk.office.database.address))))


def test_marks_and_closings(school: LittleSchool) -> None:
    office, lesson = school.office, school.lesson("08:00")
    named = Named(lesson_id=lesson)
    made = mark(office, MarkRequest("late", named))
    assert [line.new for line in made.lines] == [True, True]
    assert [len(line.taken_back) for line in unmark_batch(office, made.batch_id).lines] == [1, 1]
    mark(office, MarkRequest("late", named, ("1",)))
    assert len(unmark(office, MarkRequest(named=named)).lines) == 1
    assert [one.new for one in close(office, CloseRequest(named, absent=("1",))).lessons] == [True]
    assert len(reopen(office, named).lessons) == 1
    actions = ["mark.set"] * 2 + ["mark.undo"] * 2 + ["mark.set", "mark.undo", "mark.set", "lesson.close"]
    assert school.desk.actions() == [*actions, "lesson.reopen"]
    assert (school.desk.count("marks"), school.desk.count("closings")) == (4, 1)
    lines = (office.settings.data_dir / "attendance.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 + 2 + 1 + 1 + 1


def test_answers_rules_and_rooms(school: LittleSchool, monkeypatch: pytest.MonkeyPatch) -> None:
    office = school.office
    lesson = school.lesson("08:00")
    seen(school, school.unit(), "08:04", "1")
    [line] = list_reviews(office, ReviewQuery(DAY)).lines
    key = line.item.key
    accepted = accept(office, key)
    assert (accepted.new, accepted.mark and accepted.mark.status) == (True, "present")
    assert unmark(office, MarkRequest(named=Named(lesson_id=lesson))).answers == 1
    assert accept(office, key).new
    assert undo(office, key).new
    assert reject(office, key).new
    assert school.desk.rows("select rejections from student_margins") == [(1,)]
    assert set_rules(office, DAY, RulesChange(early_min=5)).new
    monkeypatch.setattr(absence, "REQUIRED_RECALL", 0.0)
    assert switch_on(office, "12").new
    switch_off(office, "12", DAY + timedelta(days=2))
    assert switch_on(office, "12").new
    rows = {"register_rules": 1, "marks": 2, "absence_rules": 2, "review_decisions": 3}
    assert {table: school.desk.count(table) for table in rows} == rows


def test_a_day_whose_events_were_deleted_takes_nothing_more(school: LittleSchool) -> None:
    lesson = school.lesson("08:00")
    named = Named(lesson_id=lesson)
    made = mark(school.office, MarkRequest("late", named))
    school.desk.do("insert into hub_facts values ('register.frozen_until', '2026-09-02', now())")
    before = school.desk.count("audit")
    for what in (
        lambda: mark(school.office, MarkRequest("present", named)),
        lambda: unmark(school.office, MarkRequest(named=named)),
        lambda: unmark_batch(school.office, made.batch_id),
        lambda: close(school.office, CloseRequest(named)),
        lambda: reopen(school.office, named),
    ):
        with pytest.raises(Conflict, match="stays as it is"):
            what()
    assert school.desk.count("audit") == before
