"""The register on a real MariaDB: from events to rows, again and again with the same result."""

import threading
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from hub.adapters.attendance_store import ENDED_UNTIL, mark_dirty
from hub.adapters.event_store import MySqlEventStore
from hub.adapters.register_deriving import MySqlRegisterStore
from hub.adapters.schema import (
    attendance,
    dirty_students,
    events,
    gallery_members,
    hub_facts,
    lesson_states,
    lessons,
    rooms,
    sections,
)
from hub.core.attendance import entries
from hub.core.attendance_facts import Entry, Rules, SchoolDays, StudentsDay
from tests.hub_adapters.arrivals import arrivals
from tests.hub_adapters.school import ZONE, School, utc
from tests.hub_core.builders import (
    START,
    UNIT,
    a_batch,
    a_coverage,
    a_left,
    a_mark,
    a_student,
    an_anchor,
    an_event,
    an_id,
)

pytestmark = pytest.mark.server
# Of one or two students nobody says that so few were seen that a person has to look.
RULES = Rules(early=timedelta(minutes=10), late_after=timedelta(minutes=10), covered_share=0.9, held_share=0.0)


class Register:
    """A school whose unit has the templates of revision 1, with stores around it."""

    def __init__(self, school: School) -> None:
        self.school = school
        self.events = MySqlEventStore(school.database, ZONE)
        self.store = MySqlRegisterStore(school.database, SchoolDays(ZONE), RULES)
        self._batch = 0

    def take(self, *events: dict[str, Any], at: datetime = START) -> None:
        self._batch += 1
        self.events.take([a_batch(list(events), number=self._batch, at=at)])

    def has_template(self, student_id: str, since: int = 1, until: int | None = None) -> None:
        self.school.put(gallery_members, unit_id=UNIT, student_id=student_id, from_revision=since, until_revision=until)

    def rows(self, now: datetime) -> dict[str, tuple[str, str]]:
        """Derive everything; return status and rule by student and occasion's first word."""
        self.store.mark_ended_lessons(now)
        while self.store.derive(now, 50):
            pass
        return {row["student_id"]: (row["status"], row["rule"]) for row in self.school.rows(attendance)}


@pytest.fixture
def register(school: School) -> Register:
    school.unit()
    return Register(school)


def test_a_student_is_present_as_soon_as_seen_and_the_mark_is_gone(register: Register) -> None:
    student = register.school.student(1)
    lesson = register.school.lesson(utc(6))
    register.take(an_event(1, student_id=student, at=utc(6, 1)))
    assert register.rows(utc(6, 2)) == {student: ("Present", "seen")}
    [row] = register.school.rows(attendance)
    assert (row["lesson_id"], row["timestamp"], row["unit_id"]) == (lesson, utc(6, 1), UNIT)
    assert (row["method"], row["day"].isoformat()) == ("Face Recognition", "2026-09-01")
    assert register.school.rows(dirty_students) == []


def test_late_and_last_seen_come_from_the_whole_interval(register: Register) -> None:
    student = register.school.student(1)
    register.school.lesson(utc(6))
    opened = an_event(1, student_id=student, at=utc(6, 20))
    register.take(opened, a_left(2, opened["event_id"], student, utc(6, 40)))
    assert register.rows(utc(6, 50)) == {student: ("Late", "seen_late")}
    assert register.school.rows(attendance)[0]["last_seen_at"] == utc(6, 40)


def test_who_came_before_the_early_window_and_stayed_is_present(register: Register) -> None:
    student = register.school.student(1)
    register.school.lesson(utc(6))
    opened = an_event(1, student_id=student, at=utc(5, 30))
    register.take(opened)
    assert register.rows(utc(6, 5)) == {}
    register.take(a_left(2, opened["event_id"], student, utc(6, 15)))
    assert register.rows(utc(6, 20)) == {student: ("Present", "seen")}


def test_unseen_students_are_written_when_the_lesson_has_ended(register: Register) -> None:
    known, stranger, none = (register.school.student(number) for number in (1, 2, 3))
    register.has_template(known)
    register.has_template(stranger, since=2)
    register.school.lesson(utc(6))
    register.take(a_coverage(1, utc(6), utc(6, 45)))
    assert register.rows(utc(6, 44)) == {}
    assert register.rows(utc(6, 46)) == {
        known: ("Not seen", "not_seen"),
        stranger: ("Not observed", "not_able"),
        none: ("Not observed", "not_able"),
    }


@pytest.mark.parametrize("mode", ["sweep", "a mode of tomorrow"])
def test_a_look_around_is_no_watch_at_the_door_and_makes_nobody_not_seen(register: Register, mode: str) -> None:
    student = register.school.student(1)
    register.has_template(student)
    register.school.lesson(utc(6))
    register.take(a_coverage(1, utc(6), utc(6, 45), mode=mode))
    assert register.rows(utc(7)) == {student: ("Not observed", "not_watched")}
    register.take(a_coverage(2, utc(6), utc(6, 45)), at=utc(7))
    assert register.rows(utc(7)) == {student: ("Not seen", "not_seen")}


def test_the_days_nearest_to_today_are_derived_first_and_those_to_come_last(register: Register) -> None:
    days = [utc(6, day=day).date() for day in (1, 3, 5, 4, 2)]
    with register.school.database.transaction() as connection:
        mark_dirty(connection, [a_student(1), a_student(2)], days)

    def left() -> list[int]:
        return sorted({row["day"].day for row in register.school.rows(dirty_students)})

    seen = []
    while register.store.derive(utc(7, day=3), 2):
        seen.append(left())
    assert seen == [[1, 2, 4, 5], [1, 4, 5], [4, 5], [5], []]


def test_coverage_that_arrives_days_later_changes_not_observed_to_not_seen(register: Register) -> None:
    student = register.school.student(1)
    register.has_template(student)
    register.school.lesson(utc(6))
    assert register.rows(utc(7)) == {student: ("Not observed", "not_watched")}
    register.take(a_coverage(1, utc(6), utc(6, 45)), at=utc(7, day=4))
    assert register.rows(utc(7, day=4)) == {student: ("Not seen", "not_seen")}


def test_a_gap_in_the_stream_may_hide_a_sighting_so_nobody_is_not_seen(register: Register) -> None:
    student = register.school.student(1)
    register.has_template(student)
    register.school.lesson(utc(6))
    register.take(a_coverage(2, utc(6), utc(6, 45)), at=utc(7))
    assert register.rows(utc(7)) == {student: ("Not observed", "not_able")}
    register.take(an_event(1, student_id=an_id(99), at=utc(6, 1)), at=utc(7, 1))
    assert register.rows(utc(7, 2)) == {student: ("Not seen", "not_seen")}


def test_a_template_withdrawn_before_the_lesson_makes_the_unit_unable(register: Register) -> None:
    student = register.school.student(1)
    register.has_template(student, since=1, until=2)
    register.school.lesson(utc(6))
    register.take(a_coverage(1, utc(6), utc(6, 45), gallery_revision=2))
    assert register.rows(utc(7)) == {student: ("Not observed", "not_able")}


def test_a_mark_at_the_unit_wins_and_names_its_note(register: Register) -> None:
    student = register.school.student(1)
    lesson = register.school.lesson(utc(6))
    register.take(
        an_event(1, student_id=student, at=utc(6, 1)),
        a_mark(2, student, "excused", utc(9), lesson_id=lesson, note="dentist"),
    )
    assert register.rows(utc(10)) == {student: ("Excused", "mark")}
    row = register.school.rows(attendance)[0]
    assert (row["method"], row["notes"], row["last_seen_at"]) == ("Manual", "dentist", utc(6, 1))


def test_an_event_with_an_unknown_time_marks_nobody_until_it_is_dated(register: Register) -> None:
    student = register.school.student(1)
    register.school.lesson(utc(6))
    wrong = an_event(1, student_id=student, at=utc(6, 1, day=2), clock="unsynced", boottime_ns=60 * 10**9)
    register.take(wrong)
    assert register.rows(utc(7)) == {student: ("Not observed", "not_watched")}
    register.take(an_anchor(2, utc(6, 30), 27 * 60 * 10**9 + 60 * 10**9))
    assert register.rows(utc(7, 1)) == {student: ("Present", "seen")}


def test_an_estimated_event_counts_once_its_bounds_lie_in_the_lesson(register: Register) -> None:
    student = register.school.student(1)
    register.school.lesson(utc(6))
    lost = an_event(
        2, student_id=student, at="1970-01-01T00:01:00Z", clock="unsynced", boot_id=an_id(9), boottime_ns=60 * 10**9
    )
    register.take(lost, at=utc(9))
    assert register.rows(utc(9)) == {student: ("Not observed", "not_watched")}
    register.take(an_event(1, student_id=an_id(7), at=utc(5, 58)), at=utc(9))
    register.take(an_event(3, student_id=an_id(7), at=utc(6, 40), boot_id=an_id(10), boottime_ns=10**9), at=utc(9))
    assert register.rows(utc(10)) == {student: ("Present", "seen_estimated")}
    [row] = [one for one in register.school.rows(attendance) if one["student_id"] == student]
    assert row["timestamp"] == utc(5, 59)
    assert row["notes"] == "The unit's clock was not set: seen between 07:58 and 08:39. Please check."


def test_an_estimated_sighting_is_looked_at_on_every_day_it_may_have_been(register: Register) -> None:
    school, other = register.school, an_id(600)
    student = school.student(1)
    school.unit(other, label="door-13")
    school.put(gallery_members, unit_id=other, student_id=student, from_revision=1, until_revision=None)
    school.lesson(utc(6, day=2))
    watch = a_coverage(1, utc(6, day=2), utc(6, 45, day=2), boot_id=an_id(8))
    register.events.take([a_batch([watch], unit_id=other, number=90, at=utc(7, day=2))])
    register.take(
        an_event(1, student_id=an_id(7), at=utc(5, 58)),
        an_event(
            2, student_id=student, at="1970-01-01T00:01:00Z", clock="unsynced", boot_id=an_id(9), boottime_ns=60 * 10**9
        ),
        an_event(3, student_id=an_id(7), at=utc(6, 40, day=3), boot_id=an_id(10), boottime_ns=10**9),
        at=utc(9, day=3),
    )

    def second_day() -> list[tuple[str, str]]:
        register.rows(utc(10, day=3))
        return [(row["status"], row["rule"]) for row in school.rows(attendance) if row["day"].day == 2]

    assert second_day() == [("Not observed", "seen_sometime")]
    # Once it is known when it was, the other days of it are looked at again.
    register.take(an_anchor(4, utc(6), 120 * 10**9, boot_id=an_id(9)), at=utc(10, day=3))
    assert second_day() == [("Not seen", "not_seen")]


@pytest.mark.parametrize("seed", range(5))
def test_the_register_ends_as_if_it_had_been_derived_only_once_everything_had_arrived(
    register: Register, seed: int
) -> None:
    school, random = register.school, Random(seed)  # noqa: S311 (a seeded test)
    for number in range(1, 5):
        register.has_template(school.student(number))
    # Not on every day: those without lessons are derived otherwise.
    for day in range(0, 16, 2):
        for hour in range(0, 12, 3):
            school.lesson(utc(6) + timedelta(days=day, hours=hour), minutes=random.choice([45, 170]))
    now = utc(6) + timedelta(days=30)

    def derive_all() -> list[dict[str, Any]]:
        days = [utc(6).date() + timedelta(days=day) for day in range(-1, 18)]
        with school.database.transaction() as connection:
            connection.execute(delete(attendance))
            mark_dirty(connection, [a_student(number) for number in range(1, 5)], days)
        register.rows(now)
        return sorted(school.rows(attendance), key=lambda row: (row["student_id"], row["occasion"]))

    derive_all()
    _, batches = arrivals(seed)
    for batch in batches:
        register.events.take([batch])
        for _ in range(random.randrange(3)):
            register.store.derive(now, random.choice([3, 50]))
    register.rows(now)
    as_it_ended = sorted(school.rows(attendance), key=lambda row: (row["student_id"], row["occasion"]))
    assert as_it_ended == derive_all()


def test_coverage_that_is_replayed_long_after_it_came_in_is_looked_at_for_every_lesson_that_is_over(
    register: Register,
) -> None:
    student = register.school.student(1)
    register.has_template(student)
    register.school.lesson(utc(6))
    assert register.rows(utc(9)) == {student: ("Not observed", "not_watched")}
    register.take(a_coverage(1, utc(6), utc(6, 45)), at=utc(6, 44))
    assert register.rows(utc(9)) == {student: ("Not seen", "not_seen")}


def test_coverage_of_an_estimated_time_makes_nobody_unseen(register: Register) -> None:
    student = register.school.student(1)
    register.school.lesson(utc(6))
    register.has_template(student)
    watch = a_coverage(1, utc(6), utc(6, 45), clock="unsynced", boottime_ns=3600 * 10**9)
    register.take(watch, at=utc(7))
    assert register.rows(utc(8)) == {student: ("Not observed", "not_able")}


def test_without_lessons_there_is_one_row_a_day_and_a_lesson_replaces_it(register: Register) -> None:
    student = register.school.student(1)
    register.take(an_event(1, student_id=student, at=utc(6, 1)), an_event(2, student_id=student, at=utc(9)))
    assert register.rows(utc(10)) == {student: ("Present", "day")}
    register.school.lesson(utc(6))
    with register.school.database.transaction() as connection:
        mark_dirty(connection, [student], [utc(6).date()])
    assert register.rows(utc(10)) == {student: ("Present", "seen")}
    assert len(register.school.rows(attendance)) == 1


def test_a_lesson_over_midnight_belongs_to_the_day_it_starts_on(register: Register) -> None:
    student = register.school.student(1)
    register.school.lesson(utc(21, 30), minutes=120)
    register.take(an_event(1, student_id=student, at=utc(22, 10)))
    assert register.rows(utc(23)) == {student: ("Late", "seen_late")}
    assert register.school.rows(attendance)[0]["day"].isoformat() == "2026-09-01"


def test_a_student_the_hub_does_not_know_derives_nothing(register: Register) -> None:
    register.school.lesson(utc(6))
    register.take(an_event(1, student_id=an_id(12345), at=utc(6, 1)))
    assert register.rows(utc(7)) == {}
    assert register.school.rows(dirty_students) == []


def test_the_register_can_be_deleted_and_derived_again_with_the_same_rows(register: Register) -> None:
    register.school.lesson(utc(6))
    register.school.lesson(utc(8))
    everybody = [register.school.student(number) for number in range(1, 9)]
    for student in everybody[:6]:
        register.has_template(student)
    events = [an_event(seq, student_id=everybody[seq % 5], at=utc(6 + seq % 3, seq % 60)) for seq in range(1, 40)]
    register.take(*events, a_coverage(40, utc(6), utc(6, 45)), a_mark(41, everybody[7], "late", utc(8, 5)))
    register.rows(utc(12))
    first = register.school.rows(attendance)
    assert len(first) == 16
    with register.school.database.transaction() as connection:
        connection.execute(delete(attendance))
        mark_dirty(connection, everybody, [utc(6).date()])
    register.rows(utc(15))
    assert register.school.rows(attendance) == first


def test_a_change_during_a_derivation_keeps_its_mark(register: Register) -> None:
    student = register.school.student(1)
    day = utc(6).date()
    with register.school.database.transaction() as connection:
        mark_dirty(connection, [student], [day])
    with register.school.database.transaction() as connection:
        register.store._derive(connection, utc(7), 10)
        connection.rollback()
    with register.school.database.transaction() as connection:
        mark_dirty(connection, [student], [day])
        read = connection.execute(select(dirty_students.c.mark)).scalar_one()
    assert read == 2


def test_a_lesson_that_is_deleted_takes_its_rows_along(register: Register) -> None:
    student = register.school.student(1)
    lesson = register.school.lesson(utc(6))
    register.take(an_event(1, student_id=student, at=utc(6, 1)))
    register.rows(utc(7))
    with register.school.database.transaction() as connection:
        for derived in (attendance, lesson_states):
            connection.execute(delete(derived).where(derived.c.lesson_id == lesson))
        connection.execute(delete(lessons).where(lessons.c.id == lesson))
        mark_dirty(connection, [student], [utc(6).date()])
    assert register.rows(utc(7)) == {student: ("Present", "day")}


def test_a_move_to_another_section_leaves_past_lessons_as_they_were(register: Register) -> None:
    school, new = register.school, an_id(77)
    school.put(sections, id=new, name="8a")
    student = school.student(1)
    old_lesson = school.lesson(utc(6))
    school.put(rooms, id=an_id(78), name="13")
    school.lesson(utc(6), room=an_id(78), section=new)
    register.take(an_event(1, student_id=student, at=utc(6, 1)))
    before = {student: ("Present", "seen")}
    assert register.rows(utc(7)) == before
    school.moves(student, new, utc(9))
    late = school.lesson(utc(10), section=new)
    # Another event of the past day comes later, as from a unit that had no network.
    register.take(an_event(2, student_id=student, at=utc(6, 5)), at=utc(12))
    register.rows(utc(12))
    found = {row["lesson_id"]: row["status"] for row in school.rows(attendance)}
    assert found == {old_lesson: "Present", late: "Not observed"}


def test_lessons_that_ended_are_found_once(register: Register) -> None:
    register.school.student(1)
    register.school.lesson(utc(6))
    assert register.store.mark_ended_lessons(utc(6, 40)) == 0
    assert register.store.mark_ended_lessons(utc(6, 46)) == 1
    assert register.store.mark_ended_lessons(utc(6, 47)) == 0


def test_a_lot_of_marks_is_derived_in_bounded_pieces(register: Register) -> None:
    with register.school.database.transaction() as connection:
        connection.execute(
            insert(dirty_students), [{"student_id": an_id(n), "day": utc(6).date(), "mark": 1} for n in range(120)]
        )
    assert [register.store.derive(utc(7), 50) for _ in range(4)] == [50, 50, 20, 0]


@pytest.mark.parametrize("since", ["2026-09-01T06:00:00z", 1788242400])
def test_coverage_counts_however_its_times_are_written(register: Register, since: object) -> None:
    student = register.school.student(1)
    register.has_template(student)
    register.school.lesson(utc(6))
    register.take(a_coverage(1, utc(6), utc(6, 45)) | {"since": since})
    assert register.rows(utc(7)) == {student: ("Not seen", "not_seen")}


def test_one_day_that_cannot_be_derived_is_named_and_the_others_go_on(
    register: Register, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = register.school.student(1), register.school.student(2)
    register.school.lesson(utc(6))
    register.take(a_mark(1, broken, "late", utc(6, 1), note="private"), an_event(2, student_id=fine, at=utc(6, 1)))
    with register.school.database.transaction() as connection:
        connection.execute(update(events).where(events.c.student_id == broken).values(body='{"note": "private"}'))
    assert register.rows(utc(6, 2)) == {fine: ("Present", "seen")}
    assert [row["student_id"] for row in register.school.rows(dirty_students)] == [broken]
    assert broken in caplog.text
    assert "private" not in caplog.text
    assert register.store.derive(utc(6, 3), 50) == 0
    register.take(an_event(3, student_id=broken, at=utc(6, 3)))
    caplog.clear()
    register.store.derive(utc(6, 4), 50)
    assert broken in caplog.text


def test_two_processes_never_write_an_older_reading_over_a_newer_one(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = register.school.student(1)
    register.school.lesson(utc(6))
    register.take(an_event(1, student_id=student, at=utc(6, 20)))
    has_read, may_write = threading.Event(), threading.Event()

    def slow_entries(facts: StudentsDay, rules: Rules, now: datetime) -> list[Entry]:
        if threading.current_thread().name == "slow":
            has_read.set()
            may_write.wait(20)
        return entries(facts, rules, now)

    monkeypatch.setattr("hub.adapters.register_days.entries", slow_entries)
    other = MySqlRegisterStore(register.school.database, SchoolDays(ZONE), RULES)
    slow = threading.Thread(target=register.store.derive, args=(utc(6, 30), 10), name="slow")
    quick = threading.Thread(target=other.derive, args=(utc(6, 31), 10))
    slow.start()
    assert has_read.wait(20)
    register.take(an_event(2, student_id=student, at=utc(6, 1)))
    quick.start()
    quick.join(1)
    may_write.set()
    slow.join(20)
    quick.join(20)
    assert [row["status"] for row in register.school.rows(attendance)] == ["Present"]


@pytest.mark.parametrize("days", [[1, 2], [2, 1]])
def test_a_lesson_over_midnight_is_the_same_whichever_day_is_derived_first(register: Register, days: list[int]) -> None:
    student = register.school.student(1)
    register.has_template(student)
    register.school.lesson(utc(20, 30), minutes=60)
    register.school.lesson(utc(21, 30), minutes=120)
    opened = an_event(1, student_id=student, at=utc(21, 10))
    register.take(opened, a_left(2, opened["event_id"], student, utc(21, 35)))
    for day in days:
        with register.school.database.transaction() as connection:
            mark_dirty(connection, [student], [utc(6, day=day).date()])
        register.rows(utc(5, day=2))
        first = {row["timestamp"]: row["status"] for row in register.school.rows(attendance)}
        assert first == {utc(21, 10): "Late", utc(21, 30): "Present"}


def test_who_comes_before_midnight_is_early_for_a_lesson_after_it(register: Register) -> None:
    student = register.school.student(1)
    register.school.lesson(utc(22, 5), minutes=45)
    register.take(an_event(1, student_id=student, at=utc(21, 58)))
    while register.store.derive(utc(22), 50):
        pass
    assert [row["status"] for row in register.school.rows(attendance)] == ["Present"]


def test_a_clock_that_was_ahead_does_not_hide_the_lessons_that_end(register: Register) -> None:
    register.school.student(1)
    register.school.lesson(utc(6))
    register.school.put(
        hub_facts, name=ENDED_UNTIL, value=datetime(2031, 1, 1, tzinfo=UTC).isoformat(), changed_at=START
    )
    assert register.store.mark_ended_lessons(utc(6, 40)) == 0
    assert register.store.mark_ended_lessons(utc(6, 46)) == 1
