"""Retention on a real database: what is due goes in slices, and nothing else ever does."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from hub.adapters import audit_store, faces_due, photo_store
from hub.adapters.attendance_store import ENDED_UNTIL, mark_dirty
from hub.adapters.faces_due import Packs
from hub.adapters.photo_store import NewPhoto
from hub.adapters.retention_runs import fact, note_fact, run_noted
from hub.adapters.schema import (
    attendance,
    closings,
    epochs,
    events,
    lesson_states,
    lessons,
    marks,
    quarantine,
    templates,
    undated_boots,
)
from hub.cli import app
from hub.core.errors import StoreUnavailable
from hub.loops.retention import RetentionLoop
from hub.office import consents, marking, retention, retention_plan, rooms, sections, students
from hub.office import marks as marks_of_people
from protocol.delivery import RangeDigest
from tests.hub_office.conftest import NOW, OfficeUnderTest

DAY = timedelta(days=1)
UNIT, BOOT, LOST = (f"{byte:02x}" * 16 for byte in (0xAB, 0xB0, 0xB1))
OLD, RECENT = NOW - 500 * DAY, NOW - DAY
CUT = date(2025, 7, 28)
"""400 days before NOW."""


class School:
    """A room with a unit, a student, and what became of them over the years."""

    def __init__(self, desk: OfficeUnderTest) -> None:
        self.desk, self.office = desk, desk.office
        self._next = 0
        sections.add_section(desk.office, "7b")
        rooms.add_room(desk.office, "12")
        desk.add_unit("12")
        self.student_id = self.student("1")
        with self.office.database.transaction() as connection:
            note_fact(connection, ENDED_UNTIL, NOW.isoformat(), NOW)
        self.stream("e", 100)
        desk.clean()

    def new_id(self) -> str:
        self._next += 1
        return f"00000000-0000-4000-8000-{self._next:012x}"

    def put(self, table: Any, **values: Any) -> None:
        with self.office.database.transaction() as connection:
            connection.execute(insert(table).values(**values))

    def student(self, serial: str, **fields: str) -> str:
        form = {"serial_number": serial, "name": f"S{serial}", "section": "7b"}
        return students.add_student(self.office, form | fields).student_id

    def stream(self, epoch: str, high_water: int) -> None:
        heard = {"first_heard_at": OLD, "last_heard_at": RECENT}
        self.put(epochs, unit_id=UNIT, epoch=epoch, high_water=high_water, **heard)

    def event(
        self, seq: int, at: datetime, *, epoch: str = "e", boot: str = BOOT, received: datetime | None = None
    ) -> None:
        moments = {"at_claimed": at, "at_corrected": at, "received_at": received or at}
        self.put(
            events,
            event_id=self.new_id(),
            unit_id=UNIT,
            epoch=epoch,
            seq=seq,
            kind="seen",
            student_id=self.student_id,
            clock="synced",
            boot_id=boot,
            boottime_ns=1,
            body="{}",
            payload_sha256=bytes(32),
            **moments,
        )

    def later(self, step: timedelta) -> None:
        """Let time pass, with a unit that is heard all the while."""
        self.desk.clock.forward(step)
        self.desk.do(f"update epochs set last_heard_at = '{self.desk.clock.now():%Y-%m-%d %H:%M}'")  # noqa: S608 (a time)

    def first(self, table: str) -> str:
        return str(self.desk.rows(f"select lower(hex(id)) from {table}")[0][0])  # noqa: S608 (a table's name)

    def seqs(self) -> list[tuple[str, int]]:
        return [
            (str(row[0]), int(str(row[1]))) for row in self.desk.rows("select epoch, seq from events order by 1, 2")
        ]

    def fact(self, name: str) -> str | None:
        with self.office.database.transaction() as connection:
            return fact(connection, name)


@pytest.fixture
def school(desk: OfficeUnderTest) -> School:
    return School(desk)


def test_only_events_that_nothing_can_need_again_are_deleted(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_plan, "SLICE", 2)
    monkeypatch.setattr(retention, "SLICE", 2)
    for seq in range(1, 6):
        school.event(seq, OLD + seq * DAY)
    school.event(6, RECENT)
    # A clock that was wrong: it came yesterday, whatever it says.
    school.event(7, OLD, received=RECENT)
    # Above the gap of its stream.
    school.event(101, OLD)
    # The day before the first that is kept: what is derived of that one may reach back.
    school.event(8, datetime(2025, 7, 27, 9, tzinfo=UTC))
    school.event(9, datetime(2025, 7, 26, 9, tzinfo=UTC))
    # A boot of which nobody knows yet when it was, and the dated event before it.
    school.stream("f", 100)
    for seq, boot in ((1, BOOT), (2, BOOT), (3, LOST), (4, LOST)):
        school.event(seq, OLD, epoch="f", boot=boot)
    place = {"unit_id": UNIT, "boot_id": LOST, "epoch": "f", "first_seq": 3, "last_seq": 4, "before_seq": 2}
    school.put(undated_boots, **place)

    due = retention.what_is_due(school.office)
    heard: list[int] = []
    done = retention.run(school.office, heard.append)
    assert school.seqs() == [("e", 6), ("e", 7), ("e", 8), ("e", 101), ("f", 2), ("f", 3), ("f", 4)]
    assert due.deleted == done.deleted
    assert (done.deleted["events"], sum(heard)) == (7, 7)
    assert done.frozen_until == CUT
    assert school.fact("register.frozen_until") == "2025-07-28"
    # The boot's end is known, and all of it was long ago: nothing may be told of it any more.
    micros = int(OLD.timestamp() * 1_000_000)
    school.desk.do(f"update undated_boots set after_seq = 5, latest_us = {micros}, last_us = 10")  # noqa: S608 (a number)
    assert retention.run(school.office).deleted["events"] == 3
    assert school.desk.count("undated_boots") == 0
    assert retention.run(school.office).deleted["events"] == 0


def test_a_unit_that_keeps_longer_is_not_asked_for_what_was_deleted(school: School) -> None:
    digest = RangeDigest(first=1, last=10, count=3, xor64="0" * 16)
    later = RangeDigest(first=11, last=20, count=3, xor64="0" * 16)
    for seq in range(1, 4):
        school.event(seq, OLD)
    school.event(30, RECENT)

    def differing() -> list[int]:
        with school.office.database.transaction() as connection:
            return [one.first for one in audit_store.differing(connection, UNIT, "e", [digest, later])]

    school.desk.do("update events set payload_sha256 = unhex(repeat('11', 32))")
    assert differing() == [1, 11]
    retention.run(school.office)
    assert differing() == [11]


def test_what_waits_to_be_derived_keeps_its_events(school: School) -> None:
    school.event(1, OLD)
    school.event(2, OLD + 50 * DAY)
    school.event(3, RECENT)
    waits = (OLD + 20 * DAY).date()
    with school.office.database.transaction() as connection:
        mark_dirty(connection, [school.student_id], [waits])
    assert retention.show(school.office).waits == waits
    done = retention.run(school.office)
    assert (done.frozen_until, school.seqs()) == (waits, [("e", 2), ("e", 3)])
    # What comes late for a day that is frozen is derived no more.
    with school.office.database.transaction() as connection:
        mark_dirty(connection, [school.student_id], [waits - DAY])
    school.desk.do(f"delete from dirty_students where day = '{waits}'")  # noqa: S608 (a day)
    assert retention.run(school.office).frozen_until == CUT
    assert (school.seqs(), school.desk.dirty()) == ([("e", 3)], [])


def test_nothing_goes_by_a_clock_that_jumped(school: School) -> None:
    school.event(1, RECENT)
    school.desk.clock.forward(3650 * DAY)
    kept = retention.show(school.office)
    assert kept.clock_held
    assert kept.counted_from == RECENT + DAY
    done = retention.run(school.office)
    assert sum(done.deleted.values()) == 0
    assert school.seqs() == [("e", 1)]
    # Nor when a unit without a time of its own has been heard since, which took the hub's.
    wrong = school.desk.clock.now()
    school.event(2, wrong)
    school.later(timedelta(0))
    assert sum(retention.run(school.office).deleted.values()) == 0
    assert retention.show(school.office).clock_held
    # One that has: it is right.
    asks = json.dumps({"kind": "anchor", "utc": wrong.isoformat(), "source": "ntp", "error_ms": 1})
    school.desk.do(f"update events set kind = 'anchor', body = '{asks}' where seq = 2")  # noqa: S608 (ours)
    assert not retention.show(school.office).clock_held
    school.desk.do("update events set kind = 'anchor', body = replace(body, 'ntp', 'welcome') where seq = 2")
    assert retention.show(school.office).clock_held
    # Or a person says so.
    assert retention.what_is_due(school.office, clock_is_right=True).deleted["events"] == 1
    retention.run(school.office, clock_is_right=True)
    assert not retention.show(school.office).clock_held
    assert school.desk.actions().count("retention.clock") == 1


def test_nothing_goes_before_lessons_that_are_over_were_looked_at(school: School) -> None:
    school.event(1, OLD)
    school.event(2, OLD + 20 * DAY)
    school.event(3, RECENT)
    place = {"room_id": school.first("rooms"), "section_id": school.first("sections")}
    starts_at = OLD + 10 * DAY
    school.put(lessons, id=school.new_id(), starts_at=starts_at, ends_at=starts_at + timedelta(hours=1), **place)
    looked = f"update hub_facts set value = '%s' where name = '{ENDED_UNTIL}'"  # noqa: S608 (ours)
    school.desk.do(looked % starts_at.isoformat())
    assert retention.run(school.office).frozen_until == starts_at.date()
    assert school.seqs() == [("e", 2), ("e", 3)]
    school.desk.do(looked % NOW.isoformat())
    assert retention.run(school.office).frozen_until == CUT
    assert school.seqs() == [("e", 3)]


def test_old_registers_marks_and_decided_quarantine_go_and_all_else_stays(school: School) -> None:
    ancient = NOW - 2600 * DAY
    room, section = school.first("rooms"), school.first("sections")
    for at in (ancient, RECENT):
        lesson_id, day = school.new_id(), {"day": at.date(), "occasion": f"day:{at:%Y-%m-%d}"}
        place = {"room_id": room, "section_id": section}
        school.put(lessons, id=lesson_id, starts_at=at, ends_at=at + timedelta(hours=1), **place)
        who = {"student_id": school.student_id, "lesson_id": lesson_id}
        line = {"timestamp": at, "status": "Late", "method": "Manual", "rule": "mark"}
        school.put(attendance, **who, **day, **line)
        school.put(marks, id=school.new_id(), **who, **day, status="late", made_at=at, made_by="t")
        school.put(closings, id=school.new_id(), lesson_id=lesson_id, closed_at=at, closed_by="t")
        school.put(lesson_states, lesson_id=lesson_id, seen=1, unseen=0, held=False)
        for seq, resolved in ((1, at), (101, at), (2, None)):
            body = {"code": "x", "detail": "", "body": b"", "body_sha256": school.new_id().encode()[-32:]}
            mine = {"unit_id": UNIT, "epoch": "e", "seq": seq, "received_at": at, "resolved_at": resolved}
            school.put(quarantine, id=school.new_id(), **body, **mine)
    school.event(1, RECENT)
    shown = {kind.kind: kind.due for kind in retention.show(school.office).kinds}
    done = retention.run(school.office).deleted
    assert shown == done
    assert {kind: number for kind, number in done.items() if number} == {
        "attendance": 1,
        "marks": 1,
        "closings": 1,
        "lesson_states": 1,
        "quarantine": 1,
    }
    left = {
        name: school.desk.count(name) for name in ("attendance", "marks", "closings", "lesson_states", "quarantine")
    }
    assert left == {"attendance": 1, "marks": 1, "closings": 1, "lesson_states": 1, "quarantine": 5}
    assert (school.desk.count("lessons"), school.desk.count("sections")) == (2, 1)
    assert school.desk.actions()[-1] == "retention.run"


# ---- faces ---------------------------------------------------------------------------------------------------------


def enrol(school: School, serial: str, *, pack: str = "pack", ago: int = 100, **form: str) -> str:
    """A student with a template, a photo and a consent (none without `scope`), all from some days ago."""
    known = school.desk.rows(f"select lower(hex(id)) from students where serial_number = '{serial}'")  # noqa: S608 (ours)
    student_id = str(known[0][0]) if known else school.student(serial)
    if "scope" in form:
        consents.give_consent(school.office, {"serial_number": serial, "given_by": "x", **form})
    at = NOW - ago * DAY
    picture = {"source": "f", "face_px": 1, "picture_sha256": school.new_id().encode()[-32:]}
    row = {"id": school.new_id(), "student_id": student_id, "pack_id": pack, "sealed": b"x", "created_at": at}
    school.put(templates, **picture, **row)
    with school.office.database.transaction() as connection:
        photo = NewPhoto(school.new_id(), student_id, serial.encode(), "f")
        photo_store.keep(connection, school.office.keys.hub_key(), photo, at)
    return student_id


def faces(school: School) -> dict[str, str]:
    """What is kept of whom: T(emplates) and P(hotos) by serial number."""
    found = {"T": "templates", "P": "photos"}
    kept: dict[str, str] = {}
    for letter, table in found.items():
        rows = school.desk.rows(
            f"select distinct serial_number from {table} join students on students.id = student_id order by 1"  # noqa: S608 (ours)
        )
        for (serial,) in rows:
            kept[str(serial)] = kept.get(str(serial), "") + letter
    return kept


def test_templates_and_photos_go_when_nobody_agrees_any_more_or_the_student_left(school: School) -> None:
    enrol(school, "10", scope="all")
    enrol(school, "11", scope="all", expires_on="2026-09-05")
    enrol(school, "12", scope="recognition")
    enrol(school, "13")
    enrol(school, "14", ago=0)
    enrol(school, "15", scope="all")
    enrol(school, "16", scope="all")
    school.desk.do("update students set left_on = '2026-08-01' where serial_number = '15'")
    school.desk.do("update students set left_on = '2026-08-10' where serial_number = '16'")
    # Nobody ever agreed to photos of 12, to anything of 13; of 14 they are from today.
    done = retention.run(school.office).deleted
    assert faces(school) == {"10": "TP", "11": "TP", "12": "T", "14": "TP", "16": "TP"}
    assert (done["templates"], done["photos"]) == (2, 3)
    assert school.desk.actions().count("retention.faces") == 3
    school.later(20 * DAY)
    assert retention.purge_lapsed(school.office, dry_run=True).students == 2
    assert retention.run(school.office).deleted["templates"] == 1
    assert faces(school) == {"10": "TP", "11": "TP", "12": "T", "14": "TP"}
    purged = retention.purge_lapsed(school.office)
    assert (purged.students, purged.templates, purged.photos) == (2, 2, 2)
    assert faces(school) == {"10": "TP", "12": "T"}
    # Of whom somebody agreed for good nothing goes, however late it is.
    school.later(700 * DAY)
    retention.run(school.office)
    assert faces(school) == {"10": "TP", "12": "T"}


def test_whom_somebody_agreed_for_or_who_came_back_while_a_run_goes_on_keeps_the_face(school: School) -> None:
    enrol(school, "20", scope="all", expires_on="2026-09-05")
    enrol(school, "21", scope="all")
    students.leave_student(school.office, "21", date(2026, 7, 1))
    school.desk.do("update consents set expires_at = '2026-07-01' where expires_at is not null")
    assert retention.what_is_due(school.office).deleted["templates"] == 2
    run = retention.RetentionRun(school.office)
    consents.give_consent(school.office, {"serial_number": "20", "given_by": "mother", "scope": "all"})
    students.change_student(school.office, "21", {"left_on": ""})
    while run.step():
        pass
    assert faces(school) == {"20": "TP", "21": "TP"}


def test_a_summer_without_units_does_not_keep_faces_that_nobody_agrees_to(school: School) -> None:
    school.event(1, RECENT)
    enrol(school, "20", scope="all", expires_on="2026-09-05")
    for _ in range(3):
        school.desk.clock.forward(14 * DAY)
        retention.run(school.office)
    assert faces(school) == {}


def test_templates_of_a_pack_that_no_unit_has_go_when_others_replaced_them(school: School) -> None:
    enrol(school, "10", pack="old", scope="all")
    enrol(school, "10", pack="new", ago=40)
    enrol(school, "11", pack="old", scope="all")
    enrol(school, "12", pack="old", scope="all")
    enrol(school, "12", pack="new", ago=5)
    assert retention.run(school.office).deleted["replaced_templates"] == 0
    with school.office.database.transaction() as connection:
        before = NOW - 30 * DAY
        for kept in (
            # Nobody may know yet which pack units have; both may be recognised with.
            Packs(frozenset(), "new"),
            Packs(frozenset({"new", "old"}), "new"),
            # The settings went back to the old one, or the units do not have the new one yet.
            Packs(frozenset({"new"}), "old"),
            Packs(frozenset({"old"}), "new"),
            # Somebody chose a third meanwhile: the new ones were made after the old ones.
            Packs(frozenset({"old"}), "third"),
        ):
            assert faces_due.count_replaced(connection, kept, before) == 0
            assert faces_due.delete_replaced(connection, kept, before, 10) == 0
        everywhere = Packs(frozenset({"new"}), "new")
        assert faces_due.count_replaced(connection, everywhere, before) == 1
        assert faces_due.delete_replaced(connection, everywhere, before, 10) == 1


# ---- every night ---------------------------------------------------------------------------------------------------


def test_the_daily_run_begins_at_night_ends_once_and_goes_on_after_a_stop(school: School) -> None:
    for seq in range(1, 4):
        school.event(seq, OLD + seq * DAY)
    school.event(4, RECENT)
    daily = retention.DailyRun()
    assert not daily.step(school.office)
    school.desk.clock.moment = datetime(2026, 9, 2, 1, 40, tzinfo=UTC)
    assert daily.step(school.office)
    assert daily.step(school.office)
    assert school.desk.actions().count("retention.run") == 0
    # Another process goes on, by day, where the first stopped.
    school.desk.clock.forward(timedelta(hours=6))
    again = retention.DailyRun()
    assert again.step(school.office)
    while again.step(school.office):
        pass
    assert school.seqs() == [("e", 4)]
    assert school.desk.actions().count("retention.run") == 1
    [(detail,)] = school.desk.rows("select detail from audit where action = 'retention.run'")
    assert '"events": 3' in str(detail)
    assert not again.step(school.office)
    with school.office.database.transaction() as connection:
        noted = run_noted(connection)
    assert noted is not None
    assert (noted.day, noted.done, noted.counts) == (date(2026, 9, 2), True, {"events": 3})
    # Also after a clock that was years ahead for a while.
    school.desk.do("update hub_facts set value = replace(value, '2026-', '2036-') where name = 'retention.run'")
    school.desk.clock.moment = datetime(2026, 9, 3, 1, 40, tzinfo=UTC)
    assert again.step(school.office)
    while again.step(school.office):
        pass
    # Switched off at night: a whole day without a run is made up for by day.
    school.desk.clock.moment = datetime(2026, 9, 5, 12, tzinfo=UTC)
    assert again.step(school.office)


def test_a_run_that_was_stopped_takes_the_names_of_what_it_deleted_from_the_file(school: School) -> None:
    kept = school.office.settings.retention.model_copy(update={"attendance_days": 400})
    office = replace(school.office, settings=school.office.settings.model_copy(update={"retention": kept}))
    line = {"student_id": school.student_id, "day": OLD.date(), "occasion": f"day:{OLD:%Y-%m-%d}", "status": "late"}
    school.put(marks, id=school.new_id(), made_at=OLD, made_by="t", **line)
    school.event(1, RECENT)
    marks_of_people.rebuild_csv(office)
    file = marking.csv_file(office).path
    assert "S1" in file.read_text()
    stopped = retention.RetentionRun(office)
    while school.desk.count("marks"):
        assert stopped.step()
    retention.run(office)
    assert "S1" not in file.read_text()


def test_the_loop_waits_when_nothing_is_due_and_when_the_database_is_away() -> None:
    paused: list[float] = []
    answers: list[Callable[[], bool]] = [lambda: True, lambda: False, _away]
    loop = RetentionLoop(step=lambda: answers.pop(0)(), pause=paused.append)
    for _ in range(3):
        loop.step()
    assert paused == [0.2, 60.0, 30.0]


def _away() -> bool:
    raise StoreUnavailable("gone")


def test_the_commands_show_what_is_due_and_delete_it(school: School) -> None:
    for seq in range(1, 4):
        school.event(seq, OLD)
    school.event(4, RECENT)
    enrol(school, "13")

    def run(*words: str, stdin: str | None = None) -> str:
        result = CliRunner().invoke(app, ["--config", str(school.desk.settings_file), *words], input=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    shown = json.loads(run("retention", "show", "--json"))
    due = {kind["kind"]: kind["due"] for kind in shown["kinds"]}
    assert (due["events"], due["templates"], due["photos"]) == (3, 1, 1)
    table = run("retention", "show")
    assert "what units saw and watched" in table
    assert "deleted 30 days after it did" in table
    assert "Would be deleted:" in run("retention", "run", "--dry-run")
    assert school.desk.count("events") == 4
    assert "Would delete 1 templates and 1 photos of 1 students." in run("consent", "purge", "--dry-run")
    assert "Deleted 1 templates" in run("consent", "purge", stdin="y\n")
    assert json.loads(run("retention", "run", "--json"))["deleted"]["events"] == 3
    assert "Nothing is due." in run("retention", "run")
    assert "deleted 0 rows" not in run("retention", "show")
    assert "Nothing is due." in run("retention", "run", "--clock-is-right")
    assert "retention.clock" in school.desk.actions()
