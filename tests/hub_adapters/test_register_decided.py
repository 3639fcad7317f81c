"""The register on a real MariaDB: what people decided, held lessons, doubts, moves, and what is told of changes."""

import json
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, update

from hub.adapters.attendance_store import mark_dirty
from hub.adapters.database import Database
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.register_deriving import MySqlRegisterStore
from hub.adapters.schema import (
    absence_rules,
    attendance,
    audit,
    closings,
    dirty_students,
    events,
    gallery_members,
    hub_facts,
    lesson_states,
    lessons,
    marks,
    register_rules,
    review_decisions,
    rooms,
    section_groups,
    student_groups,
    students,
    unit_rooms,
)
from hub.core.attendance_facts import Lesson, Rules, SchoolDays
from hub.core.retention import FROZEN_UNTIL
from hub.core.reviews import Sighting, key_of, place_of
from tests.hub_adapters.school import ROOM, SECTION, ZONE, School, utc
from tests.hub_core.builders import UNIT, a_batch, a_coverage, a_mark, an_anchor, an_event, an_id

pytestmark = pytest.mark.server
RULES = Rules(early=timedelta(minutes=10), late_after=timedelta(minutes=10), covered_share=0.9)
FIRST = date(2026, 9, 1)
OVER = utc(7)


class Register:
    """A school of four whose unit has their templates, with stores around it."""

    def __init__(self, database: Database) -> None:
        self.school = School(database)
        self.school.unit()
        self.events = MySqlEventStore(database, ZONE)
        self.store = MySqlRegisterStore(database, SchoolDays(ZONE), RULES)
        self.everybody = [self.school.student(number, consent=False, enrolled=False) for number in range(1, 5)]
        for student_id in self.everybody:
            self.school.put(gallery_members, unit_id=UNIT, student_id=student_id, from_revision=1)
        self.one, self.two, self.three, self.four = self.everybody
        self._seq = 0

    def take(self, *made: dict[str, Any], at: Any = OVER, unit_id: str = UNIT) -> None:
        numbered = []
        for one in made:
            self._seq += 1
            numbered.append(one | {"seq": self._seq, "event_id": an_id(900_000 + self._seq)})
        self.events.take([a_batch(numbered, unit_id=unit_id, number=self._seq, at=at)])

    def watched(self, *seen: str, hour: int = 6, day: int = 1) -> None:
        """The unit watches a lesson of 45 minutes and sees some."""
        sightings = [an_event(1, student_id=student_id, at=utc(hour, 1, day=day)) for student_id in seen]
        self.take(*sightings, a_coverage(1, utc(hour, day=day), utc(hour, 45, day=day)), at=utc(hour, 46, day=day))

    def dirty(self, *student_ids: str, day: int = 1, cause: str = "mark") -> None:
        with self.school.database.transaction() as connection:
            mark_dirty(connection, student_ids or self.everybody, [utc(6, day=day).date()], cause)

    def rows(self, now: Any = OVER) -> dict[str, tuple[str, str]]:
        """Derive everything; return status and rule by student."""
        self.store.mark_ended_lessons(now)
        while self.store.derive(now, 3):
            pass
        return {row["student_id"]: (row["status"], row["rule"]) for row in self.school.rows(attendance)}

    def states(self) -> list[tuple[int, int, bool]]:
        return [(row["seen"], row["unseen"], row["held"]) for row in self.school.rows(lesson_states)]

    def changes(self) -> list[tuple[str, str, str, str, bool]]:
        """What the audit log says of changed statuses: student, before, after, cause, closed."""
        found = sorted(
            (row for row in self.school.rows(audit) if row["action"] == "register.change"), key=lambda row: row["seq"]
        )
        told = [(row["subject"].removeprefix("student:"), json.loads(row["detail"])) for row in found]
        return [(who, one["before"], one["after"], one["cause"], one["closed"]) for who, one in told]

    def mark(self, student_id: str, status: str, lesson_id: str | None, **more: Any) -> str:
        mark_id = self.school._id()
        occasion = f"lesson:{lesson_id}" if lesson_id else "day:2026-09-01"
        values = {"made_at": utc(9), "made_by": "a teacher", "day": FIRST, "occasion": occasion} | more
        self.school.put(marks, id=mark_id, student_id=student_id, lesson_id=lesson_id, status=status, **values)
        return mark_id

    def close(self, lesson_id: str) -> None:
        self.school.put(closings, id=self.school._id(), lesson_id=lesson_id, closed_at=utc(8), closed_by="a teacher")

    def change(self, statement: Any) -> None:
        with self.school.database.transaction() as connection:
            connection.execute(statement)


@pytest.fixture
def register(hub_database: Database) -> Register:
    return Register(hub_database)


def test_a_lesson_of_which_few_were_seen_is_held_until_a_teacher_says_otherwise_or_more_is_heard(
    register: Register,
) -> None:
    lesson = register.school.lesson(utc(6))
    register.watched(register.one)
    held = dict.fromkeys(register.everybody[1:], ("Not observed", "held"))
    assert register.rows() == held | {register.one: ("Present", "seen")}
    assert register.states() == [(1, 3, True)]
    row = next(one for one in register.school.rows(attendance) if one["student_id"] == register.two)
    assert (row["machine_status"], row["machine_rule"], row["rules_version"]) == ("Not seen", "not_seen", 0)
    # Another one is seen: half of the class was there, so nobody is held any more.
    register.take(an_event(1, student_id=register.two, at=utc(6, 5)))
    unseen = dict.fromkeys(register.everybody[2:], ("Not seen", "not_seen"))
    assert {one: register.rows()[one] for one in unseen} == unseen
    assert register.states() == [(2, 2, False)]
    # A mark counts as one who was there, or as nobody to be looked for.
    marked = register.mark(register.two, "absent", lesson)
    register.dirty(register.two)
    assert register.rows()[register.three] == ("Not seen", "not_seen")
    assert register.states() == [(2, 2, False)]
    register.change(update(marks).where(marks.c.id == marked).values(undone_at=utc(10), undone_by="x"))
    register.mark(register.three, "excused", lesson)
    register.dirty(register.two, register.three)
    assert register.rows()[register.three] == ("Excused", "mark")
    assert register.states() == [(2, 1, False)]


def test_a_closed_lesson_makes_absent_who_was_not_seen_and_what_changes_later_is_told_with_its_cause(
    register: Register,
) -> None:
    lesson = register.school.lesson(utc(6))
    register.watched(register.one)
    register.rows()
    # The first status of a student is no change, and that the lesson is held was found out with it.
    assert register.changes() == []
    register.close(lesson)
    register.dirty(cause="closing")
    closed = register.rows(utc(9))
    assert closed == dict.fromkeys(register.everybody[1:], ("Absent", "closed")) | {register.one: ("Present", "seen")}
    assert sorted(register.changes()) == sorted(
        (who, "Not observed", "Absent", "closing", True) for who in register.everybody[1:]
    )
    register.take(an_event(1, student_id=register.two, at=utc(6, 20)), at=utc(10))
    assert register.rows(utc(10))[register.two] == ("Late", "seen_late")
    assert register.changes()[-1] == (register.two, "Absent", "Late", "event", True)
    found = [row for row in register.school.rows(audit) if row["object"] == f"lesson:{lesson}"]
    assert {(row["actor"], row["action"]) for row in found} == {("rollcall", "register.change")}
    told = len(register.changes())
    # Derived again for nothing, it tells nothing.
    register.dirty()
    register.rows(utc(11))
    assert len(register.changes()) == told


def test_a_room_in_which_units_may_say_absent_says_so_from_that_day_until_that_day(register: Register) -> None:
    register.school.put(
        absence_rules,
        id=an_id(50),
        room_id=ROOM,
        from_day=FIRST,
        until_day=date(2026, 9, 2),
        recall_low=0.99,
        present=300,
        switched_on_at=utc(1),
        switched_on_by="x",
    )
    for day in (1, 2):
        register.school.lesson(utc(6, day=day))
        register.watched(*register.everybody[:2], day=day)
    register.rows(utc(7, day=2))
    found = {(row["day"].day, row["student_id"]): row["rule"] for row in register.school.rows(attendance)}
    assert (found[1, register.three], found[2, register.three]) == ("door_rule", "not_seen")


def test_rules_hold_from_their_day_on_and_each_row_names_those_it_comes_from(register: Register) -> None:
    for version, late_after in ((1, 20), (2, 5)):
        register.school.put(
            register_rules,
            version=version,
            from_day=date(2026, 9, version + 1),
            early_min=10,
            late_after_min=late_after,
            left_early_min=10,
            covered_share=0.9,
            held_share=0.5,
            sessions='[["AM", "07:00", "12:00"], ["PM", "12:00", "18:00"]]',
            made_at=utc(1),
            made_by="x",
        )
    for day in (1, 2, 3):
        register.school.lesson(utc(6, day=day))
        register.take(an_event(1, student_id=register.one, at=utc(6, 15, day=day)), at=utc(6, 16, day=day))
    register.take(an_event(1, student_id=register.one, at=utc(13, day=4)), at=utc(14, day=4))
    while register.store.derive(utc(6, 20, day=4), 50):
        pass
    found = {row["day"].day: (row["rule"], row["rules_version"]) for row in register.school.rows(attendance)}
    assert found == {1: ("seen_late", 0), 2: ("seen", 1), 3: ("seen_late", 2), 4: ("day", 2)}
    assert {row["occasion"] for row in register.school.rows(attendance) if row["day"].day == 4} == {"day:2026-09-04:PM"}


def a_review(at: Any, *candidates: str, **changed: Any) -> dict[str, Any]:
    """A sighting of which nobody knows whom it shows."""
    nothing: dict[str, Any] = dict.fromkeys(("score", "margin", "student_id"))
    scored = [{"student_id": one, "score": 0.5} for one in candidates]
    values = {"kind": "review", "at": at, "candidates": scored, "reason": "look_alikes"}
    return an_event(1, **(nothing | values | changed))


def test_while_nobody_decided_whom_a_sighting_shows_no_candidate_is_called_not_seen(register: Register) -> None:
    lesson = register.school.lesson(utc(6))
    register.watched(register.one, register.two)
    assert register.rows()[register.three] == ("Not seen", "not_seen")
    # Its own day names the candidates, nobody else.
    register.take(a_review(utc(6, 10), register.three, register.four))
    assert {row["student_id"] for row in register.school.rows(dirty_students)} == {register.three, register.four}
    assert register.rows()[register.three] == ("Not observed", "in_review")
    seen = Sighting("", UNIT, ROOM, utc(6, 10), (register.four, register.three), "")
    day = Lesson(lesson, ROOM, FIRST, utc(6), utc(6, 45))
    key = key_of(place_of(seen, [day], lambda _day: RULES.early, ZONE), seen.candidates)
    register.school.put(
        review_decisions, id=an_id(60), review_key=key, outcome="rejected", decided_at=utc(9), decided_by="x"
    )
    register.dirty(register.three, register.four, cause="review")
    assert register.rows()[register.three] == ("Not seen", "not_seen")
    register.change(update(review_decisions).values(undone_at=utc(10), undone_by="x"))
    register.dirty(register.three, register.four, cause="review")
    assert register.rows()[register.four] == ("Not observed", "in_review")


def test_a_sighting_that_is_dated_otherwise_leaves_the_lesson_it_seemed_to_be_in(register: Register) -> None:
    for hour in (6, 9):
        register.school.lesson(utc(hour))
        register.watched(register.one, register.two, hour=hour)
    # A clock that runs three hours ahead, until an anchor of the same boot says so.
    boot = {"boot_id": an_id(31), "clock": "holdover"}
    register.take(a_review(utc(9, 10), register.three, boottime_ns=600 * 10**9, **boot), at=utc(11))

    def rules() -> list[str]:
        register.rows(utc(12))
        rows = [row for row in register.school.rows(attendance) if row["student_id"] == register.three]
        return [row["rule"] for row in sorted(rows, key=lambda row: row["timestamp"])]

    rules()
    register.take(an_anchor(1, utc(6, 20), 1200 * 10**9, **boot), at=utc(11))
    assert rules() == ["in_review", "not_seen"]
    assert {cause for who, _, _, cause, _ in register.changes()[-2:] if who == register.three} == {"redated"}


def test_a_sighting_of_an_unknown_time_is_doubtful_in_every_lesson_it_may_have_been_in(register: Register) -> None:
    for hour in (6, 9):
        register.school.lesson(utc(hour))
    register.watched(register.one, register.two)
    # Of its own boot, between what the unit saw in the first lesson and what it saw in the second.
    lost = {"boot_id": an_id(9), "clock": "unsynced", "boottime_ns": 60 * 10**9}
    register.take(a_review("1970-01-01T00:01:00Z", register.three, **lost), at=utc(12))
    register.rows(utc(8))
    seen = an_event(1, student_id=register.one, at=utc(9, 5), boot_id=an_id(10), boottime_ns=10**9)
    watch = a_coverage(1, utc(9), utc(9, 45), boot_id=an_id(10), boottime_ns=10**10)
    register.take(seen, watch, at=utc(12))
    register.rows(utc(12))
    found = {
        row["timestamp"].hour: row["machine_rule"]
        for row in register.school.rows(attendance)
        if row["student_id"] == register.three
    }
    assert found == {6: "not_seen", 9: "in_review"}


def test_half_of_a_section_is_expected_in_its_own_lessons_and_nobody_in_cancelled_ones(register: Register) -> None:
    school, group = register.school, an_id(70)
    school.put(section_groups, id=group, section_id=SECTION, name="A")
    for student_id, since in ((register.one, utc(0)), (register.two, utc(8))):
        school.put(student_groups, student_id=student_id, group_id=group, since=since)
    halved, cancelled = school.lesson(utc(6)), school.lesson(utc(9))
    register.change(update(lessons).where(lessons.c.id == halved).values(group_id=group))
    register.change(update(lessons).where(lessons.c.id == cancelled).values(cancelled_at=utc(5)))
    assert register.rows(utc(12)) == {register.one: ("Not observed", "not_watched")}
    # Cancelled afterwards, it takes its rows and its counts along.
    register.change(update(lessons).where(lessons.c.id == halved).values(cancelled_at=utc(13)))
    register.dirty(cause="lesson")
    assert register.rows(utc(14)) == {}
    assert register.states() == []


def test_a_guest_and_a_day_without_a_lesson_have_rows_of_their_own_and_guests_do_not_count(register: Register) -> None:
    guest = register.school.student(9, section=None, consent=False, enrolled=False)
    lesson = register.school.lesson(utc(6))
    register.watched(register.one, register.two)
    register.mark(guest, "present", lesson, note="visits", reason="guest")
    register.mark(guest, "excused", None)
    register.dirty(*register.everybody, guest)
    register.rows()
    theirs = {row["occasion"]: row for row in register.school.rows(attendance) if row["student_id"] == guest}
    assert {name: row["status"] for name, row in theirs.items()} == {
        f"lesson:{lesson}": "Present",
        "day:2026-09-01": "Excused",
    }
    assert theirs[f"lesson:{lesson}"]["notes"] == "guest: visits"
    assert register.states() == [(2, 2, False)]


def test_what_a_unit_saw_is_of_the_room_it_was_in_then_and_what_it_watched_on_the_way_of_none(
    register: Register,
) -> None:
    other = an_id(80)
    register.school.put(rooms, id=other, name="13")
    register.school.put(unit_rooms, unit_id=UNIT, since=utc(0), room_id=ROOM)
    register.school.put(unit_rooms, unit_id=UNIT, since=utc(6, 50), room_id=other)
    first, second = register.school.lesson(utc(6)), register.school.lesson(utc(7), room=other)
    register.take(
        an_event(1, student_id=register.one, at=utc(6, 1)),
        an_event(1, student_id=register.two, at=utc(6, 2)),
        an_event(1, student_id=register.one, at=utc(7, 1)),
        an_event(1, student_id=register.two, at=utc(7, 1)),
        a_coverage(1, utc(6), utc(6, 45)),
        a_coverage(1, utc(6, 45), utc(7, 45)),
        at=utc(8),
    )
    register.rows(utc(8))
    found = {(row["lesson_id"], row["student_id"]): row["rule"] for row in register.school.rows(attendance)}
    assert (found[first, register.one], found[second, register.one]) == ("seen", "seen")
    assert (found[first, register.three], found[second, register.three]) == ("not_seen", "not_watched")
    # A unit that is somewhere else now tells of the lessons it watched then.
    register.take(a_coverage(1, utc(7), utc(7, 45)), at=utc(9))
    register.rows(utc(9))
    found = {(row["lesson_id"], row["student_id"]): row["rule"] for row in register.school.rows(attendance)}
    assert found[second, register.three] == "not_seen"


def test_what_was_written_at_a_unit_about_somebody_who_was_erased_does_not_come_back(register: Register) -> None:
    register.school.lesson(utc(6))
    register.take(a_mark(1, register.one, "late", utc(6, 5), note="dentist"))
    register.rows()
    [row] = [row for row in register.school.rows(attendance) if row["student_id"] == register.one]
    assert row["notes"] == "dentist"
    register.change(update(students).where(students.c.id == register.one).values(erased_at=utc(9)))
    register.dirty(register.one, cause="consent")
    assert register.rows()[register.one] == ("Late", "mark")
    assert {row["notes"] for row in register.school.rows(attendance)} == {""}


def test_days_that_retention_has_frozen_keep_their_rows(register: Register) -> None:
    register.school.lesson(utc(6))
    register.watched(register.one, register.two)
    before = register.rows()
    register.school.put(hub_facts, name=FROZEN_UNTIL, value="2026-09-02", changed_at=utc(8))
    register.change(delete(events))
    register.dirty()
    assert register.rows() == before
    assert register.school.rows(dirty_students) == []


def test_a_lesson_put_on_another_day_takes_its_rows_along_and_a_change_of_them_is_told(register: Register) -> None:
    lesson = register.school.lesson(utc(6))
    register.watched(register.one, register.two)
    register.rows()
    moved = {"starts_at": utc(6, day=3), "ends_at": utc(6, 45, day=3)}
    register.change(update(lessons).where(lessons.c.id == lesson).values(**moved))
    for day in (3, 1):
        register.dirty(day=day, cause="lesson")
    register.rows(utc(7, day=3))
    rules = [row["rule"] for row in register.school.rows(attendance)]
    assert sorted(rules) == ["day", "day", *["not_watched"] * 4]
    assert {row["day"].day for row in register.school.rows(attendance) if row["lesson_id"]} == {3}
    assert (register.one, "Present", "Not observed") in {one[:3] for one in register.changes()}


@pytest.mark.parametrize("seed", range(3))
def test_in_whatever_order_and_pieces_it_is_derived_the_same_lessons_are_held(register: Register, seed: int) -> None:
    random = Random(seed)  # noqa: S311 (a seeded test)
    found = [register.school.lesson(utc(hour)) for hour in (6, 8)]
    made = [
        an_event(1, student_id=register.everybody[who], at=utc(hour, minute))
        for hour, who, minute in ((6, 0, 1), (6, 1, 20), (8, 2, 2))
    ] + [a_coverage(1, utc(hour), utc(hour, 45)) for hour in (6, 8)]
    random.shuffle(made)
    register.mark(register.four, random.choice(["late", "excused"]), found[1])
    now = utc(10)
    register.store.mark_ended_lessons(now)
    for one in made:
        register.take(one, at=now)
        for _ in range(random.randrange(3)):
            register.store.derive(now, 1)
    register.dirty()
    register.rows(now)
    ended = register.school.rows(attendance), register.school.rows(lesson_states)
    register.change(delete(attendance))
    register.change(delete(lesson_states))
    register.dirty()
    register.rows(now)
    assert (register.school.rows(attendance), register.school.rows(lesson_states)) == ended
    # The counts are those of the rows, and the rows those of the counts.
    for state in ended[1]:
        rules = [row["rule"] for row in ended[0] if row["lesson_id"] == state["lesson_id"]]
        assert ("held" in rules) <= state["held"]
        assert not (state["held"] and "not_seen" in rules)


def test_the_newest_cause_stays_and_one_without_a_name_takes_none_away(register: Register) -> None:
    for cause in ("event", "", "mark", ""):
        register.dirty(register.one, cause=cause)
    [row] = register.school.rows(dirty_students)
    assert (row["cause"], row["mark"]) == ("mark", 4)
